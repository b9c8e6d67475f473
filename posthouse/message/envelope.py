"""The SMTP envelope: who answers for a message, to whom it goes, and what was asked for it."""

from dataclasses import dataclass
from typing import Literal

NULL_RETURN_PATH = ""  # RFC 5321 §4.5.5: the return path of what must never be answered by a bounce

Body = Literal["7BIT", "8BITMIME"]


@dataclass(frozen=True, slots=True)
class Recipient:
    """One RCPT TO with its DSN wishes (RFC 3461 §4): `notify` is NEVER or a comma list, "" when not given."""

    address: str
    notify: str = ""
    original_recipient: str = ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What MAIL FROM and RCPT TO said; `envelope_id` and `ret` are RFC 3461's ENVID and RET, "" when not given."""

    return_path: str
    recipients: tuple[Recipient, ...]
    body: Body = "7BIT"
    smtputf8: bool = False
    envelope_id: str = ""
    ret: str = ""
