"""A message read in one pass: all that filing, searching and showing need, tolerant of whatever real mail does."""

from collections.abc import Iterator
from dataclasses import dataclass

from posthouse.address import mailboxes
from posthouse.message.dates import parse_date
from posthouse.message.headers import Fields
from posthouse.message.identity import in_reply_to_of, message_id_of, references_of
from posthouse.message.mime import Part, content_type_of, part_tree, safe_filename, transfer_decoded
from posthouse.message.text import decode_with_oddity, flowed, html_to_text
from posthouse.message.words import decode_words

__all__ = ["Attachment", "Fields", "Part", "Reading", "attachment", "part_tree", "read", "received_date_of"]

MAX_TEXT = 4 * 1024 * 1024  # encoded octets of one text part that are read
MAX_SUBJECT = 2_000
_MAX_ADDRESSES_TEXT = 20_000
# Text that is a thing to keep rather than words to read
_TEXT_FILES = frozenset(
    [
        "text/rfc822-headers",
        "text/calendar",
        "text/vcard",
        "text/x-vcard",
        "text/directory",
        "text/rtf",
        "text/css",
        "text/csv",
    ]
)
_READ_AS_TEXT = frozenset(("message/delivery-status", "message/disposition-notification"))


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attachment: `number` counts from 1 in the order of the message, `size` is in decoded octets."""

    number: int
    filename: str
    content_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What a message says. Ids are bare; `sent_at` is in seconds since 1970, `sent_offset` in minutes east."""

    message_id: str | None
    references: tuple[str, ...]
    in_reply_to: str | None
    author_name: str
    author_address: str
    recipients_text: str
    to_addresses: tuple[str, ...]
    subject: str
    sent_at: int | None
    sent_offset: int | None
    text: str
    attachments: tuple[Attachment, ...]
    oddities: tuple[str, ...]


def read(content: bytes) -> Reading:
    """Read a message; never raises, whatever the bytes are; time grows linearly with them."""
    oddities: list[str] = []
    fields = Fields(content)
    message_id = message_id_of(fields)
    if message_id is None:
        oddities.append("it has no Message-ID")
    author_name, author_address = _author(fields, oddities)
    recipients_text, to_addresses = _recipients(fields)
    sent = _sent(fields, oddities)
    text, attachments = _body(content, fields, oddities)
    return Reading(
        message_id,
        tuple(references_of(fields)),
        in_reply_to_of(fields),
        author_name,
        author_address,
        recipients_text,
        to_addresses,
        _subject(fields),
        sent[0] if sent else None,
        sent[1] if sent else None,
        text,
        attachments,
        tuple(oddities),
    )


def _author(fields: Fields, oddities: list[str]) -> tuple[str, str]:
    for name in ("from", "sender", "resent-from"):
        value = fields.first(name)
        found = mailboxes(value, decode_words) if value else []
        if found:
            return found[0]
        if value and name == "from":
            oddities.append("its From holds no address")
            return " ".join(decode_words(value).split())[:1_000], ""
        if name == "from":
            oddities.append("it has no From")
    return "", ""


def _recipients(fields: Fields) -> tuple[str, tuple[str, ...]]:
    words: list[str] = []
    addresses: dict[str, None] = {}
    for name in ("to", "cc"):
        for value in fields.all(name)[:20]:
            for shown, address in mailboxes(value, decode_words):
                words.append(f"{shown} {address}" if shown else address)
                addresses.setdefault(address)
    return ", ".join(words)[:_MAX_ADDRESSES_TEXT], tuple(addresses)


def _subject(fields: Fields) -> str:
    subject = fields.decoded("subject")
    return " ".join(subject[: MAX_SUBJECT * 2].split())[:MAX_SUBJECT] if subject else ""


def _sent(fields: Fields, oddities: list[str]) -> tuple[int, int] | None:
    value = fields.first("date")
    if not value:
        oddities.append("it has no Date")
        return None
    sent = parse_date(value)
    if sent is None:
        oddities.append("its Date cannot be read")
    return sent


def received_date_of(fields: Fields) -> tuple[int, int] | None:
    """When the last server took it (the date of the topmost Received that has one), for messages without a Date."""
    for value in fields.all("received")[:20]:
        found = parse_date(value.rpartition(";")[2])
        if found:
            return found
    return None


