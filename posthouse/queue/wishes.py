"""What the sender wished to be told (RFC 3461 §4.1)."""

from __future__ import annotations


def wants(notify: str | None, occasion: str) -> bool:
    """Whether NOTIFY asks for a report on FAILURE, DELAY or SUCCESS; without NOTIFY: on failure and delay."""
    if not notify:
        return occasion != "SUCCESS"
    return occasion in notify.upper().split(",")
