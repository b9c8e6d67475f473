"""posthouse domains: the mail domains that are ours."""

from __future__ import annotations

import click

from posthouse.operations.output import answers, json_option, say_json, table


@click.group()
def domains() -> None:
    """The mail domains that are ours: an address in one of them is known or refused, never relayed."""


@domains.command("add")
@click.argument("name")
@click.option("--description", default="", help="What the domain is for.")
@json_option
@answers
def add(name: str, description: str, as_json: bool) -> None:
    """Add a domain. It takes mail at once; no restart."""
    from posthouse.directory import domains as acts

    made = acts.add(name, description)
    if as_json:
        say_json(made)
    else:
        click.echo(f"{made.name} is ours now. Its MX record should name this host.")


@domains.command("list")
@json_option
@answers
def show_all(as_json: bool) -> None:
    """List the domains."""
    from posthouse.directory import domains as acts

    found = acts.all_domains()
    if as_json:
        say_json(found)
    else:
        table(("DOMAIN", "DESCRIPTION"), ((one.name, one.description) for one in found), "There is no domain yet.")
