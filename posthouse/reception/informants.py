"""Who can be asked about a visit and a message: what `gathering` expects of each, and the table of those there are.

`sources` makes the table from the configuration; nobody here knows how an answer is found.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from posthouse.authenticity.spf import Spf
from posthouse.content.spool import Spooled
from posthouse.reception.evidence import Evidence, Witness
from posthouse.reception.policy.facts import Excess, Listing, Standing, Verified, Visit, Waiting
from posthouse.reception.scanners import Scanners


class Blocklists(Protocol):
    """DNS lists (RFC 5782). `deadline` on the event loop's clock. Never raises."""

    async def of_address(self, address: str, deadline: float) -> Listing: ...

    def known_domain(self, domain: str) -> Listing | None: ...

    async def of_domain(self, domain: str, deadline: float) -> Listing: ...


class Reputation(Protocol):
    """What was seen before. `of` never raises; `learn` is told of what was accepted and what was refused."""

    async def of(self, address: str, domain: str) -> Standing: ...

    def learn(self, address: str, domain: str, good: bool) -> None: ...


class Callouts(Protocol):
    """Asks other hosts about addresses. Never raises, never later than its own deadline."""

    async def sender(self, address: str, recipient: str) -> Verified: ...

    async def authors(self, header: bytes, recipients: Sequence[str]) -> tuple[Verified, ...]: ...

    async def recipient(self, address: str, next_hop: str) -> Verified: ...


class Greylist(Protocol):
    """Strangers have to come again."""

    async def judge(
        self, visit: Visit, return_path: str, recipients: Sequence[str], evidence: Evidence | None, learn: bool = True
    ) -> dict[str, Waiting]: ...

    def passed(self, visit: Visit, return_path: str, judged: Iterable[Waiting], evidence: Evidence | None) -> None: ...


class Flood(Protocol):
    """Rates. `excess` and `crowded` answer from memory; `count` is told what happened: "connections", "messages",
    "recipients", "refused recipients"."""

    def excess(
        self, visit: Visit, return_path: str = "", recipient: str = "", mailing_list: str = "", known_as: str = ""
    ) -> tuple[Excess, ...]: ...

    def crowded(self, visit: Visit, return_path: str, recipient: str, mailing_list: str = "") -> bool: ...

    def count(
        self, what: str, visit: Visit, return_path: str = "", recipient: str = "", mailing_list: str = "",
        known_as: str = "",
    ) -> None: ...  # fmt: skip


class Acquaintances(Protocol):
    """Who was here before a flood. `at_once` answers from memory; `of` never raises, "" for nobody."""

    def at_once(self, visit: Visit) -> str: ...

    async def of(self, visit: Visit, return_path: str, spf: Callable[[], Awaitable[Spf | None]]) -> str: ...


class Existence(Protocol):
    """Whether names exist: "exists", "missing" or "unknown". `known` is "" where it has to be asked. Never raises."""

    def known(self, name: str) -> str: ...

    async def of(self, name: str, deadline: float) -> str: ...


# (header, content, whether it came with SMTPUTF8) -> (check, reason)
Findings = Callable[[bytes, Spooled, bool], Awaitable[tuple[tuple[str, str], ...]]]


@dataclass
class Sources:
    """Who can be asked in this process; None where the configuration has nobody."""

    seconds: float = 10.0  # for each thing to find out
    witness: Witness | None = None  # and with it the DNS
    blocklists: Blocklists | None = None
    reputation: Reputation | None = None
    callouts: Callouts | None = None
    greylist: Greylist | None = None
    flood: Flood | None = None
    acquaintances: Acquaintances | None = None
    scanners: Scanners | None = None  # false when none is configured
    sender_domain: Existence | None = None
    helo_host: Existence | None = None
    findings: Findings | None = None
    learns: bool = True  # whether what is asked may be remembered; `posthouse policy try` leaves no trace
    chores: list[Callable[[], Awaitable[object]]] = field(default_factory=list)  # about once a second
    forgetting: list[Callable[[], object]] = field(default_factory=list)  # when an operator changed what is remembered
    doubting: list[Callable[[], object]] = field(default_factory=list)  # when nobody would have heard of it
    closing: list[Callable[[], Awaitable[object] | None]] = field(default_factory=list)  # before the database goes
