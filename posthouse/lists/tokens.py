"""Tokens: the unsubscribe link of each copy (signed, nothing stored), and confirmations (random, digests stored)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets

from django.conf import settings

_MAC = 16
_PURPOSE = b"posthouse-unsub"  # at most 16 octets: BLAKE2's person
_CONFIRMATION = re.compile(r"[a-z2-7]{26}")


def key_for(purpose: bytes) -> bytes:
    """The key for a purpose (at most 16 octets), made from the site's secret."""
    return hashlib.blake2b(str(settings.SECRET_KEY).encode(), digest_size=32, person=purpose).digest()


def mac(key: bytes, payload: bytes, size: int = _MAC) -> bytes:
    """What only who has the key can say of a payload."""
    return hashlib.blake2b(payload, digest_size=size, key=key).digest()


def sealed(key: bytes, payload: bytes) -> str:
    """A payload that everybody may read and nobody may change, as letters of a URL."""
    return base64.urlsafe_b64encode(mac(key, payload) + payload).rstrip(b"=").decode("ascii")


def unsealed(key: bytes, token: str, most: int = 1000) -> bytes | None:
    """The payload of a token of at most so many letters that was sealed with this key, or None."""
    if len(token) > most or not token.isascii():
        return None
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    said, payload = raw[:_MAC], raw[_MAC:]
    return payload if hmac.compare_digest(said, mac(key, payload)) else None


def unsubscribe_key() -> bytes:
    """The key of unsubscribe links."""
    return key_for(_PURPOSE)


def signed(key: bytes, list_pk: int, address: str) -> str:
    """The token for one member of one list, by a key that the caller keeps; costs about 2 microseconds."""
    return sealed(key, f"{list_pk}:{address}".encode("utf-8", "surrogateescape"))


def read_unsubscribe(token: str) -> tuple[int, str] | None:
    """(list, address) of a token this site signed, or None."""
    payload = unsealed(unsubscribe_key(), token)
    if payload is None:
        return None
    number, _, address = payload.decode("utf-8", "surrogateescape").partition(":")
    return int(number), address


def new_confirmation() -> str:
    """130 random bits in letters that survive mail systems that change the case of addresses."""
    return base64.b32encode(secrets.token_bytes(17)).decode("ascii").lower()[:26]


def confirmation_in(text: str) -> str:
    """The confirmation token that a text is, in its own spelling, or "" when it is none."""
    word = text.strip().lower()
    return word if _CONFIRMATION.fullmatch(word) else ""


def digest(token: str) -> str:
    """What is stored of a confirmation token."""
    return hashlib.sha256(token.strip().lower().encode("utf-8", "replace")).hexdigest()
