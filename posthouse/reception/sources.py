"""Who can be asked about a stranger, made from the configuration: the same for reception and for `policy try`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from posthouse.configuration import Configuration, endpoint
from posthouse.content.spool import Spooled
from posthouse.database import Bridge
from posthouse.dns.resolver import Resolver
from posthouse.reception import names
from posthouse.reception.blocklists import Blocklists
from posthouse.reception.desk import asked_for
from posthouse.reception.evidence import Witness
from posthouse.reception.flood import Flood
from posthouse.reception.gathering import Sources
from posthouse.reception.greylisting import Greylist
from posthouse.reception.reputation import Reputation

_OF_DNS = frozenset(("client_name", "listing", "helo_domain", "sender_domain", "domain_listing", "spf", "callout"))


def open_sources(chosen: Configuration, bridge: Bridge, clock: Callable[[], float], *, learns: bool = True) -> Sources:
    """All that some mode of the file needs. Close with `close`. A trial asks nobody: its mail comes from loopback."""
    sources = Sources(seconds=chosen.evidence.deadline, learns=learns)
    wanted = asked_for(chosen)
    if not chosen.trial and (chosen.evidence.enabled or wanted & _OF_DNS):
        _with_dns(chosen, sources, wanted, clock)
    if not chosen.trial:
        _with_memory(chosen, sources, bridge, wanted, clock)
    return sources


def _with_dns(chosen: Configuration, sources: Sources, wanted: frozenset[str], clock: Callable[[], float]) -> None:
    lookups = Resolver([endpoint(text) for text in chosen.dns.nameservers], chosen.dns.timeout, clock)

    async def end() -> None:
        lookups.close()

    if chosen.evidence.enabled:
        witness = sources.witness = Witness(chosen.evidence, lookups, chosen.host, clock)

        async def dismiss() -> None:
            witness.close()

        sources.closing.append(dismiss)
    if chosen.dns_lists and wanted & {"listing", "domain_listing"}:
        sources.blocklists = Blocklists(chosen.dns_lists, lookups, clock)
    sources.sender_domain = lambda domain, deadline: names.sender_domain(domain, lookups, deadline)
    sources.helo_host = lambda name, deadline: names.helo_host(name, lookups, deadline)
    sources.closing.append(end)


def _with_memory(
    chosen: Configuration, sources: Sources, bridge: Bridge, wanted: frozenset[str], clock: Callable[[], float]
) -> None:
    if "excess" in wanted:
        flood = sources.flood = Flood(chosen.flood, bridge, clock, chosen.hosts)
        sources.chores.append(flood.flush)
        sources.forgetting.append(flood.forget)
    if "waiting" in wanted:
        greylist = sources.greylist = Greylist(chosen.greylist, bridge, clock, chosen.hosts, chosen.names)
        sources.chores.append(greylist.flush)
        sources.forgetting.append(greylist.forget)
        sources.closing.append(greylist.close)
    if "standing" in wanted:
        reputation = sources.reputation = Reputation(bridge, clock)
        sources.chores.append(reputation.flush)
        sources.forgetting.append(reputation.forget)
        sources.closing.append(reputation.close)


async def close(sources: Sources) -> None:
    """What was learnt is kept; nothing more is asked."""
    for act in sources.closing:
        await act()


async def look_through(
    act: Callable[[bytes, Spooled], tuple[tuple[str, str], ...]], header: bytes, content: Spooled
) -> tuple[tuple[str, str], ...]:
    """The checks of content that need no scanner; what is on the disk is read in a thread."""
    if content.octets is not None:
        return act(header, content)
    return await asyncio.get_running_loop().run_in_executor(None, act, header, content)
