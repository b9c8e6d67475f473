"""Delivery status reports (DSN, RFC 3464 in RFC 6522's frame): the ones we send, and the facts in those we get."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from posthouse.message.compose import multipart, text_part, with_crlf
from posthouse.message.dates import format_date
from posthouse.message.headers import Fields, encode_field, split
from posthouse.message.identity import message_id_of
from posthouse.message.mime import part_tree
from posthouse.message.words import decode_words

MAX_RETURNED = 50 * 1024  # octets of the returned message or of its header
MAX_GROUPS = 1_000
_BLANK = re.compile(rb"\r?\n[ \t]*\r?\n")
_BREAKS = re.compile(r"[\r\n\0]+\s*")
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_ACTIONS = frozenset(("failed", "delayed", "delivered", "relayed", "expanded"))
_SENTENCES = {
    "failed": "Your message could not be delivered to these recipients:",
    "delayed": "Your message has not been delivered to these recipients yet; it will be tried again, do not resend it:",
    "delivered": "Your message was delivered to these recipients:",
    "relayed": "Your message was handed to a server that sends no reports, for these recipients:",
    "expanded": "Your message was sent on to the members behind these recipients:",
}
_SUBJECTS = {
    "failed": "Undelivered: your message was returned",
    "delayed": "Delayed: your message is still waiting",
    "delivered": "Delivered: your message arrived",
    "relayed": "Relayed: your message went on",
    "expanded": "Expanded: your message went on",
}


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """What happened for one recipient (RFC 3464 §2.3); moments in seconds since 1970, "" or None when not known."""

    final_recipient: str
    action: str
    status: str
    diagnostic: str = ""
    remote_mta: str = ""
    original_recipient: str = ""
    will_retry_until: int | None = None
    last_attempt: int | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """What a report says to people: its Subject, its first part, and the language of both (RFC 5646)."""

    subject: str
    text: str
    language: str = "en"


@dataclass(frozen=True, slots=True)
class DsnRecipient:
    """What a received report says of one recipient; texts are "" when it does not say."""

    address: str
    original_address: str
    action: str
    status: str
    diagnostic: str
    remote_mta: str


@dataclass(frozen=True, slots=True)
class DsnFacts:
    """What a received report says: of which recipients, from whom, about which message (bare id or None)."""

    recipients: tuple[DsnRecipient, ...]
    reporting_mta: str
    envelope_id: str
    original_message_id: str | None


def compose_dsn(
    *,
    author: str,
    to: str,
    reporting_mta: str,
    message_id: str,
    date: int,
    recipients: Sequence[RecipientReport],
    original: bytes,
    return_content: bool = False,
    envelope_id: str = "",
    arrival_date: int | None = None,
    words: Words | None = None,
) -> bytes:
    """A multipart/report for the return path `to`; send it with the null return path (RFC 3464 §2).

    `author` is the From value; `return_content` returns the whole message when it is at most 50 KB (RFC 3461 §4.3
    RET=FULL), else its header only. `words`: what people read (RFC 6522 §3); by itself plain words of ours. What
    programs read is the same in every language. Raises HeaderError for a line break in `author`, `to` or `message_id`.
    """
    said = words or plain_words(recipients, reporting_mta)
    international = any(not recipient.final_recipient.isascii() for recipient in recipients)
    human = text_part(said.text, fields=[("Content-Language", said.language)])  # RFC 3282 §2
    status = _status_part(recipients, reporting_mta, envelope_id, arrival_date, international)
    report = multipart(
        "report", [human, status, _returned_part(original, return_content)], parameters=" report-type=delivery-status;"
    )
    fields = [
        ("From", author),
        ("To", f"<{to}>"),
        ("Subject", said.subject),
        ("Date", format_date(date, 0)),
        ("Message-ID", message_id),
        ("Auto-Submitted", "auto-replied"),  # RFC 3834 §5: made in answer to a message
        ("MIME-Version", "1.0"),
    ]
    original_id = message_id_of(Fields(original))
    if original_id and original_id.isascii() and len(original_id) < 900:
        fields.insert(5, ("References", f"<{original_id}>"))
    return b"".join(encode_field(name, value) for name, value in fields) + report


def plain_words(recipients: Sequence[RecipientReport], reporting_mta: str) -> Words:
    """What a report says where nobody worded it: short, in English."""
    first = recipients[0].action if recipients else "failed"
    lines = [f"This is the mail system at {_line(reporting_mta)}.", ""]
    for action, sentence in _SENTENCES.items():
        concerned = [recipient for recipient in recipients if recipient.action == action]
        if not concerned:
            continue
        lines += [sentence, ""]
        for recipient in concerned:
            lines.append(f"  {_line(recipient.final_recipient)}")
            said = _line(recipient.diagnostic) or f"status {recipient.status}"
            by = f" ({_line(recipient.remote_mta)} said)" if recipient.remote_mta else ""
            lines.append(f"    {said}{by}")
            if recipient.will_retry_until is not None:
                lines.append(f"    It will be tried until {format_date(recipient.will_retry_until, 0)}.")
        lines.append("")
    return Words(_SUBJECTS.get(first, _SUBJECTS["failed"]), "\n".join(lines))


def _status_part(
    recipients: Sequence[RecipientReport],
    reporting_mta: str,
    envelope_id: str,
    arrival_date: int | None,
    international: bool,
) -> bytes:
    kind = "global-delivery-status" if international else "delivery-status"  # RFC 6533 §4
    groups = [[("Reporting-MTA", f"dns; {reporting_mta}")]]
    if envelope_id:
        groups[0].insert(0, ("Original-Envelope-Id", envelope_id))
    if arrival_date is not None:
        groups[0].append(("Arrival-Date", format_date(arrival_date, 0)))
    for recipient in recipients:
        groups.append(_recipient_fields(recipient))
    body = b"\r\n".join(b"".join(_status_field(name, value) for name, value in group) for group in groups)
    encoding = "7bit" if body.isascii() else "8bit"
    head = encode_field("Content-Type", f"message/{kind}") + encode_field("Content-Transfer-Encoding", encoding)
    return head + b"\r\n" + body


def _status_field(name: str, value: str) -> bytes:
    """One field of a status group: UTF-8 as it is (RFC 6533 §3), folded like any other."""
    value = _line(value)
    if value.isascii():
        return encode_field(name, value)
    return f"{name}: {value}\r\n".encode("utf-8", "replace")


def _recipient_fields(recipient: RecipientReport) -> list[tuple[str, str]]:
    """RFC 3464 §2.3, in the order of its grammar."""
    fields: list[tuple[str, str]] = []
    if recipient.original_recipient:
        original = recipient.original_recipient
        fields.append(("Original-Recipient", original if ";" in original else f"rfc822; {original}"))
    kind = "rfc822" if recipient.final_recipient.isascii() else "utf-8"
    fields.append(("Final-Recipient", f"{kind}; {recipient.final_recipient}"))
    fields.append(("Action", recipient.action))
    fields.append(("Status", recipient.status))
    if recipient.remote_mta:
        fields.append(("Remote-MTA", f"dns; {recipient.remote_mta}"))
    if recipient.diagnostic:
        fields.append(("Diagnostic-Code", f"smtp; {recipient.diagnostic}"))
    if recipient.last_attempt is not None:
        fields.append(("Last-Attempt-Date", format_date(recipient.last_attempt, 0)))
    if recipient.will_retry_until is not None and recipient.action == "delayed":
        fields.append(("Will-Retry-Until", format_date(recipient.will_retry_until, 0)))
    return fields


def _line(text: str) -> str:
    return _BREAKS.sub(" ", text)[:2_000].strip()


def _returned_part(original: bytes, return_content: bool) -> bytes:
    if return_content and len(original) <= MAX_RETURNED:
        kind, raw = "message/rfc822", original
    else:
        kind, raw = "text/rfc822-headers", split(original)[0]
    raw = with_crlf(raw).replace(b"\0", b"")
    if kind != "message/rfc822" and len(raw) > MAX_RETURNED:
        raw = raw[: raw.rfind(b"\n", 0, MAX_RETURNED) + 1]
    encoding = "7bit" if raw.isascii() else "8bit"
    head = encode_field("Content-Type", kind) + encode_field("Content-Transfer-Encoding", encoding)
    return head + b"\r\n" + raw


def read_dsn(content: bytes) -> DsnFacts | None:
    """The facts of a delivery status report, or None when the message holds none; never raises, bounded."""
    root, _ = part_tree(content)
    stack, status, original = [root], None, None
    while stack:
        part = stack.pop()
        stack.extend(reversed(part.children))
        if part.content_type in ("message/delivery-status", "message/global-delivery-status") and status is None:
            status = part
        elif part.content_type in ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"):
            original = original or part
    if status is None:
        return None
    groups = _BLANK.split(status.body(content, 1024 * 1024).strip(b"\r\n \t"), maxsplit=MAX_GROUPS)[:MAX_GROUPS]
    fields = [Fields(group + b"\r\n") for group in groups]
    recipients = tuple(found for found in map(_recipient_of, fields) if found is not None)
    if not recipients:
        return None
    return DsnFacts(
        recipients,
        _after_type(fields[0].first("reporting-mta")),
        (fields[0].first("original-envelope-id") or "")[:200],
        message_id_of(Fields(original.body(content, 256 * 1024))) if original else None,
    )


def _recipient_of(fields: Fields) -> DsnRecipient | None:
    address = _after_type(fields.first("final-recipient"))
    original = _after_type(fields.first("original-recipient"))
    if not (address or original):
        return None
    action = (fields.first("action") or "").partition("(")[0].strip().lower()
    status = _STATUS.search(fields.first("status") or "")
    diagnostic = " ".join(decode_words(fields.first("diagnostic-code") or "").split())
    kind, mark, said = diagnostic.partition(";")
    return DsnRecipient(
        address or original,
        original,
        action if action in _ACTIONS else "",
        status[0] if status else "",
        (said if mark and kind.strip().isidentifier() else diagnostic).strip()[:2_000],
        _after_type(fields.first("remote-mta")),
    )


def _after_type(value: str | None) -> str:
    """`rfc822; ana@far.example` without its type; some reporters leave the type out or add brackets."""
    if not value:
        return ""
    kind, mark, rest = value.partition(";")
    return (rest if mark else kind).strip().strip("<>").strip()[:510]
