"""The codes of DNS lists (RFC 5782 §2.3): which of the addresses 127.x.y.z a pattern means."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

LISTS = ipaddress.IPv4Network("127.0.0.0/8")  # RFC 5782 §2.3: what a list answers is in here
ERRORS = ipaddress.IPv4Network("127.255.255.0/24")  # by custom: "you may not ask me", never a listing


@dataclass(frozen=True, slots=True)
class Codes:
    """A pattern: four parts, each with the lowest and the highest number it takes; or a bit of the last part."""

    parts: tuple[tuple[int, int], ...]
    bits: int = 0

    def __contains__(self, address: ipaddress.IPv4Address) -> bool:
        octets = address.packed
        if self.bits and not octets[3] & self.bits:
            return False
        return all(low <= octet <= high for octet, (low, high) in zip(octets, self.parts, strict=True))


def codes(text: str) -> Codes:
    """Read `127.0.0.2`, `127.0.0.4-7`, `127.0.*.3`, or `&8` (that bit of the last part). Raises ValueError: the rule.

    A whole pattern must lie in 127.0.0.0/8.
    """
    rule = "must be like 127.0.0.2, 127.0.0.4-7, 127.0.*.3, or a bit of the last number like &8"
    if text.startswith("&"):
        if not text[1:].isascii() or not text[1:].isdigit() or not 0 < int(text[1:4]) < 256 or len(text) > 4:
            raise ValueError(rule)
        return Codes(((127, 127), (0, 255), (0, 255), (0, 255)), int(text[1:]))
    parts = tuple(_part(part, rule) for part in text.split("."))
    if len(parts) != 4 or parts[0] != (127, 127):
        raise ValueError(rule)
    return Codes(parts)


def _part(text: str, rule: str) -> tuple[int, int]:
    if text == "*":
        return 0, 255
    low, dash, high = text.partition("-")
    for number in (low, high) if dash else (low,):
        if not number.isascii() or not number.isdigit() or len(number) > 3 or int(number) > 255:
            raise ValueError(rule)
    bounds = int(low), int(high) if dash else int(low)
    if bounds[0] > bounds[1]:
        raise ValueError(rule)
    return bounds
