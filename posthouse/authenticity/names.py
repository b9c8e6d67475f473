"""Domain names as they stand in records, macros and signatures: made into questions without ever raising."""

from __future__ import annotations

from functools import lru_cache

import dns.exception
import dns.name

from posthouse.address import AddressError, normal_domain

__all__ = ["a_label", "below", "question"]


MOST_TEXT = 1_024  # characters: no name is as long, and nothing longer is worth remembering


def question(text: str) -> dns.name.Name | None:
    """A name as it is asked, octet for octet (no escapes, no IDNA); None when it cannot exist (RFC 1035 §2.3.4)."""
    return _question(text) if len(text) <= MOST_TEXT else None


@lru_cache(maxsize=4_096)  # the same names are asked for with every message of a sender
def _question(text: str) -> dns.name.Name | None:
    text = text[:-1] if text.endswith(".") else text
    try:
        return dns.name.Name([*text.encode("utf-8", "replace").split(b"."), b""])
    except dns.exception.DNSException:
        return None


def a_label(text: str) -> str:
    """The one spelling names are compared in: A-labels, lower case, no final dot. What is no name stays as it is."""
    text = text.strip().rstrip(".")
    try:
        return normal_domain(text)
    except AddressError:
        return text.lower()


def below(name: str, domain: str) -> bool:
    """Whether a name is the domain or stands under it; both as `a_label` gives them."""
    return name == domain or name.endswith("." + domain)
