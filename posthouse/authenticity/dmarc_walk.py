"""The DNS tree walk of DMARC (RFC 9989 §4.10): at most eight questions, and the organizational domain they lead to."""

from __future__ import annotations

from dataclasses import dataclass

from posthouse.authenticity.dmarc_record import Record, parse
from posthouse.authenticity.names import question
from posthouse.dns.lookups import Lookups, NoAnswer, NoSuchName, TemporaryFailure

__all__ = ["MOST_QUERIES", "Walk", "Walker", "names_of_walk"]

MOST_QUERIES = 8


@dataclass(frozen=True, slots=True)
class Walk:
    """One walk: `records` by name from the longest to the shortest, `asked` names in order.

    `trouble`: a sentence when a lookup failed for now, so that nothing above it is known.
    """

    domain: str
    records: tuple[tuple[str, Record], ...]
    asked: tuple[str, ...]
    trouble: str = ""

    def record_of(self, name: str) -> Record | None:
        """The record met at a name, None for none."""
        return next((record for met, record in self.records if met == name), None)

    @property
    def organization(self) -> str:
        """The organizational domain (RFC 9989 §4.10.2), "" when the walk was cut short before it was known."""
        for name, record in self.records:
            if record.psd == "n":
                return name
            if record.psd == "y" and name != self.domain:
                below = self.domain[: -len(name) - 1].rpartition(".")[2]
                return f"{below}.{name}"
        if self.trouble:
            return ""
        return self.records[-1][0] if self.records else self.domain

    @property
    def suffix(self) -> tuple[str, Record] | None:
        """The record of a public suffix above the domain (psd=y), if one was met."""
        return next(((name, one) for name, one in self.records if one.psd == "y" and name != self.domain), None)


def names_of_walk(domain: str) -> list[str]:
    """The names that are asked in turn: the domain, then at most its last seven labels, one fewer each time."""
    labels = domain.split(".")
    counts = [len(labels), *range(min(len(labels) - 1, MOST_QUERIES - 1), 0, -1)]
    return [".".join(labels[-count:]) for count in counts]


class Walker:
    """The walks of one message, which share the upper part of the tree. Names as `a_label` gives them."""

    def __init__(self, lookups: Lookups) -> None:
        self._lookups = lookups
        self._known: dict[str, Record | TemporaryFailure | None] = {}
        self._walks: dict[str, Walk] = {}

    async def walk(self, domain: str) -> Walk:
        """Walk up from a domain until a record says psd=y or psd=n, or the root is reached."""
        if domain not in self._walks:
            self._walks[domain] = await self._walk(domain)
        return self._walks[domain]

    async def _walk(self, domain: str) -> Walk:
        records: list[tuple[str, Record]] = []
        asked: list[str] = []
        for name in names_of_walk(domain):
            asked.append(f"_dmarc.{name}")
            found = await self._at(name)
            if isinstance(found, TemporaryFailure):
                return Walk(domain, tuple(records), tuple(asked), str(found))
            if found is not None:
                records.append((name, found))
                if found.psd != "u":
                    break
        return Walk(domain, tuple(records), tuple(asked))

    async def _at(self, name: str) -> Record | TemporaryFailure | None:
        if name not in self._known:
            self._known[name] = await self._ask(name)
        return self._known[name]

    async def _ask(self, name: str) -> Record | TemporaryFailure | None:
        asked = question(f"_dmarc.{name}")
        if asked is None:
            return None
        try:
            answer = await self._lookups.ask(asked, "TXT")
        except (NoSuchName, NoAnswer):
            return None
        except TemporaryFailure as failure:
            return failure
        found = [record for record in (parse(b"".join(one.strings)) for one in answer.records) if record]
        return found[0] if len(found) == 1 else None  # RFC 9989 §4.10: of several, none counts

    async def exists(self, name: str) -> bool:
        """Whether a name exists, with whatever records (RFC 9989 §3.2.13). Raises TemporaryFailure."""
        asked = question(name)
        if asked is None:
            return False
        try:
            await self._lookups.ask(asked, "A")
        except NoSuchName:
            return False
        except NoAnswer:
            return True
        return True
