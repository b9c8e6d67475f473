"""Sets of domains as settings write them: names, and `.domain` for all names below it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from posthouse.address import AddressError, normal_domain


class DomainSet:
    """Knows whether a domain (lower case, A-labels) is in it. What is no domain name is left out."""

    __slots__ = ("above", "names")

    def __init__(self, entries: Iterable[str]) -> None:
        names: set[str] = set()
        above: set[str] = set()
        for entry in entries:
            try:
                (above if entry.startswith(".") else names).add(normal_domain(entry.lstrip(".")))
            except AddressError:
                continue
        self.names, self.above = frozenset(names), frozenset(above)

    def __contains__(self, domain: str) -> bool:
        if domain in self.names:
            return True
        if not self.above:
            return False
        rest = domain.partition(".")[2]
        while rest:
            if rest in self.above:
                return True
            rest = rest.partition(".")[2]
        return False

    def __bool__(self) -> bool:
        return bool(self.names or self.above)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DomainSet) and (self.names, self.above) == (other.names, other.above)

    def __hash__(self) -> int:
        return hash((self.names, self.above))


@lru_cache(maxsize=256)
def domain_set(entries: tuple[str, ...]) -> DomainSet:
    """The set of these entries, made once."""
    return DomainSet(entries)
