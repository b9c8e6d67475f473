"""posthouse scanners: whether each scanner of the configuration answers, and knows the test strings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from posthouse.operations.output import OK, UNAVAILABLE, answers, json_option, say_json, table

if TYPE_CHECKING:
    from posthouse.configuration import Configuration, Scanner
    from posthouse.reception.policy.facts import Scan


@dataclass(frozen=True)
class Answer:
    """What one server of a scanner said. `known`: of the test string; None for a milter, which need not know any."""

    name: str
    kind: str
    server: str
    answers: bool
    harmless: str
    known: bool | None
    tested: str


@click.group("scanners")
def scanners() -> None:
    """Programs that look at the content of mail, as [scanners] names them."""


@scanners.command("check")
@json_option
@answers
def check(as_json: bool) -> None:
    """Give each server a harmless message and one with a test string: GTUBE, or for ClamAV the EICAR test file.

    Exit code 4 when a server does not answer or does not know the test string. Nothing is kept, nothing is sent.
    """
    import asyncio
    import time

    from posthouse import configuration, maillog

    chosen = configuration.active()

    async def asked() -> list[Answer]:
        return [
            await _asked(chosen, name, settings, server, time.time)
            for name, settings in chosen.scanners.items()
            for server in settings.servers
        ]

    found = asyncio.run(asked())
    maillog.take()  # what was noted on the way is of no message
    if as_json:
        say_json(found)
    else:
        rows = ((one.name, one.kind, one.server, one.harmless, one.tested) for one in found)
        heading = ("NAME", "KIND", "SERVER", "A HARMLESS MESSAGE", "A TEST STRING")
        table(heading, rows, "The configuration names no scanner.")
    well = all(one.answers and one.known is not False for one in found)
    raise click.exceptions.Exit(OK if well else UNAVAILABLE)


async def _asked(
    chosen: Configuration, name: str, settings: Scanner, server: str, clock: Callable[[], float]
) -> Answer:
    """What one server says."""
    from posthouse.reception.content_checks.looking import EICAR, GTUBE

    one = replace(settings, servers=[server], domains=[], exempt_networks=[], when_down="accept", report="symbols")
    alone = replace(chosen, scanners={name: one})
    harmless = await _scan(alone, clock, b"Hello.\r\n")
    alive = harmless.result != "failed"
    if not alive:
        return Answer(name, settings.kind, server, False, _words(harmless), None, "")
    tested = await _scan(alone, clock, (EICAR if settings.kind == "clamav" else GTUBE) + b"\r\n")
    known = None if settings.kind == "milter" else tested.result in ("virus", "spam")
    return Answer(name, settings.kind, server, True, _words(harmless), known, _words(tested))


async def _scan(alone: Configuration, clock: Callable[[], float], text: bytes) -> Scan:
    """What it says of a message with this text from a client that cannot be."""
    from posthouse.content.spool import spooled_from
    from posthouse.message.dates import format_date
    from posthouse.reception.policy.facts import Facts, Scan, Visit
    from posthouse.reception.scanners import Scanners

    [settings] = alone.scanners.values()
    who = f"postmaster@{alone.host}"
    header = (
        f"From: <{who}>\r\nTo: <{who}>\r\nSubject: Do you answer?\r\nDate: {format_date(int(clock()))}\r\n"
        f"Message-ID: <{int(clock() * 1000)}.check@{alone.host}>\r\n"
    ).encode()
    listener = settings.listeners[0] if settings.listeners else "transfer"
    visit = Visit(listener, "192.0.2.1", helo="check.invalid", verb="EHLO")
    facts = Facts(visit, who, recipients=[who], header=header)
    every = Scanners({name: replace(one, listeners=[listener]) for name, one in alone.scanners.items()}, alone, clock)
    escort = every.opened(visit)
    if escort is not None:
        escort.mail(who)
        reply = await escort.recipient(who)
        if reply is not None:
            escort.closed()
            return Scan("", "refuse" if reply.permanent else "defer", words=str(reply), reply=reply)
    try:
        [scan] = await every.scan(facts, spooled_from(header + b"\r\n" + text), b"", escort)
        return scan
    finally:
        if escort is not None:
            escort.closed()


def _words(scan: Scan) -> str:
    score = "" if scan.score is None else f" {scan.score:.1f}"
    return f"{scan.result}{score}{f': {scan.words}' if scan.words else ''}"
