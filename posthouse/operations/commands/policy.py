"""posthouse policy: what the door would say to somebody, and why."""

from __future__ import annotations

import asyncio
import ipaddress
import sys
import time
from typing import TYPE_CHECKING, BinaryIO

import click

from posthouse import configuration
from posthouse.configuration.policy import LISTENERS
from posthouse.operations.output import NOT_FOUND, USAGE, answers, fail, json_option, printable, say_json, table

if TYPE_CHECKING:
    from posthouse.reception.trying import Answer, Mail


@click.group()
def policy() -> None:
    """What strangers and accounts meet at the door."""


@policy.command("try")
@click.option("--from", "address", required=True, metavar="IP", help="The client's address.")
@click.option("--helo", required=True, metavar="NAME", help="What it says in HELO.")
@click.option("--sender", required=True, metavar="ADDRESS", help='The return path ("" or "<>": the null one).')
@click.option("--recipient", required=True, metavar="ADDRESS", help="Whom it writes to.")
@click.option("--listener", type=click.Choice(LISTENERS), help="Where it connects. Default: transfer, or "
              "submission with --account.")  # fmt: skip
@click.option("--account", default="", metavar="ADDRESS", help="The account that signed in.")
@click.argument("file", type=click.File("rb"), required=False)
@json_option
@answers
def try_(
    address: str, helo: str, sender: str, recipient: str, listener: str | None, account: str, file: BinaryIO | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Ask everything that the configuration would ask about such mail, and tell each check, the verdict and the reply.

    The questions are real (DNS, scanners, other hosts); nothing is learnt, counted or kept. FILE is the message ("-"
    for standard input); without it the checks of content are left out.
    """
    from posthouse import database

    chosen = configuration.active()
    mail = _mail(address, helo, sender, recipient, listener or ("submission" if account else "transfer"), account, file)

    async def ask() -> Answer:
        from posthouse.reception.trying import try_mail

        bridge = database.Bridge(1)
        try:
            return await try_mail(chosen, bridge, time.time, mail)
        finally:
            bridge.close()

    answer = asyncio.run(ask())
    if as_json:
        say_json(answer)
    else:
        _tell(answer)


def _bare(path: str) -> str:
    """An address as it stands in MAIL or RCPT, or without the brackets."""
    return path[1:-1] if path[:1] == "<" and path[-1:] == ">" else path


def _mail(
    address: str, helo: str, sender: str, recipient: str, listener: str, account: str, file: BinaryIO | None
) -> Mail:
    from posthouse.address import AddressError, parse
    from posthouse.content.spool import spooled_from
    from posthouse.directory import accounts
    from posthouse.message.compose import with_crlf
    from posthouse.reception.rights import rights_of
    from posthouse.reception.trying import Mail
    from posthouse.smtp.path import valid_hello

    try:
        address = str(ipaddress.ip_address(address))
    except ValueError:
        fail(f"--from must be an IP address: {address!r}", USAGE)
    if not valid_hello(helo):
        fail(f"--helo must be a domain name or an address literal: {helo!r}", USAGE)
    sender, recipient = _bare(sender), _bare(recipient)
    for option, value in (("--sender", sender), ("--recipient", recipient)):
        try:
            if value and value.lower() != "postmaster":
                parse(value)
        except AddressError as error:
            fail(f"{option} is no address: {error.rule}: {value!r}", USAGE)
    if not recipient:
        fail("--recipient must not be empty", USAGE)
    found = accounts.find(account) if account else None
    if account and found is None:
        fail(f"{account} has no account", NOT_FOUND)
    if listener.startswith("submission") and found is None:
        fail(f"--listener {listener} needs --account: nobody sends there without signing in", USAGE)
    content = spooled_from(with_crlf(file.read())) if file is not None else None
    return Mail(
        address, helo, sender, recipient, listener, account, found.id if found else None,
        rights_of(found) if found else None, content,
    )  # fmt: skip


def _tell(answer: Answer) -> None:
    networks = f", in {', '.join(answer.networks)}" if answer.networks else ""
    click.echo(f"The client is a {answer.role}{networks}. The recipient leads to: {answer.destination}.")
    rows = [
        (one.check, one.stage, one.mode, one.source, "HOLDS" if one.holds else "", one.reason or one.found)
        for one in answer.checks
    ]
    table(("CHECK", "STAGE", "MODE", "SAYS", "", "FOUND"), rows)
    if answer.evidence:
        click.echo(f"Evidence: {printable(answer.evidence)}")
    if answer.tag:
        click.echo(printable(answer.tag.rstrip().replace("\r\n\t", " ")))
    by = f" by {answer.check}" if answer.check else ""
    why = f": {printable(answer.reason)}" if answer.reason else ""
    click.echo(f"Verdict: {answer.action}{by}{why}")
    click.echo(f"Reply: {printable(answer.reply)}")
    for note in answer.notes:
        click.echo(note, file=sys.stderr)
