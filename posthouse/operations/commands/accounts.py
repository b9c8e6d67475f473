"""posthouse accounts and sign-in: who may sign in."""

from __future__ import annotations

import click

from posthouse import configuration
from posthouse.operations.output import NOT_FOUND, USAGE, answers, fail, json_option, now_ms, say_json


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


@accounts.command("trust")
@click.argument("address")
@click.option("--remove", "gone", is_flag=True, help="Take the role away.")
@answers
def trust(address: str, gone: bool) -> None:
    """Give an account the trust role: it is told of every new list."""
    from posthouse.directory import accounts as acts

    acts.make_trusted(address, not gone)
    click.echo(f"{address} is {'no longer ' if gone else ''}told of new lists.")


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

    token = acts.sign_in_link(address, now_ms(), 3600)
    link = f"{configuration.active().web.base_url}/sign-in/{token}/"
    if as_json:
        say_json({"address": address, "link": link})
    else:
        click.echo(link)
