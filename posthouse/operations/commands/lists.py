"""posthouse lists: create, show, change and remove mailing lists."""

from __future__ import annotations

import dataclasses
import time

import click

from posthouse.operations.output import REFUSED, answers, fail, json_option, plain, printable, say_json, table


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
                click.echo(f"{name} = {_shown(_written(name, setting))}".rstrip())
        elif item.name != "pk":  # which only programs want: --json has it
            click.echo(f"{item.name.replace('_', ' ')}: {_shown(value)}".rstrip())


def _shown(value: object) -> str:
    """A value for people; further lines of a text stand indented under the first."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    lines = ("never" if value is None else str(value)).splitlines()
    return "\n    ".join(map(printable, lines))


def _written(name: str, value: object) -> str:
    """A setting as `lists set` takes it; of a secret whether there is one."""
    from posthouse.lists import settings as registry
    from posthouse.lists.settings.kinds import SECRET, written

    setting = registry.BY_NAME[name]
    return str(value) if setting.kind == SECRET else written(setting, value)


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


@lists.command("rename")
@click.argument("address")
@click.argument("new", metavar="NEW-ADDRESS")
@click.option("--new-list-id", is_flag=True, help="Change the List-Id too; people's mail filters name it.")
@json_option
@answers
def rename(address: str, new: str, new_list_id: bool, as_json: bool) -> None:
    """Give a list another address. Everything goes along; the old address and old pages work on."""
    from posthouse.lists import creation

    made = creation.rename(address, new, new_list_id=new_list_id)
    if as_json:
        say_json(made)
    else:
        click.echo(f"{made.address} is the list's address now; mail to {address} still reaches it.")


@lists.command("alias")
@click.argument("address")
@click.argument("alias")
@click.option("--remove", "gone", is_flag=True, help="Take the other address (or an old name) away.")
@json_option
@answers
def alias(address: str, alias: str, gone: bool, as_json: bool) -> None:
    """Let another address, in any domain that is ours, lead to a list too, with -join and all the others."""
    from posthouse.lists import creation

    made = creation.remove_alias(alias) if gone else creation.add_alias(address, alias)
    if as_json:
        say_json(made)
    else:
        click.echo(f"{made.address}: other addresses are {', '.join(made.aliases) or 'none'}.")


def _state(address: str, state: str, reason: str, as_json: bool) -> None:
    from posthouse.lists import creation

    before = creation.show(address).state
    made = creation.set_state(address, state, reason)
    if as_json:
        say_json(made)
    elif before == made.state:
        click.echo(f"{made.address} is {made.state} already.")
    else:
        click.echo(f"{made.address} is {made.state} now; its owners are told.")


@lists.command("pause")
@click.argument("address")
@click.option("--reason", default="", help="What visitors and owners are told.")
@json_option
@answers
def pause(address: str, reason: str, as_json: bool) -> None:
    """Refuse postings and new members for a while; leaving works, the archive can be read."""
    _state(address, "paused", reason, as_json)


@lists.command("close")
@click.argument("address")
@click.option("--reason", default="", help="What visitors and owners are told.")
@json_option
@answers
def close(address: str, reason: str, as_json: bool) -> None:
    """Keep the archive only: no postings and no new members any more."""
    _state(address, "closed", reason, as_json)


@lists.command("disable")
@click.argument("address")
@click.option("--reason", default="", help="What visitors and owners are told.")
@json_option
@answers
def disable(address: str, reason: str, as_json: bool) -> None:
    """Discard silently whatever comes to a list, and let nobody join; leaving works."""
    _state(address, "disabled", reason, as_json)


@lists.command("resume")
@click.argument("address")
@json_option
@answers
def resume(address: str, as_json: bool) -> None:
    """Let a paused, closed or disabled list work again."""
    _state(address, "active", "", as_json)


@lists.command("remove")
@click.argument("address")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--with-archive", is_flag=True, help="Hide its archive now and delete it after 30 days.")
@json_option
@answers
def remove(address: str, yes: bool, with_archive: bool, as_json: bool) -> None:
    """Remove a list. For 30 days `posthouse lists restore` brings it back; its archive stays unless asked."""
    from posthouse.lists import creation

    found = creation.show(address)
    if not yes:
        archive = "Its archive goes too." if with_archive else "The archive stays."
        click.confirm(f"Remove {found.address} with its {found.members} members? {archive}", abort=True)
        if click.prompt("Type its address to be sure") != found.address:
            fail("that is another address; nothing was removed", REFUSED)
    gone = creation.remove(found.address, keep_archive=not with_archive)
    if as_json:
        return say_json(gone)
    return click.echo(
        f"{found.address} is removed. To bring it back within 30 days: posthouse lists restore {found.address}"
    )


@lists.command("removed")
@json_option
@answers
def removed(as_json: bool) -> None:
    """List the lists that can be restored."""
    from posthouse.lists import creation

    found = creation.removed()
    if as_json:
        say_json(found)
    else:
        rows = ((one.pk, one.address, one.members, one.removed_at, one.until) for one in found)
        table(("ID", "LIST", "MEMBERS", "REMOVED", "UNTIL"), rows, "No list was removed in the last 30 days.")


@lists.command("restore")
@click.argument("address", metavar="ADDRESS|ID")
@json_option
@answers
def restore(address: str, as_json: bool) -> None:
    """Bring a removed list back as it was."""
    from posthouse.lists import creation

    made = creation.restore(int(address) if address.isdecimal() else address.lower())
    if as_json:
        return say_json(made)
    return click.echo(f"{made.address} is back with {made.members} members.")


@lists.command("digest")
@click.argument("address")
@click.option("--send", "sends", is_flag=True, help="Send what was gathered now.")
@click.option("--bump", is_flag=True, help="Begin a new volume first.")
@json_option
@answers
def digest(address: str, sends: bool, bump: bool, as_json: bool) -> None:
    """Show what waits for a list's next digest, send it, or begin a new volume."""
    from posthouse.lists import digests

    if bump:
        digests.bump(address)
    sent = digests.send(address, time.time_ns() // 1_000_000) if sends else []
    found = digests.gathered(address)
    if as_json:
        say_json({"sent": sent, "next": found})
        return
    for one in sent:
        click.echo(f"Vol {one.volume}, Issue {one.number}: postings: {one.postings}, readers: {one.recipients}.")
    if sends and not sent:
        click.echo("Nothing went out: nothing was gathered, or nobody reads digests of this list.")
    click.echo(
        f"Next of {found.list_address}: Vol {found.volume}, Issue {found.number}; "
        f"{found.postings} postings wait, {found.octets / 1024:.1f} KB."
    )
