"""The MIME digest: masthead, contents, the postings as messages (RFC 2046 §5.1.5), footer."""

from __future__ import annotations

from posthouse.lists.digests.issue import Entry, Issue
from posthouse.message.compose import multipart, text_part
from posthouse.message.headers import encode_field

# What readers need; traces, signatures (which a digest breaks), passwords and what other lists said stay away.
KEPT = frozenset((
    "date", "from", "to", "cc", "reply-to", "subject", "message-id", "in-reply-to", "references", "keywords",
    "summary", "comments", "organization", "mime-version",
))  # fmt: skip


def body(issue: Issue) -> bytes:
    """The digest's content from its Content-Type on."""
    parts = [text_part(issue.masthead, fields=[("Content-Description", issue.title)])]
    if issue.header:
        parts.append(text_part(issue.header, fields=[("Content-Description", issue.said("Digest Header"))]))
    parts.append(text_part(issue.contents, fields=[("Content-Description", issue.topics.rstrip(":"))]))
    parts.append(_marked(multipart("digest", [_part(entry) for entry in issue.entries])))
    if issue.footer:
        parts.append(text_part(issue.footer, fields=[("Content-Description", issue.said("Digest Footer"))]))
    return _marked(multipart("mixed", parts))


def _marked(entity: bytes) -> bytes:
    """The multipart with the encoding that its parts ask for (RFC 2045 §6.4)."""
    return entity if entity.isascii() else b"Content-Transfer-Encoding: 8bit\r\n" + entity


def _part(entry: Entry) -> bytes:
    """One posting as message/rfc822, which may not be encoded (RFC 2046 §5.2.1): its text stays as it came."""
    message = _message(entry)
    head = encode_field("Content-Type", "message/rfc822")
    if not message.isascii():
        head += b"Content-Transfer-Encoding: 8bit\r\n"
    return head + b"\r\n" + message


def _message(entry: Entry) -> bytes:
    fields = [raw for name, raw in _kept(entry)]
    if "date" not in entry.fields:
        fields.append(encode_field("Date", entry.date))
    if "message-id" not in entry.fields and entry.message_id:
        fields.append(encode_field("Message-ID", f"<{entry.message_id}>"))
    if entry.permalink:
        fields.append(encode_field("Archived-At", f"<{entry.permalink}>"))  # RFC 5064
    body = entry.content[entry.fields.body_offset :]
    return b"".join(fields) + b"\r\n" + (body if body.endswith(b"\r\n") else body + b"\r\n")


def _kept(entry: Entry) -> list[tuple[str, bytes]]:
    """Fields as they came; raw letters outside ASCII become encoded words, since the outer header promises none."""
    found = []
    for name, raw in entry.fields:
        lower = name.lower()
        if lower not in KEPT and not lower.startswith("content-"):
            continue
        if not raw.isascii() and lower in KEPT:
            value = " ".join((entry.fields.decoded(name) or "").split())
            raw = encode_field(name, value)
        found.append((lower, raw if raw.endswith(b"\r\n") else raw.rstrip(b"\r\n") + b"\r\n"))
    return found
