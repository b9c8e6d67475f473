"""Who can be asked about a stranger, made from the configuration: the same for reception and for `policy try`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from random import random

from posthouse.configuration import Configuration, Policy, endpoint
from posthouse.content.spool import Spooled
from posthouse.database import Bridge
from posthouse.dns.resolver import Resolver
from posthouse.reception import names
from posthouse.reception.acquaintance import Acquaintances
from posthouse.reception.blocklists import Blocklists
from posthouse.reception.callouts import Callouts
from posthouse.reception.content_checks import findings
from posthouse.reception.desk import asked_for
from posthouse.reception.evidence import Witness
from posthouse.reception.flood import Flood
from posthouse.reception.greylisting import Greylist
from posthouse.reception.informants import Sources
from posthouse.reception.proof import INLINE
from posthouse.reception.reputation import Reputation
from posthouse.reception.scanners import Scanners
from posthouse.routing import Router, ToRemote

_CALLOUTS = ("callout", "author_callouts")
_OF_DNS = frozenset(("client_name", "listing", "helo_domain", "sender_domain", "domain_listing", *_CALLOUTS))


def open_sources(
    chosen: Configuration, bridge: Bridge, clock: Callable[[], float], router: Router, *, learns: bool = True
) -> Sources:
    """All that some mode of the file needs. Close with `close`. A trial asks nobody: its mail comes from loopback."""
    sources = Sources(seconds=chosen.evidence.deadline, learns=learns)
    wanted = asked_for(chosen)
    verifies = "verified" in wanted and bool(chosen.reception.relay_domains)
    if not chosen.trial and (chosen.evidence.enabled or verifies or wanted & _OF_DNS):
        lookups = _with_dns(chosen, sources, wanted, clock)
        if verifies or wanted.intersection(_CALLOUTS):
            _with_callouts(chosen, sources, lookups, bridge, clock, router)
    if "findings" in wanted:
        sources.findings = partial(_look_through, chosen.policy)
    if chosen.scanners:
        sources.scanners = Scanners(chosen.scanners, chosen, clock)
    if not chosen.trial:
        _with_memory(chosen, sources, bridge, wanted, clock)
    return sources


def _with_dns(chosen: Configuration, sources: Sources, wanted: frozenset[str], clock: Callable[[], float]) -> Resolver:
    lookups = Resolver(
        [endpoint(text) for text in chosen.dns.nameservers], chosen.dns.timeout, clock, chosen.dns.trusted
    )
    if chosen.evidence.enabled:
        sources.witness = Witness(chosen.evidence, lookups, chosen.host, clock)
        sources.closing.append(sources.witness.close)
    if chosen.dns_lists and wanted & {"listing", "domain_listing"}:
        blocklists = sources.blocklists = Blocklists(chosen.dns_lists, lookups, clock)
        sources.closing.append(blocklists.close)
    sources.sender_domain = names.Existence(names.sender_domain, lookups, clock)
    sources.helo_host = names.Existence(names.helo_host, lookups, clock)
    sources.closing.append(lookups.close)
    return lookups


def _with_callouts(
    chosen: Configuration, sources: Sources, lookups: Resolver, bridge: Bridge, clock: Callable[[], float],
    router: Router,
) -> None:  # fmt: skip
    async def ours(domain: str) -> bool:
        return type(await router.route(f"postmaster@{domain}", True)) is not ToRemote

    callouts = sources.callouts = Callouts(chosen, lookups, bridge, clock, random, ours)
    sources.chores.append(callouts.flush)
    sources.forgetting.append(callouts.forget)
    sources.doubting.append(callouts.forget)
    if sources.learns:
        sources.closing.insert(0, callouts.close)


def _with_memory(
    chosen: Configuration, sources: Sources, bridge: Bridge, wanted: frozenset[str], clock: Callable[[], float]
) -> None:
    if "excess" in wanted:
        flood = sources.flood = Flood(chosen.flood, bridge, clock, chosen.hosts)
        sources.chores.append(flood.flush)
        sources.forgetting.append(flood.forget)
        sources.doubting.append(flood.doubt)
        sources.closing += [flood.flush] if sources.learns else []
    if "waiting" in wanted:
        greylist = sources.greylist = Greylist(chosen.greylist, bridge, clock, chosen.hosts, chosen.names)
        sources.chores.append(greylist.flush)
        sources.forgetting.append(greylist.forget)
        sources.doubting.append(greylist.forget)
        sources.closing += [greylist.close] if sources.learns else []
    reputation = sources.reputation = Reputation(bridge, clock)  # it learns whether a mode asks for it or not
    sources.acquaintances = Acquaintances(reputation)
    sources.chores.append(reputation.flush)
    sources.forgetting.append(reputation.forget)
    sources.doubting.append(reputation.forget)
    sources.closing += [reputation.close] if sources.learns else []


async def close(sources: Sources) -> None:
    """What was learnt is kept; nothing more is asked."""
    for act in sources.closing:
        ending = act()
        if ending is not None:
            await ending


async def _look_through(policy: Policy, header: bytes, content: Spooled, utf8: bool) -> tuple[tuple[str, str], ...]:
    """The checks of content that need no scanner; what is large is looked at in a thread."""
    if content.octets is not None and content.size <= INLINE:
        return findings(header, content, policy, utf8)
    return await asyncio.get_running_loop().run_in_executor(None, findings, header, content, policy, utf8)
