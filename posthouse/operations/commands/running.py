"""posthouse serve, trial, check-config, migrate, status: starting the system and looking after it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from posthouse import configuration
from posthouse.operations import private, supervisor
from posthouse.operations.output import UNAVAILABLE, answers, fail, json_option, now_ms, say_json, table

_DAY = 24 * 3600 * 1000  # ms
SOFT = "soft_refusals is on: every refusal is temporary, in and out. This is not for production."


@click.command()
@click.option("--only", multiple=True, type=click.Choice(supervisor.ROLES), help="Run only this role; may be repeated.")
@answers
def serve(only: tuple[str, ...]) -> None:
    """Run the system in the foreground: reception, delivery and web, each in processes of its own."""
    from posthouse.operations import schema

    chosen = configuration.active()
    missing = schema.missing()
    if missing:
        fail(f"the database lacks {len(missing)} migrations ({missing[0]} ...); run: posthouse migrate", UNAVAILABLE)
    _run(chosen, only or supervisor.ROLES)


def _run(chosen: configuration.Configuration, only: tuple[str, ...]) -> None:
    from posthouse.operations import trial as trying

    if "reception" in only:
        _check_certificate(chosen)
    try:
        sockets = supervisor.bind(chosen, only)
        greeting = ""
        if chosen.trial and set(only) == set(supervisor.ROLES):
            chosen = trying.adopt(chosen, sockets)
            greeting = trying.welcome(chosen, sockets)
        for name, bound in sockets.items():
            places = ", ".join(f"{one.getsockname()[0]} port {one.getsockname()[1]}" for one in bound)
            click.echo(f"{name}: {places}", err=True)
        status = supervisor.Supervisor(chosen, sockets, only, lambda: click.echo(greeting, nl=bool(greeting))).run()
    except supervisor.CannotListen as error:
        fail(str(error))
    sys.exit(status)


def _check_certificate(chosen: configuration.Configuration, starting: bool = True) -> None:
    """End with a sentence when the certificate and key of `[tls]` cannot be used; warn of what is wrong with them.

    Who only asks, as somebody who may not read them, is warned.
    """
    from posthouse.reception import certificates

    if chosen.tls.certificate:
        try:
            certificates.certificates_for(chosen, time.time())
        except certificates.CertificateError as error:
            if starting or not isinstance(error, certificates.NotOurs):
                fail(f"[tls] {error}")
            click.echo(f"Warning: [tls] {error}", err=True)
        for sentence in certificates.complaints(chosen, time.time()):
            click.echo(f"Warning: [tls] {sentence}", err=True)


@click.command()
@click.option("--data", default="var", show_default=True, type=click.Path(file_okay=False, path_type=Path),
              help="Directory for everything the trial keeps.")  # fmt: skip
@answers
def trial(data: Path) -> None:
    """Start a complete system to play with: on this machine only, nothing leaves it.

    The first start creates the domain lists.localhost, a list with a short archive and an owner's account. Mail for
    elsewhere is kept and shown at /trial/outbox. Recipients named reject-550, defer-451, slow-5s and drop behave so.
    """
    from posthouse.operations import trial as trying

    _run(trying.prepare(data), supervisor.ROLES)


@click.command("check-config")
@json_option
def check_config(as_json: bool) -> None:
    """Read the configuration, complain with line and reason, and print what is in force."""
    chosen = configuration.active()
    _check_certificate(chosen, starting=False)
    named = click.get_current_context().find_root().params.get("path")
    for sentence in (*private.doubts_about_users(chosen), *private.complaints(configuration.find(named), chosen)):
        click.echo(f"Warning: {sentence}", err=True)
    if as_json:
        say_json(chosen)
        return
    click.echo(configuration.describe(chosen), nl=False)


@click.command()
@click.option("--check", is_flag=True, help="Only say what is missing; ends with 1 where something is.")
@json_option
@answers
def migrate(check: bool, as_json: bool) -> None:
    """Bring the database's tables to this version. Running it again changes nothing."""
    from posthouse.operations import schema

    missing = schema.missing()
    if check:
        if as_json:
            say_json({"missing": missing})
        else:
            for name in missing:
                click.echo(f"missing: {name}")
            click.echo("The database is up to date." if not missing else f"{len(missing)} missing.")
        raise click.exceptions.Exit(1 if missing else 0)
    schema.migrate()
    if as_json:
        say_json({"applied": missing})
    else:
        click.echo(f"{len(missing)} migrations applied." if missing else "The database was up to date.")


def _port_or_path(place: str) -> int | str:
    return place if place.startswith("/") else configuration.endpoint(place)[1]


@click.command()
@json_option
@answers
def status(as_json: bool) -> None:
    """Show what is bound, by which program, and how much waits."""
    from posthouse.database import free_bytes
    from posthouse.queue import operator, verdicts
    from posthouse.reception import certificates, pressure

    chosen = configuration.active()
    late = pressure.late(chosen.flood, now_ms())
    behind = pressure.state(chosen.flood, chosen.limits.minimum_free_disk, late, free_bytes(chosen.data))
    kinds = ("transfer", "submission", "submissions", "lmtp")
    places = [(name, place) for name in kinds for place in getattr(chosen.reception, name)]
    places += [("service", place) for place in chosen.service.listen]
    places += [("web", place) for place in chosen.web.listen]
    rows = [(name, place, supervisor.holder_of(_port_or_path(place))) for name, place in places]
    counts = operator.counts()
    checks = verdicts.counted(now_ms() - _DAY)
    warnings = [SOFT] if chosen.reception.soft_refusals else []
    warnings += [f"[tls] {one}." for one in certificates.complaints(chosen, time.time())]
    if as_json:
        found = [{"listener": name, "address": place, "held": held.strip()} for name, place, held in rows]
        say_json({"listeners": found, "queue": counts, "overdue": late, "come_later": behind,
                  "checks": checks, "warnings": warnings})  # fmt: skip
        return
    table(("LISTENER", "ADDRESS", "BOUND"), ((name, place, held.strip() or "not bound") for name, place, held in rows))
    click.echo(
        f"Queue: {counts.messages} messages with {counts.waiting} recipients waiting, {counts.claimed} under way, "
        f"{counts.returning} to be returned; {counts.suspended_destinations} destinations suspended."
    )
    if checks:
        click.echo("The door in the last 24 hours: " + ", ".join(f"{what} {count}" for what, count in checks.items()))
    for sentence in (f"{late} deliveries are overdue.",) * bool(late) + tuple(behind) + tuple(warnings):
        click.echo(sentence)
