"""The steps from a posting to what its copies share, in the order of `STEPS`; bytes that need not change stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from string import Template

from posthouse.lists import languages, mitigation, notices, personal
from posthouse.lists.models import MailingList
from posthouse.lists.preparation import mitigating, replies
from posthouse.lists.preparation.mailboxes import in_fields, written
from posthouse.lists.preparation.scrubbing import scrubbed
from posthouse.lists.sentences import in_language
from posthouse.message.decoration import decorated
from posthouse.message.headers import Fields, HeaderEditor
from posthouse.message.identity import message_id_hash
from posthouse.message.rewrite import add_subject_prefix
from posthouse.message.words import encode_phrase

# A list speaks for itself in these; what another list, or the author's mailer, said in them would mislead. Approved
# and its like carry passwords in Mailman's world: no copy may show one.
FOREIGN = (
    "List-Id", "List-Help", "List-Subscribe", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Post", "List-Owner",
    "List-Archive", "Archived-At", "Precedence", "Message-ID-Hash", "X-Message-ID-Hash",
    "Return-Path", "Errors-To", "Return-Receipt-To", "Disposition-Notification-To", "X-Confirm-Reading-To",
    "Approved", "Approve", "X-Approved", "X-Approve", "Urgent", "X-PMRQC",
    # What scanners wrote for our rules: long, and a help to those who want to pass them (D13). The score stays.
    "X-Spam-Report", "X-Spam-Status", "X-Spam-Checker-Version", "X-Spamd-Result", "X-Posthouse-Tag",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the steps know of a posting besides its bytes.

    `message_id`: bare; `permalink`: "" where nothing is archived; `number`: the posting's own on its list;
    `mitigation`: what DMARC asks for (`lists.mitigation`); `topics`: the names of those it matches.
    """

    message_id: str
    permalink: str
    number: int = 1
    mitigation: str = mitigation.NOTHING
    topics: tuple[str, ...] = ()


class Preparation:
    """A posting on its way to its copies.

    Steps that need the whole message come first and change `content`; those that need its header change `editor`,
    which takes the content over. So a large posting is in memory two or three times, not once for every step.
    """

    def __init__(self, mailing_list: MailingList, content: bytes, circumstances: Circumstances) -> None:
        self.mailing_list, self.circumstances = mailing_list, circumstances
        self.values = {**notices.placeholders(mailing_list), "permalink": circumstances.permalink}
        self.values["hyperkitty_url"] = circumstances.permalink
        self.content = content
        self._editor: HeaderEditor | None = None

    @property
    def editor(self) -> HeaderEditor:
        """The header, to be edited."""
        if self._editor is None:
            self._editor = HeaderEditor.on(self.content)
            self.content = b""
        return self._editor

    def said(self, text: str) -> str:
        """A sentence of the house in the language of the list."""
        row = self.mailing_list
        return in_language(text, row.preferred_language or languages.spoken(row, [])[1])


Step = Callable[[Preparation], None]


def cleanse(preparation: Preparation) -> None:
    """Remove what a list's copies must not carry. Signatures stay: one that still holds is worth keeping."""
    preparation.editor.remove(*FOREIGN)


def identity(preparation: Preparation) -> None:
    """Give the copies the Message-ID the archive files the posting under, when it came without one."""
    message_id = preparation.circumstances.message_id
    if not (preparation.editor.first("message-id") or "").strip():
        preparation.editor.replace("Message-ID", f"<{message_id}>")
    preparation.editor.append("Message-ID-Hash", message_id_hash(message_id))


def subject_prefix(preparation: Preparation) -> None:
    """Put the list's prefix before the subject, once."""
    row = preparation.mailing_list
    number, encoded = preparation.circumstances.number, row.encode_ascii_prefixes

    def nothing() -> str:
        return preparation.said("(no subject)")

    add_subject_prefix(preparation.editor, row.subject_prefix, number, encoded=encoded, nothing=nothing)


def answers(preparation: Preparation) -> None:
    """Say where answers go."""
    replies.direct(preparation.mailing_list, preparation.editor)


def munge(preparation: Preparation) -> None:
    """Send it in the list's name where the author's domain would have members' hosts refuse it."""
    if preparation.circumstances.mitigation in (mitigation.MUNGE_FROM, mitigation.WRAP_MESSAGE):
        mitigating.munge_from(preparation.mailing_list, preparation.editor)


