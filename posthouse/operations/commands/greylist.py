"""posthouse greylist: the strangers that were asked to come again, and who came."""

from __future__ import annotations

import click

from posthouse import configuration
from posthouse.operations.output import answers, fail, json_option, moment, now_ms, say_json, table


@click.group()
def greylist() -> None:
    """Strangers that were asked to come again, and those that are known because they did."""


@greylist.command("list")
@click.argument("name", metavar="[NAME]", required=False, default="")
@click.option("--state", type=click.Choice(("waiting", "passed", "counted")), help="Only these.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@json_option
@answers
def show_all(name: str, state: str | None, limit: int, as_json: bool) -> None:
    """List who is remembered, the latest first; of NAME (an address, a network or a domain) alone.

    waiting: asked to come again. passed: let in. counted: a network on its way there.
    """
    from posthouse.encounters import strangers

    found = strangers.listing(now_ms(), state or "", name, limit)
    if as_json:
        say_json(found)
        return
    rows = (
        (one.state, one.origin, one.sender, one.recipient, one.tries, moment(one.first_try), moment(one.until))
        for one in found
    )
    table(("STATE", "FROM", "SENDER", "RECIPIENT", "TRIES", "FIRST", "UNTIL"), rows, "Nobody is remembered.")


@greylist.command("pass")
@click.argument("name")
@json_option
@answers
def let_in(name: str, as_json: bool) -> None:
    """Let in all mail from NAME without waiting: a network (or an address in it), or a domain that SPF or DKIM proves.

    It holds as for somebody who came again: as long as mail comes from there, see `accept_for`.
    """
    from posthouse.encounters import strangers

    now = now_ms()
    until = now + configuration.active().greylist.accept_for * 1000
    origin = strangers.let_in(name, now, until)
    if as_json:
        say_json({"origin": origin, "until": until})
        return
    click.echo(f"{_said(origin)} is let in until {moment(until)}, and longer while its mail comes.")


@greylist.command("forget")
@click.argument("name", metavar="[NAME]", required=False, default="")
@click.option("--all", "everybody", is_flag=True, help="Everybody.")
@json_option
@answers
def forget(name: str, everybody: bool, as_json: bool) -> None:
    """Make NAME (an address, a network or a domain) a stranger again, in every process at once."""
    from posthouse.encounters import strangers

    if bool(name) == everybody:
        fail("name an address, a network or a domain, or say --all", 2)
    count = strangers.forget(name)
    if as_json:
        say_json({"forgotten": count})
    elif not count:
        fail(f"{name or 'nobody'} is not remembered", 3)
    else:
        click.echo(f"{count} entries are forgotten.")


def _said(origin: str) -> str:
    return f"Mail that {origin[1:]} proves to have sent" if origin.startswith("=") else f"Mail from {origin}"
