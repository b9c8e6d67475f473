"""posthouse lists: create, show, change and remove mailing lists."""

from __future__ import annotations

import dataclasses

import click

from posthouse.operations.output import REFUSED, answers, fail, json_option, plain, say_json, table


@click.group()
def lists() -> None:
    """Mailing lists and their settings."""


@lists.command("create")
@click.argument("address")
@click.option("--owner", "owners", multiple=True, required=True, metavar="ADDRESS", help="An owner; may be repeated.")
@click.option("--style", default="discussion", help="discussion, announce or private.", show_default=True)
@click.option("--name", default="", help="The name to show; default: the local part.")
@json_option
@answers
def create(address: str, owners: tuple[str, ...], style: str, name: str, as_json: bool) -> None:
    """Create a list. It takes mail at once, at its address and at -join, -leave, -owner and the others."""
    from posthouse.lists import creation

    made = creation.create(address, owners, style, name)
    if as_json:
        say_json(made)
    else:
        click.echo(f"{made.address} is ready. Add members: posthouse members add {made.address} ADDRESS ...")


@lists.command("list")
@json_option
@answers
def show_all(as_json: bool) -> None:
    """List all lists."""
    from posthouse.lists import creation

    found = creation.all_lists()
    if as_json:
        say_json(found)
    else:
        rows = ((one.address, one.members, one.style, one.archive_policy, one.description) for one in found)
        table(("LIST", "MEMBERS", "STYLE", "ARCHIVE", "DESCRIPTION"), rows, "There is no list yet.")


@lists.command("show")
@click.argument("address")
@json_option
@answers
def show(address: str, as_json: bool) -> None:
    """Show a list and its settings."""
    from posthouse.lists import creation

    found = creation.show(address)
    if as_json:
        say_json(found)
        return
    for item in dataclasses.fields(found):
        value = plain(getattr(found, item.name))
        if isinstance(value, dict):
            for name, setting in value.items():
                click.echo(f"{name} = {setting}")
        else:
            click.echo(f"{item.name}: {', '.join(map(str, value)) if isinstance(value, list) else value}")


@lists.command("set")
@click.argument("address")
@click.argument("settings", nargs=-1, required=True, metavar="NAME=VALUE...")
@json_option
@answers
def set_(address: str, settings: tuple[str, ...], as_json: bool) -> None:
    """Change settings; all of them or, when one is not right, none. `posthouse lists show` has the names."""
    from posthouse.lists import creation

    values: dict[str, str] = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals:
            fail(f"{text!r} is not NAME=VALUE", REFUSED)
        values[name.strip()] = value
    found = creation.set_settings(address, values)
    if as_json:
        say_json(found)
    else:
        click.echo(f"{found.address}: changed {', '.join(values)}.")


@lists.command("remove")
@click.argument("address")
@click.option("--yes", is_flag=True, help="Do not ask.")
@answers
def remove(address: str, yes: bool) -> None:
    """Remove a list with its members and settings. Its archive stays and can still be read."""
    from posthouse.lists import creation

    found = creation.show(address)
    if not yes:
        click.confirm(f"Remove {found.address} with its {found.members} members? The archive stays.", abort=True)
    creation.remove(found.address)
    click.echo(f"{found.address} is removed.")