def wrap(preparation: Preparation) -> None:
    """Attach it to a message of the list, for the same reason; an edit of the content."""
    if preparation.circumstances.mitigation == mitigation.WRAP_MESSAGE:
        editor = HeaderEditor.on(preparation.content)
        editor.remove(*FOREIGN)
        preparation.content = mitigating.wrapped(preparation.mailing_list, editor.content())


def scrub(preparation: Preparation) -> None:
    """Leave attachments to the archive, where they are linked; an edit of the content."""
    if preparation.mailing_list.scrub_nondigest and preparation.circumstances.permalink:
        permalink = preparation.circumstances.permalink
        preparation.content = scrubbed(preparation.content, permalink, lambda: preparation.said("Attachment"))


def topics(preparation: Preparation) -> None:
    """Name the topics it matches."""
    if preparation.circumstances.topics:
        preparation.editor.replace("X-Topics", ", ".join(preparation.circumstances.topics))


def addressed(preparation: Preparation) -> None:
    """Make room for a To of each copy's own: who stood there, and the list, stand in Cc."""
    row, editor = preparation.mailing_list, preparation.editor
    if row.personalize != personal.FULL:
        return
    fields = Fields(editor.to_bytes())
    boxes = [(row.display_name, row.address), *in_fields(fields, "to"), *in_fields(fields, "cc")]
    editor.remove("To")
    editor.replace("Cc", written(boxes))


def list_fields(preparation: Preparation) -> None:
    """Say which list this is and what one can do with it (RFC 2919, RFC 2369); List-Unsubscribe comes per copy."""
    row, editor, values = preparation.mailing_list, preparation.editor, preparation.values
    if row.include_rfc2369_headers:
        phrase = " ".join(row.description.split())
        editor.append("List-Id", f"{encode_phrase(phrase)} <{row.list_id}>" if phrase else f"<{row.list_id}>")
        editor.append("List-Post", f"<mailto:{row.address}>" if row.allow_list_posts else "NO (posting is not allowed)")
        editor.append("List-Help", f"<mailto:{values['request_address']}?subject=help>, <{values['list_url']}>")
        editor.append("List-Subscribe", f"<mailto:{values['join_address']}>, <{values['list_url']}>")
        editor.append("List-Owner", f"<mailto:{values['owner_address']}>")
        if row.archive_policy != "never":
            editor.append("List-Archive", f"<{values['archive_url']}>")
    editor.append("X-BeenThere", row.address)  # survives lists that rewrite our List-Id, and so ends loops


def archived_at(preparation: Preparation) -> None:
    """Say where this posting is kept (RFC 5064)."""
    if preparation.circumstances.permalink:
        preparation.editor.append("Archived-At", f"<{preparation.circumstances.permalink}>")


def precedence(preparation: Preparation) -> None:
    """Ask machines not to answer (RFC 3834 §2 names the field; it was never standardised)."""
    preparation.editor.append("Precedence", "list")


def decoration(preparation: Preparation) -> None:
    """Put the list's words above and below the text; an edit of the content, so it must come before the header's.

    Where they differ from copy to copy they are put there as each copy leaves.
    """
    row = preparation.mailing_list
    if personal.is_personal(row):
        return
    above, below = (Template(text).safe_substitute(preparation.values) for text in (row.header, row.footer))
    if above.strip() or below.strip():
        preparation.content = decorated(preparation.content, above if above.strip() else "", below)


STEPS: tuple[Step, ...] = (
    scrub, wrap, decoration,
    cleanse, identity, subject_prefix, answers, munge, topics, addressed, list_fields, archived_at, precedence,
)  # fmt: skip


# Of a posting that goes out as it came: what makes it this list's, and where answers go.
AS_IT_CAME: tuple[Step, ...] = (cleanse, identity, answers, list_fields, precedence)


def prepare(mailing_list: MailingList, content: bytes, circumstances: Circumstances) -> bytes:
    """What all copies of a posting share."""
    preparation = Preparation(mailing_list, content, circumstances)
    del content
    for step in STEPS if mailing_list.posting_pipeline == personal.DEFAULT else AS_IT_CAME:
        step(preparation)
    return preparation.editor.content()
