"""posthouse trace and route: what happened, and where an address leads."""

from __future__ import annotations

import click

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
@json_option
@answers
def route(address: str, as_json: bool) -> None:
    """Tell where mail for ADDRESS would go, step by step."""
    from posthouse import routing

    sentences = routing.explain(address)
    if as_json:
        say_json({"address": address, "path": sentences})
    else:
        for sentence in sentences:
            click.echo(sentence)
