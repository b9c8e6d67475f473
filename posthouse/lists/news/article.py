"""A posting as an article, an article as a posting: what changes in the header on the way, as edits of its bytes."""

from __future__ import annotations

from posthouse.lists.models import MailingList
from posthouse.lists.preparation.steps import (
    Circumstances,
    Preparation,
    archived_at,
    cleanse,
    identity,
    subject_prefix,
    topics,
)
from posthouse.lists.preparation.steps import list_fields as list_fields_of
from posthouse.message.dates import format_date
from posthouse.message.headers import Fields, HeaderEditor

OPEN_MODERATED, MODERATED = "open_moderated", "moderated"
# The way a message came is no reader's business, and what servers say of articles is for servers to say: a posting
# must not be able to command them (RFC 5536 §3.2.3 Control, RFC 5537 §3.4 and §3.5).
_OF_THE_WAY = (
    "Received", "Return-Path", "Delivered-To", "Authentication-Results", "Received-SPF", "ARC-Seal",
    "ARC-Message-Signature", "ARC-Authentication-Results",
)  # fmt: skip
_OF_SERVERS = (
    "Newsgroups", "Path", "Xref", "Control", "Also-Control", "Supersedes", "Approved", "Distribution", "Expires",
    "Followup-To", "Injection-Date", "Injection-Info", "Lines", "Bytes", "Date-Received", "Posted", "Posting-Version",
    "Relay-Version", "NNTP-Posting-Date", "NNTP-Posting-Host", "X-Trace", "X-Complaints-To", "X-Abuse-Info",
)  # fmt: skip
# Servers refuse articles that have one of these twice (RFC 5536 §3).
_ONCE = (
    "From", "Date", "Subject", "Message-ID", "References", "In-Reply-To", "Reply-To", "Sender", "To", "Cc", "Keywords",
    "Organization", "Summary", "MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-Disposition",
    "User-Agent", "Archive",
)  # fmt: skip


def is_from_news(fields: Fields, newsgroup: str) -> bool:
    """Whether a message was posted to this newsgroup as well, so that it must not go there from here."""
    wanted = newsgroup.lower()
    return any(wanted in [word.strip().lower() for word in value.split(",")] for value in fields.all("newsgroups")[:5])


def article_of(row: MailingList, content: bytes, circumstances: Circumstances, now: int) -> bytes:
    """The article that a posting becomes, with the fields that its list gives to copies. `now` in milliseconds."""
    preparation = Preparation(row, content, circumstances)
    steps = [cleanse, identity, topics, list_fields_of, archived_at]
    if row.nntp_prefix_subject_too:
        steps.insert(2, subject_prefix)
    for step in steps:
        step(preparation)
    editor = preparation.editor
    editor.remove(*_OF_THE_WAY, *_OF_SERVERS)
    for name in _ONCE:
        if (value := editor.first(name)) is not None and Fields(editor.to_bytes()).count(name) > 1:
            editor.replace(name, value)
    if not (editor.first("subject") or "").strip():
        editor.replace("Subject", "(no subject)")  # RFC 5536 §3.1.6: it may not be empty
    if not (editor.first("date") or "").strip():
        editor.replace("Date", format_date(now // 1000, 0))
    editor.append("Newsgroups", row.linked_newsgroup)
    if row.newsgroup_moderation in (OPEN_MODERATED, MODERATED):
        editor.append("Approved", row.address)  # RFC 5536 §3.2.1
    whole = editor.content()
    fields = Fields(whole)
    # An article has a body (RFC 5536 §2.2), and servers say so.
    return whole if whole[fields.body_offset :].strip() else whole.rstrip(b"\r\n") + editor.eol * 2 + editor.eol


def posting_of(article: bytes) -> bytes:
    """The posting that an article becomes: without what servers said of it, and without a word that could approve it.

    Newsgroups stays, which keeps it from going back.
    """
    editor = HeaderEditor.on(article)
    editor.remove(*(name for name in _OF_SERVERS if name not in ("Newsgroups", "Followup-To")), *_OF_THE_WAY)
    return editor.content()


def has_been_here(fields: Fields, row: MailingList) -> bool:
    """Whether an article is a posting of this list that comes back."""
    return any(value.strip().lower() == row.address.lower() for value in fields.all("x-beenthere")[:100])
