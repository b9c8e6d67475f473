"""posthouse dns-lists, standing and verified: other people's word about those who send, and how far it is believed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click

from posthouse.operations.output import OK, UNAVAILABLE, answers, fail, json_option, moment, now_ms, say_json, table

if TYPE_CHECKING:
    from posthouse.reception.blocklists import Blocklists

Found = TypeVar("Found")


@click.group("dns-lists")
def dns_lists() -> None:
    """The DNS lists of the configuration (RFC 5782): whether they are well, and what they say."""


@dns_lists.command("check")
@json_option
@answers
def check(as_json: bool) -> None:
    """Check every list: it must list its test entry and not its opposite. Exit code 4 when one is not believed.

    A list of addresses is checked for IPv4 and for IPv6: without entries for IPv6 it is not asked about IPv6 clients,
    and is not counted as ill for it.
    """
    import time

    from posthouse.reception.list_health import IPV6

    found = asyncio.run(_with_lists(lambda lists: lists.check(), time.time))
    well = {one.name for one in found if one.alive}
    ill = [one for one in found if not one.alive and not (one.part == IPV6 and one.name in well)]
    if as_json:
        say_json(found)
    else:
        rows = ((one.name, one.zone, one.part, "well" if one.alive else "not believed", one.reason) for one in found)
        table(("NAME", "ZONE", "PART", "STATE", "BECAUSE"), rows, "The configuration names no DNS list.")
    raise click.exceptions.Exit(UNAVAILABLE if ill else OK)


@dns_lists.command("ask")
@click.argument("whom", metavar="ADDRESS|DOMAIN")
@json_option
@answers
def ask(whom: str, as_json: bool) -> None:
    """Tell what the lists say of a client's address or of a sender's domain."""
    import time

    from posthouse import configuration
    from posthouse.reception.policy.facts import Listing

    kind = _kind(whom)

    async def asked(lists: Blocklists) -> Listing:
        deadline = asyncio.get_running_loop().time() + configuration.active().evidence.deadline
        return await (lists.of_address if kind == "address" else lists.of_domain)(whom, deadline)

    if not configuration.active().dns_lists:
        fail("the configuration names no DNS list")
    found = asyncio.run(_with_lists(asked, time.time))
    if as_json:
        say_json({"whom": whom, "weight": found.weight, "hits": found.hits, "silent": found.silent})
        return
    rows = [(hit.zone, hit.code, f"{hit.weight:+g}", hit.text) for hit in found.hits]
    table(("ZONE", "CODE", "WEIGHT", "SAYS"), rows, f"No list knows {whom}.")
    if found.silent:
        click.echo(f"Silent, or not believed: {', '.join(found.silent)}; see `posthouse dns-lists check`.")


def _kind(whom: str) -> str:
    """`address` or `domain`; the end with a sentence for what is neither."""
    import ipaddress

    from posthouse.address import AddressError, normal_domain

    with contextlib.suppress(ValueError):
        ipaddress.ip_address(whom)
        return "address"
    with contextlib.suppress(AddressError):
        if not normal_domain(whom).rpartition(".")[2].isdigit():  # no top-level domain is a number (RFC 3696 §2)
            return "domain"
    return fail(f"{whom!r} is neither an address nor a domain", 2)


async def _with_lists(act: Callable[[Blocklists], Awaitable[Found]], clock: Callable[[], float]) -> Found:
    """Call `act` with the lists of the active configuration."""
    from posthouse import configuration
    from posthouse.dns.resolver import Resolver
    from posthouse.reception.blocklists import Blocklists

    chosen = configuration.active()
    servers = [configuration.endpoint(text) for text in chosen.dns.nameservers]
    lookups = Resolver(servers, chosen.dns.timeout, clock, chosen.dns.trusted)
    lists = Blocklists(chosen.dns_lists, lookups, clock)
    try:
        return await act(lists)
    finally:
        lists.close()
        lookups.close()


@click.group()
def standing() -> None:
    """What was seen of networks and of domains that proved to have sent; it fades by half in two weeks."""


@standing.command("list")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Most rows.")
@json_option
@answers
def worst(limit: int, as_json: bool) -> None:
    """List those of whom most bad was seen."""
    from posthouse.encounters import standing as acts

    found = acts.worst(now_ms(), limit)
    if as_json:
        say_json(found)
    else:
        rows = ((one.whose, f"{one.good:.1f}", f"{one.bad:.1f}") for one in found)
        table(("NETWORK OR DOMAIN", "GOOD", "BAD"), rows, "Nothing was seen yet.")


@standing.command("forget")
@click.argument("whose", metavar="ADDRESS|NETWORK|DOMAIN")
@json_option
@answers
def forget_standing(whose: str, as_json: bool) -> None:
    """Forget what was seen of a network (of an address) or of a domain. Running processes do so at once."""
    from posthouse.encounters import standing as acts

    gone = acts.forget(whose)
    if as_json:
        say_json({"forgotten": gone})
    else:
        click.echo(f"What was seen of {gone} is forgotten.")


@click.group()
def verified() -> None:
    """What other hosts said when they were asked about return paths (callouts) and about recipients we pass on."""


@verified.command("list")
@click.argument("word", required=False, default="")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Most rows.")
@json_option
@answers
def list_verified(word: str, limit: int, as_json: bool) -> None:
    """List the latest answers that still hold; WORD: only addresses with that in them."""
    from posthouse.encounters import verification as acts

    found = acts.listing(now_ms(), word, limit)
    if as_json:
        say_json(found)
    else:
        rows = (
            (one.kind, one.address, one.answer, moment(one.asked_at), moment(one.until), one.reply) for one in found
        )
        table(("KIND", "ADDRESS", "ANSWER", "ASKED", "UNTIL", "WORDS"), rows, "Nobody was asked yet.")


@verified.command("forget")
@click.argument("address", metavar="ADDRESS|DOMAIN")
@json_option
@answers
def forget_verified(address: str, as_json: bool) -> None:
    """Forget what was said of an address or domain: it is asked about again. Running processes do so at once."""
    from posthouse.encounters import verification as acts

    gone = acts.forget(address)
    if as_json:
        say_json({"forgotten": gone})
    else:
        click.echo(f"Forgotten: {gone} answer{'' if gone == 1 else 's'} about {address}.")
