"""What the connections of one kind of listener share, and who is inside."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random

from posthouse import configuration
from posthouse.dns.networks import Networks
from posthouse.reception.acceptance import Acceptance
from posthouse.reception.informants import Sources
from posthouse.reception.limits import Doorkeeper
from posthouse.reception.login import Login
from posthouse.reception.policy.checks import CHECKS
from posthouse.reception.policy.decision import OFF, Decision
from posthouse.reception.policy.facts import Visit
from posthouse.reception.policy.question import STRANGER, Rules
from posthouse.reception.pressure import Pressure
from posthouse.reception.tally import Tally
from posthouse.routing import Router
from posthouse.smtp.reply import Reply
from posthouse.smtp.server import Server
from posthouse.smtp.session import Extensions, Limits


class Guests:
    """Every connection of the process that was greeted and has not gone."""

    def __init__(self) -> None:
        self._inside: set[Server] = set()
        self._empty = asyncio.Event()

    def add(self, server: Server) -> None:
        """One came in."""
        self._inside.add(server)

    def discard(self, server: Server) -> None:
        """One has gone."""
        self._inside.discard(server)
        if not self._inside:
            self._empty.set()

    def shutdown(self) -> None:
        """Tell each to go at its next command boundary."""
        for server in list(self._inside):
            server.shutdown()

    async def gone(self, seconds: float) -> None:
        """Wait until all have gone, at most `seconds`; then cut off who is still here."""
        self._empty.clear()
        if self._inside:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), seconds)
        for server in list(self._inside):
            server.abort()


class Neighbourhood:
    """The named networks of the configuration: which of them an address is in."""

    def __init__(self, chosen: configuration.Configuration) -> None:
        self._networks = {name: Networks(chosen.hosts(entries)) for name, entries in chosen.networks.items()}

    def of(self, address: str) -> frozenset[str]:
        """The names, remembered by each network."""
        if not self._networks:
            return _NOWHERE
        return frozenset(name for name, network in self._networks.items() if address in network)


_NOWHERE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Desk:
    """What all connections of one kind of listener share."""

    kind: str  # transfer, submission, submissions or lmtp
    host: str
    banner: str
    limits: Limits
    hops: int
    extensions: Extensions
    router: Router
    acceptance: Acceptance
    login: Login
    doorkeeper: Doorkeeper
    relay_networks: Networks
    spool_folder: Path
    spool_above: int
    clock: Callable[[], float]
    random: Random
    guests: Guests
    decision: Decision
    neighbourhood: Neighbourhood
    tally: Tally
    pressure: Pressure
    configuration: configuration.Configuration
    sources: Sources = field(default_factory=Sources)
    greet_seconds: float = 0.0  # of [policy] greet_delay
    soft: bool = False  # every 5yz is said as 4yz

    @cached_property
    def greeting(self) -> Reply:
        """220 with our name (RFC 5321 §4.2)."""
        return Reply(220, "", f"{self.host} {'LMTP' if self.kind == 'lmtp' else 'ESMTP'} {self.banner}".rstrip())

    @cached_property
    def hello(self) -> Reply:
        """The first line of the answer to HELO, EHLO or LHLO (RFC 5321 §4.1.1.1)."""
        return Reply(250, "", self.host)

    @cached_property
    def submission(self) -> bool:
        """Whether people sign in here."""
        return self.kind in ("submission", "submissions")

    @cached_property
    def may_hold_back(self) -> bool:
        """Whether the greeting of anybody at all waits here."""
        policy = self.decision.policy
        said = [policy.early_talker, *(modes.get("early_talker", OFF) for modes in policy.listener.values())]
        said += [modes.get("early_talker", OFF) for modes in policy.network.values()]
        return self.greet_seconds > 0 and any(mode != OFF for mode in said)

    def scans(self, visit: Visit) -> bool:
        """Whether scanners look at the mail of this connection."""
        scanners = self.sources.scanners
        return scanners is not None and scanners.looks_at(visit)

    def role(self, address: str) -> str:
        """What a client of this address is here before it signs in."""
        return role_of(self.kind, address, self.relay_networks)


def role_of(kind: str, address: str, relay_networks: Networks) -> str:
    """What a client of this address is on a listener of this kind: stranger, relay or account."""
    if kind in ("submission", "submissions"):
        return "account"
    # No address is trusted for being near: loopback relays when the operator lists it, like any other network.
    return "relay" if kind == "lmtp" or address in relay_networks else STRANGER


def decision_of(chosen: configuration.Configuration) -> Decision:
    """The modes and rules of the configuration."""
    relays = bool(chosen.reception.relay_domains)
    unverified = chosen.verification.when_down == "accept"
    scanned = {pair for scanner in chosen.scanners.values() for pair in scanner.trusted}
    rules = Rules(chosen.policy, chosen.host, chosen.hosts, relays, unverified, scanned, chosen.names)
    return Decision(chosen.policy, rules)


def asked_for(chosen: configuration.Configuration) -> frozenset[str]:
    """Everything that some mode somewhere in the file needs to be found out."""
    policy = chosen.policy
    levels = [policy.listener, policy.network, policy.domain, policy.mailing_list]
    on = {check.name for check in CHECKS if getattr(policy, check.name) != OFF}
    on |= {name for level in levels for modes in level.values() for name, mode in modes.items() if mode != OFF}
    return frozenset(need for check in CHECKS if check.name in on for need in check.needs)
