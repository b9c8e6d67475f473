"""The command line: `posthouse NOUN VERB ...`; each noun is a module of `commands`."""

from __future__ import annotations

import sys
from typing import Any

import click

import posthouse
from posthouse import configuration
from posthouse.operations import output, private
from posthouse.operations.commands import (
    accounts,
    aliases,
    archive,
    checking,
    domains,
    flood,
    greylist,
    held,
    lists,
    maps,
    members,
    moderation,
    outsiders,
    periodic,
    policy,
    queue,
    requests,
    running,
    scanners,
    templates,
    tracing,
)

EPILOG = "Exit codes: " + "; ".join(f"{code} {text}" for code, text in output.EXIT_CODES.items()) + "."


class _Group(click.Group):
    """A group whose configuration errors come out as sentences."""

    def main(self, *arguments: Any, **named: Any) -> Any:
        try:
            return super().main(*arguments, **named)
        except configuration.ConfigurationError as error:
            output.fail(str(error), output.USAGE)


@click.group(
    cls=_Group, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(posthouse.__version__, prog_name="posthouse")
@click.option(
    "--config",
    "path",
    metavar="FILE",
    help="The configuration file. Else: POSTHOUSE_CONFIG, posthouse.toml or var/posthouse.toml in the working "
    "directory, /etc/posthouse/posthouse.toml; else the defaults.",
)
@click.option(
    "--wait",
    type=click.FloatRange(0, 86_400),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait while others write to the database; then nothing is done.",
)
@click.pass_context
def cli(context: click.Context, path: str | None, wait: float) -> None:
    """Mail and mailing lists for communities: reception, lists, archive and delivery in one program."""
    if context.invoked_subcommand == "trial":
        return
    configuration.activate(configuration.load(configuration.find(path)))
    if context.invoked_subcommand != "check-config":
        from posthouse import database, maillog

        maillog.quiet(context.invoked_subcommand != "serve")  # a person's terminal is no log; the database keeps it
        database.setup()
        if context.invoked_subcommand != "serve":
            database.hurry(wait, output.say_who_writes)
            context.call_on_close(lambda: database.hurry(None))  # of this command, not of what called it


for command in (
    running.serve,
    running.trial,
    running.check_config,
    checking.check_dns,
    running.migrate,
    running.status,
    domains.domains,
    aliases.aliases,
    accounts.accounts,
    accounts.sign_in,
    lists.lists,
    members.members,
    held.held,
    moderation.bans,
    requests.requests,
    archive.archive,
    periodic.periodic,
    queue.queue,
    greylist.greylist,
    flood.flood,
    maps.maps,
    templates.templates,
    outsiders.dns_lists,
    scanners.scanners,
    outsiders.standing,
    outsiders.verified,
    tracing.trace,
    tracing.route,
    policy.policy,
):
    cli.add_command(command)
lists.lists.add_command(moderation.header_matches)
members.members.add_command(moderation.moderate)


def main() -> None:
    """Run the command line with this process's arguments."""
    private.keep_to_ourselves()
    cli(prog_name="posthouse")
    sys.exit(0)
