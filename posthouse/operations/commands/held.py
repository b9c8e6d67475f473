"""posthouse held: postings that wait for a moderator."""

from __future__ import annotations

import getpass

import click

from posthouse.operations.output import answers, json_option, moment, now_ms, plain, printable, say_json, table

SHOWN = 256 * 1024  # octets of a posting of which `held show` tells the text


@click.group()
def held() -> None:
    """Postings that wait for a moderator."""


@held.command("list")
@click.argument("mailing_list", metavar="[LIST]", required=False)
@click.option("--discarded", is_flag=True, help="Show what was discarded and can be restored, the latest first.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many to show.")
@click.option("--skip", type=click.IntRange(0), default=0, help="How many to leave out at the beginning.")
@json_option
@answers
def show(mailing_list: str | None, discarded: bool, limit: int, skip: int, as_json: bool) -> None:
    """List held postings, of one list or of all, the oldest first."""
    from posthouse.lists import holding

    if discarded:
        gone = holding.discarded(mailing_list, limit=limit, skip=skip)
        if as_json:
            say_json(gone)
            return
        lines = (
            (one.id, one.list_address, one.author, one.subject, one.discarded_by, one.discarded_at) for one in gone
        )
        table(("ID", "LIST", "AUTHOR", "SUBJECT", "BY", "AT"), lines, "Nothing was discarded in the last days.")
        return
    found = holding.held(mailing_list, limit=limit, skip=skip)
    if as_json:
        say_json(found)
        return
    rows = ((one.id, one.list_address, one.author, one.subject, one.reason, one.held_at) for one in found)
    table(("ID", "LIST", "AUTHOR", "SUBJECT", "REASON", "SINCE"), rows, "Nothing waits.")
    if (number := holding.count(mailing_list)) > skip + len(found):
        click.echo(f"{number} wait; the next page: --skip {skip + len(found)}")


@held.command("show")
@click.argument("number", type=click.IntRange(1), metavar="ID")
@json_option
@answers
def show_one(number: int, as_json: bool) -> None:
    """Show a held posting: who wrote it, why it waits, and the beginning of what it says."""
    from posthouse.content import keeping
    from posthouse.lists import holding
    from posthouse.message.parsing import read

    found = holding.show_held(number)
    text = read(keeping.read(found.content_id).head(SHOWN)).text
    if as_json:
        say_json({**plain(found), "text": text})
        return
    rows = {
        "list": found.list_address, "author": found.author, "return path": found.return_path or "<>",
        "subject": found.subject, "since": moment(found.held_at), "size": f"{found.size} octets",
    }  # fmt: skip
    for name, value in rows.items():
        click.echo(f"{name}: {printable(value)}")
    for reason in found.hits or (found.reason,):
        click.echo(f"why: {printable(reason)}")
    click.echo("\n" + "\n".join(map(printable, text.splitlines())))


@held.command("restore")
@click.argument("ids", nargs=-1, required=True, type=int, metavar="ID...")
@answers
def restore(ids: tuple[int, ...]) -> None:
    """Let postings wait again that were discarded in the last 14 days."""
    from posthouse.lists import holding

    for one in ids:
        holding.restore(one, f"{getpass.getuser()} (command line)", now_ms())
        click.echo(f"{one}: waits again")


@held.command("release")
@click.argument("ids", nargs=-1, required=True, type=int, metavar="ID...")
@answers
def release(ids: tuple[int, ...]) -> None:
    """Let postings go to the list."""
    from posthouse.lists import holding

    for one in ids:
        holding.release(one, f"{getpass.getuser()} (command line)", now_ms())
        click.echo(f"{one}: released")


@held.command("reject")
@click.argument("ids", nargs=-1, required=True, type=int, metavar="ID...")
@click.option("--reason", required=True, help="What the author is told.")
@answers
def reject(ids: tuple[int, ...], reason: str) -> None:
    """Send postings back to their authors with a reason."""
    from posthouse.lists import holding

    for one in ids:
        holding.reject(one, reason, f"{getpass.getuser()} (command line)", now_ms())
        click.echo(f"{one}: rejected")


@held.command("discard")
@click.argument("ids", nargs=-1, required=True, type=int, metavar="ID...")
@answers
def discard(ids: tuple[int, ...]) -> None:
    """Drop postings; nobody is told."""
    from posthouse.lists import holding

    for one in ids:
        holding.discard(one, f"{getpass.getuser()} (command line)", now_ms())
        click.echo(f"{one}: discarded")


@held.command("ban")
@click.argument("ids", nargs=-1, required=True, type=int, metavar="ID...")
@answers
def ban(ids: tuple[int, ...]) -> None:
    """Drop postings and ban their authors from the list."""
    from posthouse.lists import holding

    for one in ids:
        holding.ban_author(one, f"{getpass.getuser()} (command line)", now_ms())
        click.echo(f"{one}: discarded, its author banned")


@held.command("accept")
@click.argument("ids", nargs=-1, required=True, type=int, metavar="ID...")
@answers
def accept(ids: tuple[int, ...]) -> None:
    """Let postings go to the list, and their authors post from now on."""
    from posthouse.lists import holding

    for one in ids:
        holding.accept_author(one, f"{getpass.getuser()} (command line)", now_ms())
        click.echo(f"{one}: released, its author accepted")


@held.command("forward")
@click.argument("number", type=int, metavar="ID")
@click.option("--to", "addresses", multiple=True, required=True, metavar="ADDRESS", help="May be repeated.")
@answers
def forward(number: int, addresses: tuple[str, ...]) -> None:
    """Send a posting to somebody to look at; it goes on waiting."""
    from posthouse.lists import holding

    for address in addresses:
        holding.forward(number, address, f"{getpass.getuser()} (command line)", now_ms())
        click.echo(f"{number}: forwarded to {address}")
