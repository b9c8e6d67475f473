"""The plain digest of RFC 1153: one text that old readers burst; what is no text is linked or attached, never lost."""

from __future__ import annotations

import re
from collections.abc import Iterator

from posthouse.lists.digests.issue import Entry, Issue
from posthouse.message.compose import Attached, attached_part, multipart, text_part
from posthouse.message.parsing import attachment

PREAMBLE_END = "-" * 70  # RFC 1153: seventy hyphens end the preamble
BETWEEN = "-" * 30  # RFC 1153: thirty hyphens end each message
# RFC 1153: these are kept, in this order; Mailman's number of the message stands before them
KEPT = ("Date", "From", "To", "Cc", "Subject", "Message-ID", "Keywords", "Summary")
_RULE = re.compile(r"^(?=-{30}$|-{70}$)", re.MULTILINE)
_LONGEST_FIELD = 10_000


def body(issue: Issue) -> bytes:
    """The digest's content from its Content-Type on: a text, with attachments only where the archive has none."""
    files: list[Attached] = []
    text = text_part("\n\n".join(_pieces(issue, files)) + "\n")
    if not files:
        return text
    return multipart("mixed", [text, *(attached_part(one) for one in files)])


def _pieces(issue: Issue, files: list[Attached]) -> Iterator[str]:
    yield issue.masthead.strip("\n")
    if issue.header:
        yield issue.header.strip("\n")
    yield issue.contents.strip("\n")
    yield PREAMBLE_END
    for entry in issue.entries:
        yield f"{_header(entry)}\n\n{_text(issue, entry, files)}".rstrip("\n")
        yield BETWEEN
    if issue.footer:
        yield f"Subject: {issue.said('Digest Footer')}\n\n{_stuffed(issue.footer.strip(chr(10)))}"
        yield BETWEEN
    end = f"{issue.said('End of')} {issue.title}"
    yield f"{end}\n{'*' * len(end)}"


def _header(entry: Entry) -> str:
    lines = [f"Message: {entry.number}"]
    for name in KEPT:
        value = " ".join((entry.fields.decoded(name) or "").split())[:_LONGEST_FIELD]
        if not value and name == "Date":
            value = entry.date
        if not value and name == "Message-ID" and entry.message_id:
            value = f"<{entry.message_id}>"
        if not value and name == "Subject":
            value = entry.subject
        if value:
            lines.append(_folded(f"{name}: {value}"))
    return "\n".join(lines)


def _folded(line: str) -> str:
    """A header line of at most 78 letters where it has spaces; what follows is indented (RFC 5322 §2.2.3)."""
    folded, current = "", ""
    for word in line.split(" "):
        if current and len(current) + 1 + len(word) > 78:
            folded += current + "\n"
            current = "    " + word
        else:
            current = f"{current} {word}" if current else word
    return folded + current


def _text(issue: Issue, entry: Entry, files: list[Attached]) -> str:
    parts = [_stuffed(entry.reading.text.strip("\n"))] if entry.reading.text.strip() else []
    for one in entry.reading.attachments:
        name = " ".join(one.filename.split())
        told = f"[{issue.said('Attachment')}: {name} ({one.content_type}, {max(1, round(one.size / 1024))} KB)"
        if entry.permalink:
            parts.append(f"{told}]\n<{entry.attachment_url(one.number, one.filename)}>")
            continue
        found = attachment(entry.content, one.number)
        if found is not None:
            files.append(Attached(found[0], found[1], found[2]))
            parts.append(f"{told}, {issue.said('at the end of this digest')}]")
    return "\n\n".join(parts) or f"[{issue.said('This message has no text.')}]"


def _stuffed(text: str) -> str:
    """The text with a space before each line that would end a message (RFC 1153)."""
    return _RULE.sub(" ", text)
