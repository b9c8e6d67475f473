"""posthouse flood: what comes how fast, as far as it is worth knowing."""

from __future__ import annotations

import click

from posthouse.operations.output import answers, fail, json_option, now_ms, say_json, table


@click.group()
def flood() -> None:
    """How much comes from whom and goes to whom: the counters behind [flood] and behind slow sign-ins."""


@flood.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@json_option
@answers
def show_all(limit: int, as_json: bool) -> None:
    """List the counters that reached a tenth of their rate, the highest first."""
    from posthouse.encounters import counts

    found = counts.listing(now_ms() / 1000, limit)
    if as_json:
        say_json(found)
        return
    rows = ((one.whose, one.what, one.now, f"{one.seconds} s") for one in found)
    table(("WHOSE", "WHAT", "NOW", "WINDOW"), rows, "Nothing comes fast.")


@flood.command("forget")
@click.argument("whose", metavar="[WHOSE]", required=False, default="")
@click.option("--all", "everything", is_flag=True, help="All counters.")
@json_option
@answers
def forget(whose: str, everything: bool, as_json: bool) -> None:
    """Begin at nothing for WHOSE, as `list` names it ("client 192.0.2.1") or by the name alone, in every process."""
    from posthouse.encounters import counts

    if bool(whose) == everything:
        fail("name whose counters, or say --all", 2)
    count = counts.forget(whose)
    if as_json:
        say_json({"forgotten": count})
    elif not count:
        fail(f"nothing is counted of {whose or 'anybody'}", 3)
    else:
        click.echo(f"{count} counters are forgotten.")
