"""posthouse check-dns: what the DNS says of us, and whether mail can leave by both families."""

from __future__ import annotations

import asyncio
import contextlib

import click

from posthouse import configuration
from posthouse.configuration import Configuration, endpoint
from posthouse.dns.resolver import Resolver
from posthouse.operations.doctor import names, reach
from posthouse.operations.doctor.finding import GOOD, UNKNOWN, WRONG, Finding
from posthouse.operations.output import REFUSED, UNAVAILABLE, answers, json_option, say_json


@click.command("check-dns")
@click.option("--probe", metavar="HOST", help="Also connect to this mail host of others, by IPv6 and by IPv4; sends "
              "no mail.")  # fmt: skip
@json_option
@answers
def check_dns(probe: str | None, as_json: bool) -> None:
    """Ask the DNS about our name and domains; ends with 1 where something is wrong, with 4 where nobody answers.

    Looks whether the name has addresses of the families that the listeners take, whether each address has this name,
    and where the MX records of our domains lead. What cannot be asked now is told and counts as nothing.
    """
    found = asyncio.run(_look(configuration.active(), _domains(), probe))
    if as_json:
        say_json(found)
    else:
        for one in found:
            click.echo(f"{one.state:8}{one.sentence}")
            if one.hint:
                click.echo(f"{'':8}{one.hint}")
        if all(one.state in (GOOD, UNKNOWN) for one in found):
            asked = sum(one.state == GOOD for one in found)
            said = f"{asked} of {len(found)} could be asked, and they are as they should be."
            click.echo(said if asked else "Nothing could be asked: the nameservers do not answer.")
    if any(one.state == WRONG for one in found):
        raise click.exceptions.Exit(REFUSED)
    if found and all(one.state == UNKNOWN for one in found):
        raise click.exceptions.Exit(UNAVAILABLE)


def _domains() -> list[str]:
    """The domains that are ours; none where there is no database yet."""
    from django.db import DatabaseError

    from posthouse.directory import domains

    with contextlib.suppress(DatabaseError):
        return [one.name for one in domains.all_domains()]
    return []


async def _look(chosen: Configuration, domains: list[str], host: str | None) -> list[Finding]:
    lookups = Resolver([endpoint(text) for text in chosen.dns.nameservers], chosen.dns.timeout)
    found = names.judge(chosen, await names.ask(chosen.host, domains, lookups))
    if host is not None:
        found += await reach.probe(chosen, host, lookups)
    return found
