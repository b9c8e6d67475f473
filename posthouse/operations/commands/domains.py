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
        rows = ((one.name, one.stands_for, ", ".join(one.owners), one.description) for one in found)
        table(("DOMAIN", "STANDS FOR", "OWNERS", "DESCRIPTION"), rows, "There is no domain yet.")


@domains.command("stand-for")
@click.argument("legacy")
@click.argument("other", required=False)
@json_option
@answers
def stand_for(legacy: str, other: str | None, as_json: bool) -> None:
    """Let the lists of OTHER be reached in the domain LEGACY too, with every suffix; without OTHER: no longer."""
    from posthouse.directory import domains as acts

    made = acts.stand_for(legacy, other)
    if as_json:
        say_json(made)
    else:
        click.echo(f"{made.name} stands for {made.stands_for or 'itself'}.")


@domains.command("owner")
@click.argument("name")
@click.argument("address")
@click.option("--remove", "gone", is_flag=True, help="Take the domain away from this account.")
@json_option
@answers
def owner(name: str, address: str, gone: bool, as_json: bool) -> None:
    """Let an account create, change and remove the lists of a domain."""
    from posthouse.directory import domains as acts

    made = acts.remove_owner(name, address) if gone else acts.add_owner(name, address)
    if as_json:
        say_json(made)
    else:
        click.echo(f"{made.name}: owners are {', '.join(made.owners) or 'none'}.")
