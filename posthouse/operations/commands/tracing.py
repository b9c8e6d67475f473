"""posthouse trace and route: what happened, and where an address leads."""

from __future__ import annotations

import ipaddress

import click

from posthouse import configuration
from posthouse.operations.output import answers, json_option, moment, printable, say_json


@click.command()
@click.argument("word")
@click.option("--limit", type=click.IntRange(1), default=2000, show_default=True, help="Most events.")
@json_option
@answers
def trace(word: str, limit: int, as_json: bool) -> None:
    """Tell all that happened to a message, in order: WORD is a queue id, an address, a Message-ID or any text."""
    from posthouse.queue import trace as tracing

    found = tracing.trace(word, limit)
    if as_json:
        say_json(found)
        return
    for line in found:
        click.echo(f"{moment(line.at)}  {line.item or '-':13}  {printable(line.sentence)}")
    if not found:
        click.echo("Nothing is known of that word within the time that events are kept.")
        raise click.exceptions.Exit(3)


@click.command()
@click.argument("address")
@click.option("--sender", metavar="ADDRESS", help='The return path ("" or "<>": the null one).')
@click.option(
    "--from", "peer", metavar="IP", help="The client; else strangers, and whoever may relay where they differ."
)
@json_option
@answers
def route(address: str, sender: str | None, peer: str | None, as_json: bool) -> None:
    """Tell where mail for ADDRESS would go: every place that is asked, its answer, who decides and who carries it."""
    from posthouse import routing

    return_path = None if sender is None else sender.strip("<> ")
    may_relay = None if peer is None else _may_relay(peer)
    sentences = routing.explain(address, return_path, may_relay)
    if peer is not None:
        kind = "one of relay_networks: it may send to anywhere" if may_relay else "a stranger, outside relay_networks"
        sentences.insert(0, f"{peer} is {kind}.")
    if as_json:
        say_json({"address": address, "path": sentences, "ways": routing.ways(address, return_path, may_relay)})
    else:
        for sentence in sentences:
            click.echo(printable(sentence))


def _may_relay(peer: str) -> bool:
    """Whether a client with this address may send to anywhere without signing in."""
    chosen = configuration.active()
    try:
        address = ipaddress.ip_address(peer.strip("[]").removeprefix("IPv6:"))
    except ValueError:
        raise click.BadParameter(f"{peer!r} is no IP address") from None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    networks = (ipaddress.ip_network(one) for one in chosen.hosts(chosen.reception.relay_networks))
    return any(address in network for network in networks)
