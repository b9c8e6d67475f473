"""Names with addresses in header fields: read from them, and written so that every mailer reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from posthouse.address import AddressError, key_of, mailboxes
from posthouse.message.headers import Fields
from posthouse.message.words import HARD_LINE, decode_words, encode_phrase

Mailbox = tuple[str, str]  # (display name, address)

MOST = 100  # of one field that are read
_CONTROLS = re.compile(r"[\0-\x1f\x7f]+")


def in_fields(fields: Fields, name: str) -> list[Mailbox]:
    """The mailboxes in all fields of a name; what is no address is left out."""
    found: list[Mailbox] = []
    for value in fields.all(name)[:20]:
        for shown, address in mailboxes(value, decode_words)[:MOST]:
            try:
                key_of(address)
            except AddressError:
                continue
            found.append((shown, address))
    return found[:MOST]


def written(boxes: Iterable[Mailbox]) -> str:
    """A field's value with these mailboxes, each address once."""
    seen: dict[str, str] = {}
    for shown, address in boxes:
        seen.setdefault(key_of(address), _one(shown, address))
    return ", ".join(seen.values())


def _one(shown: str, address: str) -> str:
    shown = " ".join(_CONTROLS.sub(" ", shown).split())[: HARD_LINE // 4]
    return f"{encode_phrase(shown)} <{address}>" if shown else f"<{address}>"
