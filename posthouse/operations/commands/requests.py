"""posthouse requests: requests to join or leave that wait for a moderator."""

from __future__ import annotations

import getpass

import click

from posthouse.operations.output import answers, json_option, now_ms, say_json, table


@click.group()
def requests() -> None:
    """Requests to join or leave that wait for a moderator."""


@requests.command("list")
@click.argument("mailing_list", metavar="[LIST]", required=False)
@json_option
@answers
def show(mailing_list: str | None, as_json: bool) -> None:
    """List waiting requests, of one list or of all."""
    from posthouse.lists import approval

    found = approval.waiting(mailing_list)
    if as_json:
        say_json(found)
    else:
        rows = ((one.id, one.list_address, one.act, one.address, one.display_name, one.made_at) for one in found)
        table(("ID", "LIST", "WANTS TO", "ADDRESS", "NAME", "SINCE"), rows, "Nothing waits.")


@requests.command("approve")
@click.argument("ids", nargs=-1, required=True, type=int, metavar="ID...")
@answers
def approve(ids: tuple[int, ...]) -> None:
    """Do what was asked for."""
    from posthouse.lists import approval

    for one in ids:
        done = approval.approve(one, _me(), now_ms())
        click.echo(f"{one}: approved, {done.address} may {done.act} {done.list_address}")


@requests.command("reject")
@click.argument("ids", nargs=-1, required=True, type=int, metavar="ID...")
@click.option("--reason", default="", help="What the person is told.")
@answers
def reject(ids: tuple[int, ...], reason: str) -> None:
    """Refuse what was asked for and tell the person."""
    from posthouse.lists import approval

    for one in ids:
        done = approval.reject(one, reason, _me(), now_ms())
        click.echo(f"{one}: rejected, {done.address} is told")


@requests.command("discard")
@click.argument("ids", nargs=-1, required=True, type=int, metavar="ID...")
@answers
def discard(ids: tuple[int, ...]) -> None:
    """Drop requests; nobody is told."""
    from posthouse.lists import approval

    for one in ids:
        approval.discard(one, _me(), now_ms())
        click.echo(f"{one}: discarded")


def _me() -> str:
    return f"{getpass.getuser()} (command line)"
