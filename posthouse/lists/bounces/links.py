"""The link in a warning that begins delivery again: signed, nothing stored, over with the stop that it is for."""

from __future__ import annotations

from datetime import datetime

from posthouse.lists import tokens

_PURPOSE = b"posthouse-bounce"  # at most 16 octets: BLAKE2's person


def restart_token(list_pk: int, key: str, stopped_at: datetime) -> str:
    """The token that ends this stop of delivery to the member with this address key."""
    payload = f"{list_pk}:{int(stopped_at.timestamp())}:{key}".encode("utf-8", "surrogateescape")
    return tokens.sealed(tokens.key_for(_PURPOSE), payload)


def read_token(token: str) -> tuple[int, int, str] | None:
    """(list, when delivery stopped in seconds since 1970, address key) of a token this site signed, or None."""
    payload = tokens.unsealed(tokens.key_for(_PURPOSE), token)
    if payload is None:
        return None
    pk, since, key = payload.decode("utf-8", "surrogateescape").split(":", 2)
    return int(pk), int(since), key
