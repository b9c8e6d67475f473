"""What a lookup says: it knows the address and where it leads, or it does not; or it cannot say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from posthouse.address import Address


@dataclass(frozen=True, slots=True)
class Answer:
    """`values` as they were found, empty where there was no hit; `server` is who said it."""

    hit: bool
    values: tuple[str, ...]
    server: str = ""

    @classmethod
    def of(cls, values: Sequence[str], server: str = "", hit: bool | None = None) -> Answer:
        """An answer; a hit when there is a value, unless told."""
        return cls(bool(values) if hit is None else hit, tuple(values), server)


class LookupTrouble(Exception):
    """No server could answer; the text says which and why. Mail waits."""


class Unasked(Exception):
    """The lookup was not asked yet: ask it, and then again where the address leads."""

    def __init__(self, name: str, wanted: Address) -> None:
        super().__init__(f"{name} was not asked about {wanted}")
        self.name, self.wanted = name, wanted