def _body(content: bytes, fields: Fields, oddities: list[str]) -> tuple[str, tuple[Attachment, ...]]:
    kind, parameters = content_type_of(fields.first("content-type"))
    if kind == "text/plain" and "content-disposition" not in fields and "name" not in parameters:
        # the common case: one text, no tree
        encoding = (fields.first("content-transfer-encoding") or "").strip().lower()
        raw = _bounded(content, fields.body_offset, len(content), oddities)
        return _plain(transfer_decoded(raw, encoding), parameters, oddities), ()
    root, tree_oddities = part_tree(content, fields)
    oddities.extend(tree_oddities)
    texts: list[str] = []
    attachments: list[Attachment] = []
    for part, is_text in _walk(content, root):
        if is_text:
            shown = _text_of(content, part, oddities)
            if shown.strip():
                texts.append(shown.rstrip("\n"))
        else:
            number = len(attachments) + 1
            size = len(part.body(content))
            attachments.append(Attachment(number, _filename(content, part, number), part.content_type, size))
    return "\n\n".join(texts) + "\n" if texts else "", tuple(attachments)


def _bounded(content: bytes, start: int, end: int, oddities: list[str]) -> bytes:
    if end - start > MAX_TEXT:
        oddities.append("its text is too long to be read whole")
        end = start + MAX_TEXT
    return content[start:end]


def _plain(raw: bytes, parameters: dict[str, str], oddities: list[str]) -> str:
    text, oddity = decode_with_oddity(raw, parameters.get("charset"))
    if oddity and oddity not in oddities:
        oddities.append(oddity)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if parameters and parameters.get("format", "").lower() == "flowed":
        text = flowed(text, parameters.get("delsp", "").lower() == "yes")
    return text


def _text_of(content: bytes, part: Part, oddities: list[str]) -> str:
    raw = transfer_decoded(_bounded(content, part.start, part.end, oddities), part.encoding)
    text = _plain(raw, part.parameters, oddities)
    return html_to_text(text) if part.content_type == "text/html" else text


def _filename(content: bytes, part: Part, number: int) -> str:
    name = part.filename
    if name:
        return name
    if part.content_type == "message/rfc822":
        subject = Fields(part.body(content, 64_000)).decoded("subject") or ""
        return (safe_filename(subject.replace("/", "-"))[:100] or f"message-{number}") + ".eml"
    ending = part.content_type.partition("/")[2].removeprefix("x-")
    return f"part-{number}.{ending if ending.isalnum() and len(ending) <= 5 else 'bin'}"


def _walk(content: bytes, part: Part, wants_text: bool = True) -> Iterator[tuple[Part, bool]]:
    """The leaves in order, each with whether it is text to read (else an attachment); unread alternatives left out."""
    if not part.children:
        if not _is_text(part):
            yield part, False
        elif wants_text:
            yield part, True
        return
    chosen = _chosen(content, part) if part.content_type == "multipart/alternative" else None
    for child in part.children:
        yield from _walk(content, child, wants_text and (chosen is None or child is chosen))


def _is_text(part: Part) -> bool:
    kind = part.content_type
    if kind in _READ_AS_TEXT:
        return True
    if not kind.startswith("text/") or kind in _TEXT_FILES or part.disposition == "attachment":
        return False
    return not part.filename or (part.depth == 0 and part.disposition != "attachment")


def _chosen(content: bytes, part: Part) -> Part | None:
    """The alternative that is read: plain text unless it is blank, else the last with HTML (RFC 2046 §5.1.4)."""
    rich: Part | None = None
    for child in part.children:
        if child.content_type == "text/plain" and _is_text(child) and child.body(content, 4_000).strip():
            return child
        if child.content_type == "text/html" or child.children:
            rich = child
    return rich or part.children[0]


def attachment(content: bytes, number: int) -> tuple[str, str, bytes] | None:
    """(file name, content type, decoded bytes) of the attachment with this number (see `Reading`), or None."""
    if number < 1:
        return None
    root, _ = part_tree(content)
    found = 0
    for part, is_text in _walk(content, root):
        found += not is_text
        if not is_text and found == number:
            return _filename(content, part, number), part.content_type, part.body(content)
    return None
