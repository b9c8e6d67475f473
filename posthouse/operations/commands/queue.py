"""posthouse queue: the mail we answer for."""

from __future__ import annotations

import click

from posthouse import configuration
from posthouse.operations.output import answers, fail, json_option, moment, now_ms, say_json, table


@click.group()
def queue() -> None:
    """The mail that waits to be delivered."""


@queue.command("list")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@json_option
@answers
def show_all(limit: int, as_json: bool) -> None:
    """List messages that wait, oldest first, and the destinations that are suspended."""
    from posthouse.queue import operator, suspension

    found, stopped, counts = operator.listing(limit), suspension.suspended(now_ms()), operator.counts()
    if as_json:
        say_json({"counts": counts, "messages": found, "suspended": stopped})
        return
    rows = ((one.name, moment(one.received_at), one.return_path or "<>", one.waiting, one.first_recipient,
             moment(one.next_attempt), one.last_reply) for one in found)  # fmt: skip
    table(
        ("ID", "RECEIVED", "RETURN PATH", "LEFT", "RECIPIENT", "NEXT ATTEMPT", "LAST REPLY"),
        rows,
        "The queue is empty.",
    )
    for one in stopped:
        until = moment(one.until) if one.until < 1 << 60 else "resumed by hand"
        click.echo(f"suspended: {one.name} until {until}: {one.reason}")


@queue.command("show")
@click.argument("name", metavar="ID")
@json_option
@answers
def show(name: str, as_json: bool) -> None:
    """Show a message and each recipient that is left."""
    from posthouse.queue import operator

    found = operator.show(_item(name))
    if found is None:
        fail(f"{name} is not in the queue; posthouse trace {name} tells what happened to it", 3)
    if as_json:
        say_json(found)
        return
    click.echo(
        f"{found.name}  received {moment(found.received_at)}  {found.size} bytes  from {found.return_path or '<>'}"
    )
    rows = (
        (one.recipient, one.attempts, moment(one.next_attempt), one.state, one.last_reply) for one in found.deliveries
    )
    table(("RECIPIENT", "ATTEMPTS", "NEXT ATTEMPT", "STATE", "LAST REPLY"), rows)


@queue.command("retry")
@click.argument("name", metavar="[ID|DESTINATION]", required=False)
@answers
def retry(name: str | None) -> None:
    """Try again now: one message, one destination, or everything that waits."""
    from posthouse.queue import identity, operator

    if name is None:
        count = operator.retry()
    elif "." in name or identity.id_of(name) is None:
        count = operator.retry(destination=_destination(name))
    else:
        count = operator.retry(item=_item(name))
    if name is not None and not count:
        fail(f"nothing waits for {name}, or it is being tried right now", 3)
    click.echo(f"{count} deliveries are due now.")


@queue.command("suspend")
@click.argument("destination")
@click.option("--reason", default="suspended by the operator", show_default=True)
@answers
def suspend(destination: str, reason: str) -> None:
    """Stop delivering to a destination (a domain) until it is resumed. Nothing is lost; its mail waits."""
    from posthouse.queue import suspension

    destination = _destination(destination)
    suspension.suspend_by_name(destination, reason, now_ms())
    click.echo(f"{destination} is suspended. To go on: posthouse queue resume {destination}")


@queue.command("resume")
@click.argument("destination")
@answers
def resume(destination: str) -> None:
    """Deliver to a suspended destination again."""
    from posthouse.queue import suspension

    destination = _destination(destination)
    if not suspension.resume(destination, now_ms()):
        fail(f"{destination} is not suspended", 3)
    click.echo(f"{destination} is resumed.")


@queue.command("return")
@click.argument("name", metavar="ID")
@answers
def return_(name: str) -> None:
    """Give a message up now: its sender gets a report for the recipients that are left."""
    from posthouse.lists.reports import Speaker
    from posthouse.queue import operator

    count = operator.return_now(_item(name), now_ms(), configuration.active().host, Speaker())
    if not count:
        fail(f"{name} is not in the queue", 3)
    click.echo(f"{count} recipients given up; the sender is told.")


def _destination(name: str) -> str:
    """The one spelling of a destination, or the end with a sentence."""
    from posthouse.address import AddressError, normal_domain

    try:
        return normal_domain(name.strip().lower())
    except AddressError as error:
        fail(f"{name!r} is no destination, which is the domain behind the @ of recipients: {error}", 2)


def _item(name: str) -> int:
    from posthouse.queue import identity

    item = identity.id_of(name)
    if item is None:
        fail(f"{name!r} is not a queue id; it looks like the one in `250 ... queued as ID`", 2)
    return item
