"""posthouse members: who is on a list."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TextIO

import click

from posthouse.operations.commands import people
from posthouse.operations.output import Progress, answers, fail, json_option, moment, now_ms, say_json, table


@click.group()
def members() -> None:
    """Members, owners and moderators of lists."""


_FILE = click.File("r", encoding="utf-8")
_ONE_A_LINE = "One address or `Name <address>` a line."
_DRY = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")


@members.command("add")
@click.argument("mailing_list", metavar="LIST")
@click.argument("addresses", nargs=-1, metavar="[ADDRESS]...")
@click.option("--file", "source", type=_FILE, help=_ONE_A_LINE)
@click.option("--role", default="member", type=click.Choice(["member", "owner", "moderator"]), show_default=True)
@click.option("--welcome", is_flag=True, help="Greet each new member, if the list greets at all.")
@_DRY
@json_option
@answers
def add(mailing_list: str, addresses: tuple[str, ...], source: TextIO | None, role: str, welcome: bool, dry_run: bool,
        as_json: bool) -> None:  # fmt: skip
    """Add members without asking them. Who is on the list already stays as they are; running it twice is harmless."""
    from posthouse.lists import mass, roster

    if role == "member" and (welcome or dry_run):
        done = mass.add(mailing_list, _given(addresses, source), now_ms(), by=_me(), welcome=welcome, dry_run=dry_run)
        _say(done, as_json)
        return
    if dry_run:
        fail("--dry-run is for members", 2)
    progress = Progress("adding")
    report = roster.add_lines(mailing_list, _given(addresses, source), role=role, progress=progress)
    progress.close()
    if as_json:
        say_json(report)
    else:
        click.echo(f"{report.added} added, {report.present} were there already, {len(report.refused)} refused.")
        for refused in report.refused:
            click.echo(f"  line {refused.line}: {refused.text}: {refused.rule}", err=True)
    if report.refused:
        raise click.exceptions.Exit(1)


@members.command("invite")
@click.argument("mailing_list", metavar="LIST")
@click.argument("addresses", nargs=-1, metavar="[ADDRESS]...")
@click.option("--file", "source", type=_FILE, help=_ONE_A_LINE)
@click.option("--words", default="", help="What stands in the invitation.")
@_DRY
@json_option
@answers
def invite(mailing_list: str, addresses: tuple[str, ...], source: TextIO | None, words: str, dry_run: bool,
           as_json: bool) -> None:  # fmt: skip
    """Invite people: who answers the message joins, whatever the list's policy."""
    from posthouse.lists import mass

    given = _given(addresses, source)
    _say(mass.invite(mailing_list, given, now_ms(), by=_me(), words=words, dry_run=dry_run), as_json)


@members.command("sync")
@click.argument("mailing_list", metavar="LIST")
@click.argument("source", type=_FILE, metavar="FILE")
@_DRY
@json_option
@answers
def sync(mailing_list: str, source: TextIO, dry_run: bool, as_json: bool) -> None:
    """Make the members the same as FILE: add who is missing, remove who is not in it."""
    from posthouse.lists import mass

    _say(mass.sync(mailing_list, source, now_ms(), by=_me(), dry_run=dry_run), as_json)


def _given(addresses: tuple[str, ...], source: TextIO | None) -> Iterator[str]:
    if not addresses and source is None:
        fail("name at least one address, or --file FILE", 2)
    return (line for part in (addresses, source or ()) for line in part)


def _me() -> str:
    return f"{getpass.getuser()} (command line)"


def _say(report: Any, as_json: bool) -> None:
    if as_json:
        say_json(report)
    else:
        would = "would be " if report.dry_run else ""
        numbers = (("added", report.added), ("removed", report.removed), ("invited", report.invited))
        said = [f"{number} {would}{what}" for what, number in numbers if number]
        click.echo(
            f"{', '.join(said) or 'Nothing to do'}; {report.unchanged} unchanged, {len(report.refused)} refused."
        )
        for sign, shown in (("+", report.added_addresses), ("-", report.removed_addresses)):
            for address in shown if report.dry_run else ():
                click.echo(f"  {sign} {address}")
        for refused in report.refused:
            click.echo(f"  line {refused.line}: {refused.text}: {refused.rule}", err=True)
    if report.refused:
        raise click.exceptions.Exit(1)


@members.command("list")
@click.argument("mailing_list", metavar="LIST")
@click.option("--role", default="member", type=click.Choice(["member", "owner", "moderator", "nonmember"]))
@click.option("--limit", type=click.IntRange(1), help="How many to show; by itself all.")
@click.option("--after", default="", metavar="ADDRESS", help="Begin behind this address.")
@json_option
@answers
def show(mailing_list: str, role: str, limit: int | None, after: str, as_json: bool) -> None:
    """List who is on a list, by address."""
    from posthouse.lists import roster

    found = roster.members(mailing_list, role, after, limit)
    if as_json:
        say_json(found)
    else:
        rows = ((one.address, one.display_name, one.delivery_status, one.joined_at) for one in found)
        table(("ADDRESS", "NAME", "DELIVERY", "SINCE"), rows, f"{mailing_list} has no {role}.")


