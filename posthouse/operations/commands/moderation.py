"""posthouse bans, lists header-matches, members moderate: who and what a list does not want."""

from __future__ import annotations

import getpass

import click

from posthouse.operations.output import answers, json_option, now_ms, say_json, table

_SITE = "With --site instead of LIST: for every list here."
_ACTIONS = ["hold", "reject", "discard", "accept", "defer"]


def _where(mailing_list: str | None, site: bool) -> str | None:
    """The list that is meant, None for the site."""
    if site == bool(mailing_list):
        raise click.UsageError("name a list, or say --site")
    return mailing_list


def _by() -> str:
    return f"{getpass.getuser()} (command line)"


def _splits(words: tuple[str, ...], site: bool, most: int) -> tuple[str | None, tuple[str, ...]]:
    """(the list, the other words): the list is the first word, unless --site stands in its place."""
    if site:
        return None, words
    if len(words) < most:
        raise click.UsageError("name a list, or say --site")
    return words[0], words[1:]


@click.group()
def bans() -> None:
    """Addresses that may neither post, nor write to owners, nor join."""


@bans.command("list")
@click.argument("mailing_list", metavar="[LIST]", required=False)
@click.option("--site", is_flag=True, help="The bans that hold everywhere.")
@json_option
@answers
def list_bans(mailing_list: str | None, site: bool, as_json: bool) -> None:
    """List the bans of a list, or of the site."""
    from posthouse.lists import bans as acts

    found = acts.bans(_where(mailing_list, site))
    if as_json:
        say_json(found)
    else:
        table(("PATTERN", "BY", "SINCE", "WHY"), ((one.pattern, one.by, one.at, one.why) for one in found), "No bans.")


@bans.command("add")
@click.argument("words", nargs=-1, required=True, metavar="[LIST] PATTERN...")
@click.option("--site", is_flag=True, help=_SITE)
@click.option("--why", default="", help="A note for other moderators.")
@answers
def add_bans(words: tuple[str, ...], site: bool, why: str) -> None:
    """Ban addresses, `@domain` for everybody there, or expressions that begin with ^."""
    from posthouse.lists import bans as acts

    where, patterns = _splits(words, site, 2)
    for pattern in patterns:
        new = acts.ban(pattern, where, by=_by(), now=now_ms(), why=why)
        click.echo(f"{pattern}: {'banned' if new else 'was banned already'}")


@bans.command("remove")
@click.argument("words", nargs=-1, required=True, metavar="[LIST] PATTERN...")
@click.option("--site", is_flag=True, help=_SITE)
@answers
def remove_bans(words: tuple[str, ...], site: bool) -> None:
    """Lift bans."""
    from posthouse.lists import bans as acts

    where, patterns = _splits(words, site, 2)
    for pattern in patterns:
        click.echo(f"{pattern}: {'no longer banned' if acts.lift(pattern, where) else 'was not banned'}")


@click.group("header-matches")
def header_matches() -> None:
    """Expressions looked for in the header fields of each posting and its parts, in order; the first match decides."""


@header_matches.command("list")
@click.argument("mailing_list", metavar="[LIST]", required=False)
@click.option("--site", is_flag=True, help=_SITE)
@click.option("--tag", default="", help="Only those with this tag.")
@json_option
@answers
def list_matches(mailing_list: str | None, site: bool, tag: str, as_json: bool) -> None:
    """List header matches in their order."""
    from posthouse.lists.moderation import header_matches as acts

    found = acts.matches(_where(mailing_list, site), tag)
    if as_json:
        say_json(found)
    else:
        rows = ((one.position, one.header, one.pattern, one.action, one.tag) for one in found)
        table(("POSITION", "FIELD", "EXPRESSION", "ACTION", "TAG"), rows, "No header matches.")


@header_matches.command("add")
@click.argument("words", nargs=-1, required=True, metavar="[LIST] FIELD EXPRESSION")
@click.option("--site", is_flag=True, help=_SITE)
@click.option("--action", default="hold", type=click.Choice(_ACTIONS), show_default=True, help="defer: switched off.")
@click.option("--tag", default="", help="A name to find it by.")
@click.option("--position", type=int, help="Where to put it, from 0; by itself at the end.")
@answers
def add_match(words: tuple[str, ...], site: bool, action: str, tag: str, position: int | None) -> None:
    """Add a header match, such as: header-matches add LIST X-Spam-Flag '^yes' --action discard."""
    from posthouse.lists.moderation import header_matches as acts

    where, rest = _splits(words, site, 3)
    if len(rest) != 2:
        raise click.UsageError("give the name of a field and one expression")
    made = acts.add(where, rest[0], rest[1], action, tag, position)
    click.echo(f"{made.position}: {made.header} {made.pattern} {made.action}")


@header_matches.command("remove")
@click.argument("words", nargs=-1, metavar="[LIST] [POSITION]")
@click.option("--site", is_flag=True, help=_SITE)
@click.option("--tag", default="", help="Every one with this tag.")
@click.option("--all", "everything", is_flag=True, help="Every one.")
@answers
def remove_match(words: tuple[str, ...], site: bool, tag: str, everything: bool) -> None:
    """Remove the header match at a position, those with a tag, or all."""
    from posthouse.lists.moderation import header_matches as acts

    where, rest = _splits(words, site, 1)
    if tag or everything:
        click.echo(f"{acts.remove_all(where, tag)} removed")
        return
    if len(rest) != 1 or not rest[0].isdecimal():
        raise click.UsageError("give a position, or --tag, or --all")
    gone = acts.remove(where, int(rest[0]))
    click.echo(f"removed: {gone.header} {gone.pattern} {gone.action}")


@header_matches.command("move")
@click.argument("words", nargs=-1, required=True, metavar="[LIST] POSITION TO")
@click.option("--site", is_flag=True, help=_SITE)
@answers
def move_match(words: tuple[str, ...], site: bool) -> None:
    """Put the header match at a position to another one."""
    from posthouse.lists.moderation import header_matches as acts

    where, rest = _splits(words, site, 3)
    if len(rest) != 2 or not all(word.isdecimal() for word in rest):
        raise click.UsageError("give the position of a match, and its new one")
    moved = acts.move(where, int(rest[0]), int(rest[1]))
    click.echo(f"{moved.position}: {moved.header} {moved.pattern} {moved.action}")


@click.command("moderate")
@click.argument("mailing_list", metavar="LIST")
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@click.option(
    "--action",
    required=True,
    type=click.Choice(["hold", "reject", "discard", "accept", "defer", "default"]),
    help="What happens to their postings; defer: what the other rules say; default: what the list's default says.",
)
@answers
def moderate(mailing_list: str, addresses: tuple[str, ...], action: str) -> None:
    """Decide about all postings of members or of nonmembers."""
    from posthouse.lists.moderation import actions

    for address in addresses:
        role = actions.set_action(mailing_list, address, actions.DEFAULT if action == "default" else action)
        click.echo(f"{address}: {action}, as a {role}")
