"""posthouse archive: bring old postings in, take them out, search them, delete one."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from posthouse.operations.output import Progress, answers, fail, json_option, now_ms, printable, say_json


@click.group()
def archive() -> None:
    """Archives of the lists."""


@archive.command("import")
@click.argument("mailing_list", metavar="LIST")
@click.argument("path", metavar="FILE.mbox", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write the odd messages here.")
@json_option
@answers
def import_(mailing_list: str, path: Path, dry_run: bool, report: Path | None, as_json: bool) -> None:
    """Import an mbox (also .gz) into a list's archive. Stopped, it goes on where it was; twice adds nothing."""
    from posthouse.archive import importing

    progress = Progress("importing")
    odd: list[str] = []
    try:
        result = importing.import_mbox(
            mailing_list, path, now=int(time.time()), dry_run=dry_run,
            progress=lambda far: progress(far.read),
            odd=lambda one: odd.append(f"byte {one.offset}, <{one.message_id}>: {'; '.join(one.oddities)}"),
        )  # fmt: skip
    except KeyboardInterrupt:
        progress.close()
        fail("stopped; run the same command again and it goes on where it was", 1)
    progress.close()
    if report:
        report.write_text("".join(f"{line}\n" for line in odd), encoding="utf-8", errors="backslashreplace")
    if as_json:
        say_json(result)
    else:
        click.echo(
            f"{result.read} messages read: {result.added} {'would be added' if dry_run else 'added'}, "
            f"{result.known} known already, {result.variants} with an id used before, "
            f"{result.deleted} deleted earlier, {result.odd} odd."
        )
        if odd and not report:
            click.echo(f"The first of {len(odd)} odd messages, one a line (--report FILE keeps them all):")
            for line in odd[:20]:
                click.echo(f"  {printable(line)}")


@archive.command("export")
@click.argument("mailing_list", metavar="LIST")
@click.argument("path", metavar="FILE", type=click.Path(dir_okay=False, allow_dash=True))
@answers
def export(mailing_list: str, path: str) -> None:
    """Write a list's archive as an mbox of the same bytes; `-` writes to standard output."""
    from posthouse.archive import exporting

    if path == "-":
        count = exporting.export(mailing_list, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        partial = Path(f"{path}.partial")
        with partial.open("wb") as out:
            count = exporting.export(mailing_list, out)
        partial.replace(path)
    click.echo(f"{count} messages written.", err=True)


@archive.command("search")
@click.argument("mailing_list", metavar="LIST")
@click.argument("words", nargs=-1, required=True)
@click.option("--sort", type=click.Choice(["date", "rank"]), default="date", show_default=True)
@click.option("--page", type=click.IntRange(1), default=1)
@json_option
@answers
def search(mailing_list: str, words: tuple[str, ...], sort: str, page: int, as_json: bool) -> None:
    """Search a list's archive (the same words as on the web: "phrase", -word, OR, from:, subject:, after: ...)."""
    from posthouse.archive import search as searching

    text = " ".join(f'"{word}"' if " " in word and ":" not in word else word for word in words)
    found = searching.search(text, [mailing_list], sort=sort, page=page)
    if as_json:
        say_json(found)
        return
    for complaint in found.complaints:
        click.echo(complaint, err=True)
    for hit in found.hits:
        day = time.strftime("%Y-%m-%d", time.gmtime(hit.sent_at))
        click.echo(f"{day}  {printable(hit.author_name or hit.author_address)}  {printable(hit.subject)}  {hit.key}")
    if not found.hits:
        click.echo("Nothing was found.")


@archive.command("delete")
@click.argument("mailing_list", metavar="LIST")
@click.argument("key")
@click.option("--thread", "whole", is_flag=True, help="The whole thread that the message is in.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@answers
def delete(mailing_list: str, key: str, whole: bool, yes: bool) -> None:
    """Delete a message (KEY is the last part of its permalink) from pages, search, feeds and exports."""
    from posthouse.archive import deleting

    if not yes:
        click.confirm(f"Delete {'the thread of ' if whole else ''}{key} for good?", abort=True)
    if whole:
        click.echo(f"{deleting.delete_thread(mailing_list, key, now_ms() // 1000)} messages deleted.")
    else:
        deleting.delete_posting(mailing_list, key, now_ms() // 1000)
        click.echo("Deleted.")