@members.command("remove")
@click.argument("mailing_list", metavar="LIST")
@click.argument("addresses", nargs=-1, metavar="[ADDRESS]...")
@click.option("--file", "source", type=_FILE, help=_ONE_A_LINE)
@click.option("--role", default="member", type=click.Choice(["member", "owner", "moderator"]), show_default=True)
@click.option("--goodbye", is_flag=True, help="Say goodbye to each, if the list says goodbye at all.")
@_DRY
@json_option
@answers
def remove(mailing_list: str, addresses: tuple[str, ...], source: TextIO | None, role: str, goodbye: bool,
           dry_run: bool, as_json: bool) -> None:  # fmt: skip
    """Remove members without asking them."""
    from posthouse.lists import mass, roster

    if role == "member" and (source is not None or goodbye or dry_run):
        given = _given(addresses, source)
        _say(mass.remove(mailing_list, given, now_ms(), by=_me(), goodbye=goodbye, dry_run=dry_run), as_json)
        return
    done = {address: roster.remove(mailing_list, address, role) for address in _given(addresses, source)}
    if as_json:
        say_json(done)
    else:
        for address, removed in done.items():
            click.echo(f"{address}: {'removed' if removed else f'is not a {role}'}")
    if not all(done.values()):
        raise click.exceptions.Exit(3)


@members.command("set")
@click.argument("mailing_list", metavar="LIST")
@click.argument("address")
@click.argument("pairs", nargs=-1, required=True, metavar="NAME=VALUE...")
@json_option
@answers
def set_(mailing_list: str, address: str, pairs: tuple[str, ...], as_json: bool) -> None:
    """Change what a member wants of a list; NAME= leaves it to the address, the account and the site."""
    from posthouse.directory import preferences
    from posthouse.lists import roster

    values: dict[str, str | bool | None] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if name == "moderation_action":
            roster.refuse_unknown_action(value)
            values[name] = value
        elif name == "delivery_status" and value == "by_moderator":
            values[name] = value
        else:
            values[name] = preferences.parsed(name, value)
    if not roster.set_preferences(mailing_list, address, "member", **values):
        fail(f"{address} is not a member", 3)
    if as_json:
        facts = [one for one in roster.find(address) if one.role == "member"]
        say_json([one for one in facts if one.list_address == mailing_list.strip().lower()])
    else:
        click.echo(f"{address}: changed {', '.join(values)}.")


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


@members.command("bounces")
@click.argument("mailing_list", metavar="LIST")
@json_option
@answers
def bounced(mailing_list: str, as_json: bool) -> None:
    """Show whose copies came back: score, last failure, and what comes next where delivery is stopped."""
    from posthouse.lists import bounces

    found = bounces.standings(mailing_list)
    if as_json:
        say_json(found)
        return
    rows = (
        (
            one.address,
            "stopped" if one.stopped else f"{one.score:g} of {one.threshold}",
            one.bounces,
            one.last_bounce_at,
            f"{one.warnings} warnings, removed {moment(one.removed_at)}" if one.removed_at else "",
            one.last_bounce[:80],
        )
        for one in found
    )
    headings = ("ADDRESS", "SCORE", "BOUNCES", "LAST", "NEXT", "SAID")
    table(headings, rows, f"No copy of {mailing_list} came back.")


@members.command("restart")
@click.argument("mailing_list", metavar="LIST")
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@json_option
@answers
def restart(mailing_list: str, addresses: tuple[str, ...], as_json: bool) -> None:
    """Begin delivery again to members whom bounces stopped; their score begins anew."""
    from posthouse.lists import bounces

    done = {address: bounces.restart(mailing_list, address, "operator", now_ms()) for address in addresses}
    if as_json:
        say_json(done)
    else:
        for address, begun in done.items():
            click.echo(f"{address}: {'gets mail again' if begun else 'was not stopped by bounces'}")


@members.command("vacation")
@click.argument("mailing_list", metavar="LIST")
@click.argument("address")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="The day (UTC) on which delivery begins again.")
@click.option("--end", is_flag=True, help="Begin delivery again now.")
@json_option
@answers
def vacation(mailing_list: str, address: str, until: datetime | None, end: bool, as_json: bool) -> None:
    """Stop a member's delivery until a day, or show until when it is stopped."""
    from posthouse.lists import vacation as acts

    now = now_ms()
    if end and not acts.end(mailing_list, address, "command line", now):
        fail(f"{address} has no vacation from {mailing_list}", 3)
    if until and not acts.begin(mailing_list, address, until.replace(tzinfo=UTC), "command line", now):
        fail(f"{address} is not a member", 3)
    day = acts.ends_at(mailing_list, address)
    if as_json:
        return say_json({"address": address, "until": day})
    return click.echo(f"{address}: no delivery until {day:%Y-%m-%d %H:%M} UTC." if day else f"{address}: no vacation.")


for command in (people.remove_everywhere, people.move, people.export, people.import_, people.topics):
    members.add_command(command)
