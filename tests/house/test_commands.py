"""Every command that answers with something answers programs too: --json."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from posthouse.operations.cli import cli

# What a person asks for with these verbs is a list or a thing.
ASKING = {"list", "show", "find", "search", "removed", "bounces", "status", "trace", "route", "events", "held"}
OF_LISTS = {"accounts", "domains", "lists", "members", "templates"}
# They ask for a secret at the terminal, or act on things one by one and say so a line each.
WITHOUT = {
    "accounts password", "lists header-matches add", "lists header-matches move", "lists header-matches remove",
    "members moderate",
}  # fmt: skip


def commands(command: click.Command = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, (*path, name))
    else:
        yield " ".join(path), command


def test_every_command_that_lists_or_shows_answers_in_json_too() -> None:
    missing = []
    for path, command in commands():
        has = any(option.name == "as_json" for option in command.params)
        words = path.split()
        source = inspect.getsource(inspect.unwrap(command.callback)) if command.callback else ""
        asked = words[-1] in ASKING or words[0] in OF_LISTS or "table(" in source
        if asked and not has and path not in WITHOUT:
            missing.append(path)
    assert not missing


def test_what_is_excused_exists() -> None:
    assert {path for path, _ in commands()} >= WITHOUT
