"""posthouse accounts and sign-in: who may sign in."""

from __future__ import annotations

from typing import Any

import click

from posthouse import configuration
from posthouse.operations.output import NOT_FOUND, USAGE, answers, fail, json_option, now_ms, say_json, table


@click.group()
def accounts() -> None:
    """People and programs that may sign in."""


@accounts.command("create")
@click.argument("address")
@click.option("--superuser", is_flag=True, help="May do everything on this site.")
@click.option("--name", default="", help="The name to show.")
@click.option("--password", is_flag=True, help="Ask for a password, for sending mail by submission.")
@json_option
@answers
def create(address: str, superuser: bool, name: str, password: bool, as_json: bool) -> None:
    """Create an account that owns ADDRESS. Signing in on the web needs no password: see `posthouse sign-in`."""
    from posthouse.directory import accounts as acts

    secret = click.prompt("Password", hide_input=True, confirmation_prompt=True) if password else None
    made = acts.create(address, name, superuser, secret)
    if as_json:
        say_json(made)
    else:
        click.echo(f"Account for {address} created. To sign in: posthouse sign-in {address}")


@accounts.command("password")
@click.argument("address")
@answers
def password(address: str) -> None:
    """Set the password that ADDRESS sends mail with."""
    from posthouse.directory import accounts as acts

    acts.set_password(address, click.prompt("Password", hide_input=True, confirmation_prompt=True))
    click.echo("The password is set.")


@accounts.command("may-send")
@click.argument("address")
@click.argument("name", metavar="[OTHER-ADDRESS|@DOMAIN]", default="")
@click.option("--remove", "gone", is_flag=True, help="Take the right away.")
@json_option
@answers
def may_send(address: str, name: str, gone: bool, as_json: bool) -> None:
    """Let the account of ADDRESS send mail as OTHER-ADDRESS, or as every address of @DOMAIN; or show what it may.

    Its own addresses, the lists it owns (LIST and LIST-owner) and the domains it owns need no grant. It holds from the
    next sign-in on.
    """
    from posthouse.directory import accounts as acts
    from posthouse.directory import sending
    from posthouse.reception import rights

    if name and gone:
        sending.take_back(address, name)
    elif name:
        sending.allow(address, name)
    found = acts.find(address)
    if found is None:
        fail(f"{address} has no account", NOT_FOUND)
    may = rights.rights_of(found)
    names = sorted(may.addresses) + sorted(f"@{domain}" for domain in may.domains)
    if as_json:
        say_json({"address": address, "may_send_as": names, "granted": sending.allowed(found.id)})
    else:
        for one in names:
            click.echo(one)


@accounts.command("trust")
@click.argument("address")
@click.option("--remove", "gone", is_flag=True, help="Take the role away.")
@json_option
@answers
def trust(address: str, gone: bool, as_json: bool) -> None:
    """Give an account the trust role: it is told of every new list."""
    from posthouse.directory import accounts as acts

    made = acts.make_trusted(address, not gone)
    if as_json:
        return say_json(made)
    return click.echo(f"{address} is {'no longer ' if gone else ''}told of new lists.")


@accounts.command("superuser")
@click.argument("address")
@click.option("--remove", "gone", is_flag=True, help="Take the rights away.")
@json_option
@answers
def superuser(address: str, gone: bool, as_json: bool) -> None:
    """Give an account the rights of a site administrator."""
    from posthouse.directory import accounts as acts

    made = acts.make_superuser(address, not gone)
    if as_json:
        return say_json(made)
    return click.echo(f"{address} is {'no longer ' if gone else ''}an administrator of the site.")


@accounts.command("list")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="How many to show.")
@click.option("--after", type=int, default=0, metavar="ID", help="Begin behind the account with this number.")
@click.option("--staff", is_flag=True, help="Only administrators, and who is told of new lists.")
@json_option
@answers
def show_all(limit: int, after: int, staff: bool, as_json: bool) -> None:
    """List the accounts, the oldest first."""
    from posthouse.directory import accounts as acts

    found = acts.all_accounts(after, limit, staff=staff)
    if as_json:
        return say_json(found)
    rows = ((one.id, ", ".join(one.addresses), one.display_name, _rights(one)) for one in found)
    return table(("ID", "ADDRESSES", "NAME", "RIGHTS"), rows, "There is no account.")


