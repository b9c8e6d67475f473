"""posthouse members: who is on a list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

import click

from posthouse.operations.output import Progress, answers, fail, json_option, say_json, table


@click.group()
def members() -> None:
    """Members, owners and moderators of lists."""


@members.command("add")
@click.argument("mailing_list", metavar="LIST")
@click.argument("addresses", nargs=-1, metavar="[ADDRESS]...")
@click.option(
    "--file", "source", type=click.File("r", encoding="utf-8"), help="One address or `Name <address>` a line."
)
@click.option("--role", default="member", type=click.Choice(["member", "owner", "moderator"]), show_default=True)
@json_option
@answers
def add(mailing_list: str, addresses: tuple[str, ...], source: TextIO | None, role: str,
        as_json: bool) -> None:  # fmt: skip
    """Add members without asking them. Who is on the list already stays as they are; running it twice is harmless."""
    from posthouse.lists import roster

    if not addresses and source is None:
        fail("name at least one address, or --file FILE", 2)

    def given() -> Iterator[str]:
        yield from addresses
        yield from source or ()

    progress = Progress("adding")
    report = roster.add_lines(mailing_list, given(), role=role, progress=progress)
    progress.close()
    if as_json:
        say_json(report)
    else:
        click.echo(f"{report.added} added, {report.present} were there already, {len(report.refused)} refused.")
        for refused in report.refused:
            click.echo(f"  line {refused.line}: {refused.text}: {refused.rule}", err=True)
    if report.refused:
        raise click.exceptions.Exit(1)


@members.command("list")
@click.argument("mailing_list", metavar="LIST")
@click.option("--role", default="member", type=click.Choice(["member", "owner", "moderator", "nonmember"]))
@json_option
@answers
def show(mailing_list: str, role: str, as_json: bool) -> None:
    """List who is on a list."""
    from posthouse.lists import roster

    found = roster.members(mailing_list, role)
    if as_json:
        say_json(found)
    else:
        rows = ((one.address, one.display_name, one.delivery_status, one.joined_at) for one in found)
        table(("ADDRESS", "NAME", "DELIVERY", "SINCE"), rows, f"{mailing_list} has no {role}.")


@members.command("remove")
@click.argument("mailing_list", metavar="LIST")
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@json_option
@answers
def remove(mailing_list: str, addresses: tuple[str, ...], as_json: bool) -> None:
    """Remove members without asking them."""
    from posthouse.lists import roster

    done = {address: roster.remove(mailing_list, address) for address in addresses}
    if as_json:
        say_json(done)
    else:
        for address, removed in done.items():
            click.echo(f"{address}: {'removed' if removed else 'is not a member'}")
    if not all(done.values()):
        raise click.exceptions.Exit(3)


@members.command("find")
@click.argument("address")
@json_option
@answers
def find(address: str, as_json: bool) -> None:
    """Show every list an address is on, in which role."""
    from posthouse.lists import roster

    found = roster.find(address)
    if as_json:
        say_json(found)
    else:
        rows = ((one.list_address, one.role, one.delivery_status, one.joined_at) for one in found)
        table(("LIST", "ROLE", "DELIVERY", "SINCE"), rows, f"{address} is on no list.")
