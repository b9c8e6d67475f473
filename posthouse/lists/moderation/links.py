"""Signed links that decide about a held posting without signing in, and the token of a reply by mail."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass

from posthouse.lists import tokens

RELEASE, REJECT, DISCARD, BAN, ACCEPT = "release", "reject", "discard", "ban", "accept"
ACTS = (RELEASE, REJECT, DISCARD, BAN, ACCEPT)
LIFE = 30 * 86_400  # seconds that a link works
_LINK, _REPLY = b"posthouse-held", b"posthouse-reply"  # at most 16 octets: BLAKE2's person
MOST_LETTERS = 200  # of a link's token
_REPLY_NUMBER, _REPLY_MAC = 5, 11  # octets: 16 together, 26 letters of base32


@dataclass(frozen=True, slots=True)
class HeldLink:
    """What a link says: which held posting, what to do with it, until when (seconds since 1970 UTC)."""

    held: int
    act: str
    expires_at: int


def link_token(held: int, act: str, now: int) -> str:
    """The token of a link that does `act` to a held posting; works for LIFE. `now` in milliseconds."""
    payload = f"{held}:{act}:{now // 1000 + LIFE}".encode("ascii")
    return tokens.sealed(tokens.key_for(_LINK), payload)


def read_link(token: str) -> HeldLink | None:
    """What a token of this house says, expired or not; None when it is none."""
    payload = tokens.unsealed(tokens.key_for(_LINK), token, MOST_LETTERS)
    if payload is None:
        return None
    held, act, expires = payload.decode("ascii").split(":")
    return HeldLink(int(held), act, int(expires))


def reply_token(held: int) -> str:
    """The token of the address that a reply to the notice goes to: letters that survive a change of case."""
    number = held.to_bytes(_REPLY_NUMBER, "big")
    return (
        base64.b32encode(number + tokens.mac(tokens.key_for(_REPLY), number, _REPLY_MAC))
        .decode("ascii")
        .lower()
        .rstrip("=")
    )


def read_reply(token: str) -> int | None:
    """The number of the held posting that a reply is about, or None."""
    word = token.strip().upper()
    if len(word) != 26 or not word.isascii():
        return None
    try:
        raw = base64.b32decode(f"{word}======")
    except (binascii.Error, ValueError):
        return None
    number, mac = raw[:_REPLY_NUMBER], raw[_REPLY_NUMBER:]
    if not hmac.compare_digest(mac, tokens.mac(tokens.key_for(_REPLY), number, _REPLY_MAC)):
        return None
    return int.from_bytes(number, "big")
