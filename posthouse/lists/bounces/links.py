"""The link in a warning that begins delivery again: signed, nothing stored, over with the stop that it is for."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import datetime

from django.conf import settings

_PURPOSE = b"posthouse-bounce"  # at most 16 octets: BLAKE2's person
_MAC = 16


def restart_token(list_pk: int, key: str, stopped_at: datetime) -> str:
    """The token that ends this stop of delivery to the member with this address key."""
    payload = f"{list_pk}:{int(stopped_at.timestamp())}:{key}".encode("utf-8", "surrogateescape")
    return base64.urlsafe_b64encode(_mac(payload) + payload).rstrip(b"=").decode("ascii")


def read_token(token: str) -> tuple[int, int, str] | None:
    """(list, when delivery stopped in seconds since 1970, address key) of a token this site signed, or None."""
    if len(token) > 1000 or not token.isascii():
        return None
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    mac, payload = raw[:_MAC], raw[_MAC:]
    if not hmac.compare_digest(mac, _mac(payload)):
        return None
    pk, since, key = payload.decode("utf-8", "surrogateescape").split(":", 2)
    return int(pk), int(since), key


def _mac(payload: bytes) -> bytes:
    key = hashlib.blake2b(str(settings.SECRET_KEY).encode(), digest_size=32, person=_PURPOSE).digest()
    return hashlib.blake2b(payload, digest_size=_MAC, key=key).digest()
