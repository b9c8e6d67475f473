"""posthouse periodic: what lists do by the clock."""

from __future__ import annotations

import click

from posthouse.operations.output import answers, json_option, moment, now_ms, say_json, table


@click.group()
def periodic() -> None:
    """Work that is done by the clock: digests, warnings, reminders, expiry. The delivery station does it by itself."""


@periodic.command("run")
@click.option("--job", default="", metavar="NAME", help="Do this job now, due or not.")
@json_option
@answers
def run(job: str, as_json: bool) -> None:
    """Do what is due now. Safe beside a running delivery station: each job is done once."""
    from posthouse.lists import periodic as work

    now = now_ms()
    done = work.run_now(job, now) if job else work.run(now)
    if as_json:
        say_json(done)
        return
    for name, number in done.jobs:
        click.echo(f"{name}: {number}")
    for name in done.failed:
        click.echo(f"{name}: failed; the log says why. It is tried again in a few minutes.")
    if not done.jobs and not done.failed:
        click.echo("Nothing is due.")


@periodic.command("list")
@json_option
@answers
def show(as_json: bool) -> None:
    """List the jobs, when each is due and what it did last."""
    from posthouse.lists import periodic as work

    found = work.standing(now_ms())
    if as_json:
        say_json(found)
        return
    rows = ((one.name, moment(one.next_due), moment(one.ended_at) or "never", one.said, one.doc) for one in found)
    table(("JOB", "DUE", "LAST", "WHAT IT DID", "WHAT IT DOES"), rows, "There are no jobs.")
