"""Fixed answers instead of nameservers, with faults on request: for tests and for trying things out offline."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from posthouse.dns.lookups import Answer, Lookups, NoAnswer, NoSuchName, TemporaryFailure, absolute

BEHAVIOURS = ("servfail", "refused", "timeout", "truncate", "garbage")
MOST_ALIASES = 8  # CNAMEs followed one after another

Records = Mapping[str, Mapping[str, Sequence[str]]]


class FixedZone(Lookups):
    """Answers from a table: `{"far.example": {"MX": ["10 mx.far.example."], "A": ["192.0.2.1"]}}`.

    `behaviours` names faults by domain name: `{"dead.example": "servfail"}`. Any change takes effect at once.
    `asked` counts the questions by (name, type). What is below one of `signed` counts as proven by DNSSEC.
    """

    def __init__(
        self, records: Records | None = None, behaviours: Mapping[str, str] | None = None, ttl: float = 300
    ) -> None:
        self.ttl = ttl
        self.asked: Counter[tuple[str, str]] = Counter()
        self.signed: set[dns.name.Name] = set()
        self._table: dict[dns.name.Name, dict[str, list[Any]]] = {}
        self._behaviours: dict[dns.name.Name, str] = {}
        for name, types in (records or {}).items():
            for kind, texts in types.items():
                self.put(name, kind, *texts)
        for name, behaviour in (behaviours or {}).items():
            self.behave(name, behaviour)

    @classmethod
    def from_text(cls, text: str) -> FixedZone:
        """Read lines `NAME TYPE RDATA`, names without origin; `;` begins a comment. Raises ValueError with the line."""
        zone, records = cls(), dict[tuple[str, str], list[str]]()
        for number, line in enumerate(text.splitlines(), 1):
            words = line.split(";", 1)[0].split(None, 2)
            if not words:
                continue
            if len(words) != 3:
                raise ValueError(f"line {number}: must be NAME TYPE RDATA")
            texts = records.setdefault((words[0].lower(), words[1].upper()), [])
            texts.append(words[2])
            try:
                zone.put(words[0], words[1].upper(), *texts)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None
        return zone

    def put(self, name: str, kind: str, *texts: str) -> None:
        """Set the records of one type; without texts they are removed. Raises ValueError when one cannot be read."""
        try:
            records = [
                dns.rdata.from_text(
                    dns.rdataclass.IN, dns.rdatatype.from_text(kind), text, origin=dns.name.root, relativize=False
                )
                for text in texts
            ]
        except (dns.exception.DNSException, ValueError) as error:
            raise ValueError(f"{name} {kind}: {error}") from None
        types = self._table.setdefault(absolute(name).canonicalize(), {})
        if records:
            types[kind] = records
        else:
            types.pop(kind, None)

    def behave(self, name: str, behaviour: str = "") -> None:
        """Make every question for a name fail in one of the BEHAVIOURS; an empty one heals it."""
        if behaviour and behaviour not in BEHAVIOURS:
            raise ValueError(f"{behaviour!r} is none of {', '.join(BEHAVIOURS)}")
        key = absolute(name).canonicalize()
        if behaviour:
            self._behaviours[key] = behaviour
        else:
            self._behaviours.pop(key, None)

    def sign(self, name: str) -> None:
        """From now on all of `name` and below it is proven, as a validating resolver would find it."""
        self.signed.add(absolute(name).canonicalize())

    def is_signed(self, name: dns.name.Name) -> bool:
        """Whether a validating resolver would say that what this name has is proven."""
        return any(name.is_subdomain(above) for above in self.signed)

    def behaviour(self, name: dns.name.Name) -> str:
        """The fault asked for, "" for none."""
        return self._behaviours.get(name.canonicalize(), "")

    def find(self, name: dns.name.Name, kind: str) -> list[Any] | None:
        """The records, empty when the name has none of this type, None when there is no such name."""
        for _ in range(MOST_ALIASES):
            name = name.canonicalize()
            types = self._table.get(name)
            if types is None:
                # RFC 8020: a name above an existing one exists, with nothing in it.
                return [] if any(known.is_subdomain(name) for known in self._table) else None
            if kind in types or "CNAME" not in types:
                return types.get(kind, [])
            name = types["CNAME"][0].target
        return []

    async def ask(self, name: dns.name.Name, kind: str) -> Answer:
        """One question, answered as a Resolver would that asked a server of this zone."""
        what = name.to_text(omit_final_dot=True)
        self.asked[what.lower(), kind] += 1
        behaviour = self.behaviour(name)
        if behaviour and behaviour != "truncate":
            await asyncio.sleep(0)
            raise TemporaryFailure(f"{kind} of {what}: {behaviour}")
        records = self.find(name, kind)
        if records is None:
            raise NoSuchName(f"{what} does not exist")
        if not records:
            raise NoAnswer(f"{what} has no {kind} record")
        return Answer(tuple(records), self.ttl, self.is_signed(name))
