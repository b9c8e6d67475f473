"""posthouse maps: what a Postfix or an Exim in front may know of us, as files or as answers."""

from __future__ import annotations

from pathlib import Path

import click

from posthouse.operations.output import NOT_FOUND, OK, UNAVAILABLE, USAGE, answers, json_option, say_json

_EXITS = {"NOTFOUND": NOT_FOUND, "TEMP": UNAVAILABLE, "PERM": USAGE}


@click.group()
def maps() -> None:
    """What a Postfix or an Exim in front may know of us: see `listen` and the folders in [service]."""


@maps.command("write")
@click.argument("kind", type=click.Choice(["postfix", "exim"]))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@json_option
@answers
def write(kind: str, folder: Path, as_json: bool) -> None:
    """Write the files for Postfix or Exim into FOLDER. The running house keeps those of [service] current by itself."""
    from posthouse import configuration
    from posthouse.reception.front import files
    from posthouse.reception.front.answers import transport_of
    from posthouse.routing.all_addresses import all_addresses

    chosen = configuration.active()
    changed = files.write(
        kind, folder, all_addresses(), transport_of(chosen), chosen.service.postmap if kind == "postfix" else ()
    )
    if as_json:
        say_json({"folder": str(folder), "changed": changed})
    else:
        click.echo(f"{folder}: {', '.join(changed) or 'nothing'} changed.")


@maps.command("ask")
@click.argument("table")
@click.argument("key")
@json_option
@answers
def ask(table: str, key: str, as_json: bool) -> None:
    """Ask a map as Postfix or Exim would: recipients, domains, transport, addresses, aliases, replies.

    Ends with 3 for NOTFOUND, with 4 for TEMP, and with 2 for PERM: there is no such map.
    """
    import asyncio
    import time

    from posthouse import configuration, database
    from posthouse.reception.front.answers import Answers, transport_of
    from posthouse.routing import Router

    async def asked() -> tuple[str, str]:
        bridge = database.Bridge(1)
        try:
            answer = await Answers(Router(bridge, time.time), transport_of(configuration.active())).look_up(table, key)
        finally:
            await asyncio.to_thread(bridge.close)
        return answer.status, answer.text

    status, text = asyncio.run(asked())
    if as_json:
        say_json({"status": status, "text": text})
    else:
        click.echo(f"{status} {text}".rstrip())
    raise click.exceptions.Exit(_EXITS.get(status, OK))
