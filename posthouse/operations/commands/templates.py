"""posthouse templates: the texts of the messages that lists and the site write by themselves."""

from __future__ import annotations

import getpass
import sys
from typing import TextIO

import click

from posthouse.operations.output import answers, json_option, now_ms, say_json, table

_place = click.option(
    "--for", "place", metavar="PLACE", default="site", show_default=True,
    help="Whose template: a list's address, a domain, or `site`.",
)  # fmt: skip
_language = click.option("--language", default="", metavar="CODE", help="Such as en or fr.")


@click.group()
def templates() -> None:
    """The texts of the messages that lists write by themselves, under Mailman's names."""


@templates.command("list")
@_place
@json_option
@answers
def listing(place: str, as_json: bool) -> None:
    """List the templates, and which of them are worded anew in a place."""
    from posthouse.lists import texts, wording

    own = wording.listing(place)
    if as_json:
        return say_json(own)
    anew: dict[str, list[str]] = {}
    for one in own:
        anew.setdefault(one.name, []).append(one.language)
    rows = [(name, ", ".join(anew.get(name, ()))) for name in wording.names(place)]
    rows += [(name, f"the setting {setting} of each list") for name, setting in texts.SETTINGS.items()]
    return table(("NAME", "WORDED HERE IN"), rows, "There are no templates.")


@templates.command("show")
@click.argument("name")
@_place
@_language
@json_option
@answers
def show(name: str, place: str, language: str, as_json: bool) -> None:
    """Print a template as it holds in a place, the subject first."""
    from posthouse.lists import wording

    found = wording.show(place, name, language)
    if as_json:
        say_json(found)
    else:
        click.echo(found.whole, nl=False)


@templates.command("set")
@click.argument("name")
@click.argument("file", type=click.File("r", encoding="utf-8"))
@_place
@click.option("--language", default="en", show_default=True, metavar="CODE", help="Such as en or fr.")
@json_option
@answers
def put(name: str, file: TextIO, place: str, language: str, as_json: bool) -> None:
    """Word a template anew, from a FILE (- for standard input) whose first line may be `Subject: ...`."""
    from posthouse.lists import wording

    made = wording.put(place, name, language, file.read(), by=f"{getpass.getuser()} (command line)", now=now_ms())
    if as_json:
        say_json(made)
    else:
        click.echo(f"{name}: worded anew for {place}")


@templates.command("reset")
@click.argument("name")
@_place
@_language
@json_option
@answers
def reset(name: str, place: str, language: str, as_json: bool) -> None:
    """Take the wording of a place back, in one language or in all."""
    from posthouse.lists import wording

    count = wording.reset(place, name, language)
    if as_json:
        say_json({"name": name, "taken_back": count})
    else:
        click.echo(f"{name}: {count} taken back")


@templates.command("preview")
@click.argument("name")
@_place
@_language
@click.option("--file", type=click.File("r", encoding="utf-8"), help="Preview this text instead, without keeping it.")
@click.option("--html", is_flag=True, help="The HTML that goes with it.")
@json_option
@answers
def preview(name: str, place: str, language: str, file: TextIO | None, html: bool, as_json: bool) -> None:
    """Print a template filled with examples."""
    from posthouse.lists import wording

    shown = wording.preview(place, name, language, file.read() if file else "")
    if as_json:
        say_json(shown)
        return
    sys.stdout.write(shown.html if html else f"Subject: {shown.subject}\n\n{shown.text}")
