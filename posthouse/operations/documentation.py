"""The reference pages made from the code: settings, commands, list settings. `--check` fails on a stale page."""

from __future__ import annotations

import dataclasses
import os
import sys
import typing
from pathlib import Path

import click

from posthouse import configuration

ROOT = Path(__file__).resolve().parent.parent.parent
NOTE = "<!-- Made from the code by `make docs`; edit the code, not this page. -->\n"


def settings_page() -> str:
    """docs/settings.md: every setting with its default and what it is for."""
    lines = [NOTE, "# Settings", ""]
    lines.append(
        str(configuration.find.__doc__).split("\n")[0].replace("The file to read", "One file, `posthouse.toml`")
    )
    lines += ["", "`posthouse check-config` prints what is in force. All settings are read at the start."]
    lines.append(
        "Certificates are read again when their files change; nothing that lists or members need asks for a restart."
    )
    tables: list[tuple[str, typing.Any]] = [("", configuration.Configuration())]
    for table, section in tables:
        lines += ["", f"## [{table}]" if table else "## Top of the file", "", str(section.__doc__), ""]
        lines += ["| setting | default | what it is for |", "|---|---|---|"]
        hints = typing.get_type_hints(type(section))
        for item in dataclasses.fields(section):
            value, name = getattr(section, item.name), f"{table}.{item.name}" if table else item.name
            inner = (typing.get_args(hints[item.name]) or (None, None))[-1]
            if dataclasses.is_dataclass(value):
                tables.append((name, value))
            elif isinstance(value, dict) and dataclasses.is_dataclass(inner):
                tables.append((f"{name}.NAME", typing.cast("type[typing.Any]", inner)()))
            elif isinstance(value, dict):
                lines.append(f"| `[{name}]` | empty | {item.metadata['doc']} |")
            else:
                lines.append(f"| `{item.name}` | `{configuration.toml(value)}` | {item.metadata['doc']} |")
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """docs/commands.md: the help of every command."""
    from posthouse.operations.cli import EPILOG, cli

    lines = [NOTE, "# Commands", "", EPILOG, ""]

    def walk(command: click.Command, path: list[str]) -> None:
        context = click.Context(command, info_name=" ".join(path), max_content_width=100, terminal_width=100)
        text = command.get_help(context)
        lines.extend([f"## {' '.join(path)}", "", "```text", *text.split("\n"), "```", ""])
        if isinstance(command, click.Group):
            for name in sorted(command.commands):
                walk(command.commands[name], [*path, name])

    walk(cli, ["posthouse"])
    return "\n".join(line.rstrip() for line in lines)


def list_settings_page() -> str:
    """docs/list-settings.md: every setting of a list."""
    from posthouse.lists import settings

    lines = [NOTE, "# Settings of a list", "", "`posthouse lists set LIST NAME=VALUE ...` changes them.", ""]
    lines += ["| setting | values | default | what it does |", "|---|---|---|---|"]
    for one in settings.SETTINGS:
        default = f"`{one.shown_default}`" if one.shown_default else "empty"
        lines.append(f"| `{one.name}` | {one.allowed} | {default} | {one.doc} |")
    return "\n".join(lines) + "\n"


PAGES = {"settings.md": settings_page, "commands.md": commands_page, "list-settings.md": list_settings_page}


def main() -> int:
    """Write the pages, or with --check say which are stale (status 1)."""
    os.environ.pop("POSTHOUSE_CONFIG", None)
    configuration.activate(configuration.Configuration(data_directory="var", hostname="mail.example"))
    from posthouse import database

    database.setup()
    stale = 0
    for name, make in PAGES.items():
        path, text = ROOT / "docs" / name, make()
        if "--check" in sys.argv[1:]:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                print(f"docs/{name} is not fresh; run: make docs", file=sys.stderr)
                stale += 1
        else:
            path.write_text(text, encoding="utf-8")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