@accounts.command("show")
@click.argument("address")
@json_option
@answers
def show(address: str, as_json: bool) -> None:
    """Show the account that owns ADDRESS."""
    from posthouse.directory import accounts as acts

    found = acts.find(address)
    if found is None:
        fail(f"{address} has no account", NOT_FOUND)
    if as_json:
        return say_json(found)
    return table(("ID", "ADDRESSES", "NAME", "RIGHTS"), [
        (found.id, ", ".join(found.addresses), found.display_name, _rights(found))])  # fmt: skip


def _rights(facts: Any) -> str:
    rights = [("administrator", facts.is_superuser), ("trust", facts.is_trust), ("closed", not facts.is_active)]
    return ", ".join(name for name, has in rights if has)


@accounts.command("add-address")
@click.argument("address")
@click.argument("other", metavar="OTHER-ADDRESS")
@json_option
@answers
def add_address(address: str, other: str, as_json: bool) -> None:
    """Let OTHER-ADDRESS belong to the account of ADDRESS too; an account that owned it becomes part of this one."""
    from posthouse.directory import accounts as acts
    from posthouse.lists import people

    found = acts.find(address)
    if found is None:
        fail(f"{address} has no account", NOT_FOUND)
    made = people.give(found.id, other, now_ms())
    if as_json:
        say_json(made)
    else:
        click.echo(f"The account has the addresses {', '.join(made.addresses)}.")


@accounts.command("remove-address")
@click.argument("address")
@json_option
@answers
def remove_address(address: str, as_json: bool) -> None:
    """Let ADDRESS belong to its account no longer; its lists keep it."""
    from posthouse.directory import accounts as acts
    from posthouse.directory import belonging

    found = acts.find(address)
    if found is None:
        fail(f"{address} has no account", NOT_FOUND)
    made = belonging.remove_address(found.id, address)
    if as_json:
        say_json(made)
    else:
        click.echo(f"The account has the addresses {', '.join(made.addresses)}.")


@accounts.command("primary")
@click.argument("address")
@json_option
@answers
def primary(address: str, as_json: bool) -> None:
    """Make ADDRESS the primary one of its account: mail about the account goes there."""
    from posthouse.directory import accounts as acts
    from posthouse.directory import belonging

    found = acts.find(address)
    if found is None:
        fail(f"{address} has no account", NOT_FOUND)
    made = belonging.prefer(found.id, address)
    if as_json:
        say_json(made)
    else:
        click.echo(f"The account has the addresses {', '.join(made.addresses)}.")


@accounts.command("preferences")
@click.argument("words", nargs=-1, metavar="[ADDRESS] [NAME=VALUE]...")
@click.option("--address-only", is_flag=True, help="Of this address alone, before those of its account.")
@click.option("--site", is_flag=True, help="Of the whole site, where nobody says otherwise.")
@json_option
@answers
def preferences(words: tuple[str, ...], address_only: bool, site: bool, as_json: bool) -> None:
    """Show or change what holds for all lists of an account, an address or the site, where a membership says nothing.

    NAME= takes a preference back.
    """
    from posthouse.directory import accounts as acts
    from posthouse.directory import preferences as said
    from posthouse.lists import digests

    address = "" if site else next((word for word in words if "=" not in word), "")
    if not site and not address:
        fail("name an address, or --site", USAGE)
    pairs = [word.partition("=") for word in words if "=" in word]
    values = {name: said.parsed(name, value) for name, _, value in pairs}
    if site:
        said.set_site(values)
        found = said.of_site()
    elif address_only:
        digests.set_address_preferences(address, values)
        found = said.of_address(address)
    else:
        account = acts.find(address)
        if account is None:
            fail(f"{address} has no account; for the address alone use --address-only", NOT_FOUND)
        digests.set_account_preferences(account.id, values)
        found = said.of_account(account.id)
    if as_json:
        say_json(found)
    else:
        for name, value in found.items():
            shown = value if isinstance(value, str) else {None: "(not said)", True: "yes", False: "no"}[value]
            click.echo(f"{name} = {shown}")


@click.command("sign-in")
@click.argument("address")
@json_option
@answers
def sign_in(address: str, as_json: bool) -> None:
    """Print a link that signs ADDRESS in on the web, once, within an hour."""
    from posthouse.directory import accounts as acts

    token = acts.sign_in_link(address, now_ms(), acts.LINK_SECONDS_CLI)
    link = f"{configuration.active().web.base_url}/sign-in/{token}/"
    if as_json:
        say_json({"address": address, "link": link})
    else:
        click.echo(link)
