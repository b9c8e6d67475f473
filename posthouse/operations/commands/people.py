"""posthouse members: tables of members written out and read in, topics, and somebody taken off every list."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TextIO

import click

from posthouse.operations.output import NOT_FOUND, REFUSED, Progress, answers, fail, json_option, now_ms, say_json

_ROLES = ("member", "owner", "moderator", "nonmember", "all")


@click.command("remove-everywhere")
@click.argument("address")
@click.option("--person", is_flag=True, help="All addresses of the account that owns ADDRESS.")
@click.option("--ban", is_flag=True, help="Ban them on the whole site as well.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@json_option
@answers
def remove_everywhere(address: str, person: bool, ban: bool, dry_run: bool, as_json: bool) -> None:
    """Take an address off every list, in every role, with what waits for it. Archives keep what it wrote."""
    from posthouse.lists import bans, people

    by, now = _me(), now_ms()
    done = people.remove_everywhere(address, now, by=by, whole_account=person, dry_run=dry_run)
    if ban and not dry_run:
        for one in done.addresses:
            bans.ban(one, None, by=by, now=now, why="removed from every list")
    if as_json:
        return say_json(done)
    for name, role, shown in done.lists:
        click.echo(f"{name}: {shown} {'would be' if dry_run else 'is'} removed as {role}")
    if not done.lists:
        click.echo(f"{', '.join(done.addresses)}: on no list.")
    for name in done.ownerless:
        click.echo(f"{name} {'would have' if dry_run else 'has'} no owner now: posthouse members add {name} ADDRESS "
                   "--role owner", err=True)  # fmt: skip
    return None


@click.command("export")
@click.argument("mailing_list", metavar="LIST")
@click.argument("path", metavar="[FILE]", default="-", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--csv", "as_table", is_flag=True, help="A table with names, choices and dates; else addresses alone.")
@click.option("--role", default="member", type=click.Choice(_ROLES), show_default=True)
@json_option
@answers
def export(mailing_list: str, path: str, as_table: bool, role: str, as_json: bool) -> None:
    """Write who is on a list to FILE or standard output; `members import` and `members add --file` read it."""
    from posthouse.lists import roster, spreadsheet

    if as_json:
        if role == "all":
            return say_json([one for each in roster.ROLES for one in roster.members(mailing_list, each)])
        return say_json(roster.members(mailing_list, role))
    lines = spreadsheet.written(mailing_list, "" if role == "all" else role)
    if not as_table:
        lines = spreadsheet.plain(mailing_list, "" if role == "all" else role)
    if path == "-":
        sys.stdout.writelines(line.replace("\r\n", "\n") for line in lines)
        return None
    partial = Path(f"{path}.partial")
    with partial.open("w", encoding="utf-8", newline="") as out:
        out.writelines(lines)
    partial.replace(path)
    return None


@click.command("import")
@click.argument("mailing_list", metavar="LIST")
@click.argument("source", type=click.File("r", encoding="utf-8-sig"), metavar="FILE")
@click.option("--update", is_flag=True, help="Give who is on the list already the choices of the table too.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@json_option
@answers
def import_(mailing_list: str, source: TextIO, update: bool, dry_run: bool, as_json: bool) -> None:
    """Add everybody in a CSV table whose first line names its columns, with their choices: see `members export`."""
    from posthouse.lists import spreadsheet

    progress = Progress("reading")
    report = spreadsheet.read_in(
        mailing_list, source, now_ms(), by=_me(), update=update, dry_run=dry_run, progress=progress
    )
    progress.close()
    if as_json:
        say_json(report)
    else:
        would = "would be " if dry_run else ""
        click.echo(
            f"{report.added} {would}added, {report.changed} {would}changed, {report.unchanged} unchanged, "
            f"{len(report.refused)} refused."
        )
        if report.ignored:
            click.echo(f"Columns that say nothing here: {', '.join(report.ignored)}", err=True)
        for refused in report.refused:
            click.echo(f"  line {refused.line}: {refused.text}: {refused.rule}", err=True)
    if report.refused:
        raise click.exceptions.Exit(REFUSED)


@click.command("move")
@click.argument("mailing_list", metavar="LIST")
@click.argument("address")
@click.argument("new", metavar="NEW-ADDRESS")
@click.option("--ask", is_flag=True, help="Ask the new address first; the mail goes there when it has answered.")
@json_option
@answers
def move(mailing_list: str, address: str, new: str, ask: bool, as_json: bool) -> None:
    """Let a member's mail go to another address. Choices and topics stay; what bounces had stopped begins again."""
    from posthouse.lists import relocating, subscription

    if ask:
        done = subscription.request_move(mailing_list, address, new, now_ms(), by=_me())
    else:
        moved = relocating.relocate(mailing_list, address, new, _me(), now_ms())
        done = subscription.MOVED if moved else subscription.ALREADY
    if as_json:
        return say_json({"address": address, "new": new, "done": done})
    said = {
        subscription.MOVED: f"{new} takes the place of {address}.",
        subscription.ALREADY: f"{new} is the member's address already.",
        subscription.ASKED: f"{new} is asked; the mail goes there when it has answered.",
    }
    return click.echo(said.get(done, f"{new} was asked within the last hour; it waits for an answer."))


@click.command("topics")
@click.argument("mailing_list", metavar="LIST")
@click.argument("address")
@click.argument("chosen", nargs=-1, metavar="[TOPIC]...")
@click.option("--all", "everything", is_flag=True, help="Every posting, whatever it is about.")
@click.option("--nonmatching", is_flag=True, help="With TOPIC: postings that are about no topic, too.")
@json_option
@answers
def topics(
    mailing_list: str, address: str, chosen: tuple[str, ...], everything: bool, nonmatching: bool, as_json: bool
) -> None:
    """Show which topics of a list a member wants to hear of, or choose them."""
    from posthouse.lists import topics as acts

    if chosen or everything:
        acts.choose_for(mailing_list, address, () if everything else chosen, nonmatching)
    found = acts.choice(mailing_list, address)
    if found is None:
        fail(f"{address} is not a member of {mailing_list}", NOT_FOUND)
    if as_json:
        return say_json(found)
    click.echo(f"{address}: {', '.join(found.chosen) or 'every posting'}"
               f"{', and what is about no topic' if found.nonmatching else ''}")  # fmt: skip
    return click.echo(f"Topics of {mailing_list}: {', '.join(found.offered) or 'none'}")


def _me() -> str:
    return f"{getpass.getuser()} (command line)"
