"""How commands answer: tables for people, JSON for programs, exit codes that mean something, progress on a terminal."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, TypeVar

import click

OK, REFUSED, USAGE, NOT_FOUND, UNAVAILABLE = 0, 1, 2, 3, 4
EXIT_CODES = {
    OK: "done",
    REFUSED: "refused: the input or the state does not allow it; the message says why",
    USAGE: "the command line could not be understood",
    NOT_FOUND: "what was named does not exist",
    UNAVAILABLE: "the database or another part cannot be used now; trying again later is right",
}

Command = TypeVar("Command", bound=Callable[..., Any])


def fail(text: str, code: int = REFUSED) -> NoReturn:
    """Say what went wrong on standard error and end with `code`."""
    click.echo(f"posthouse: {text}", err=True)
    sys.exit(code)


def json_option(command: Command) -> Command:
    """Add --json to a command; the function gets `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")(command)


def plain(value: Any) -> Any:
    """A value as JSON knows it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).isoformat(timespec="seconds")
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


def say_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False))


def moment(value: int | float | datetime.datetime | None) -> str:
    """A time (milliseconds, or a datetime) as ISO date and time in UTC; an empty string for none."""
    if not value:
        return ""
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime.fromtimestamp(value / 1000, datetime.UTC)
    return value.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def now_ms() -> int:
    """Milliseconds since 1970 UTC, as acts count."""
    return time.time_ns() // 1_000_000


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]], empty: str = "Nothing to show.") -> None:
    """Print rows in aligned columns; control characters are shown, never obeyed by the terminal."""
    cells = [[_cell(value) for value in row] for row in rows]
    if not cells:
        click.echo(empty)
        return
    widths = [max(len(heading), *(len(row[at]) for row in cells)) for at, heading in enumerate(headings)]
    room = max(40, shutil.get_terminal_size((200, 24)).columns) if sys.stdout.isatty() else 10_000
    for row in [list(headings), *cells]:
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        click.echo(line[:room])


def _cell(value: Any) -> str:
    if isinstance(value, datetime.datetime):
        return moment(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = "" if value is None else str(value)
    return printable(text)


def printable(text: str) -> str:
    """Text with every control character made visible, so that a hostile subject cannot drive the terminal."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


def say_who_writes(whom: str) -> None:
    """Tell why a command does not go on."""
    click.echo(f"posthouse: waiting for {printable(whom)}, which writes to the database ...", err=True)


def answers(command: Command) -> Command:
    """Turn the rooms' exceptions into one polite line and an exit code; a traceback never reaches a person."""

    @functools.wraps(command)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        from django.db import DatabaseError, InterfaceError

        from posthouse import database

        try:
            return command(*arguments, **named)
        except (click.ClickException, click.exceptions.Exit, click.Abort, SystemExit, KeyboardInterrupt):
            raise
        except database.Busy as error:
            fail(f"{error}; this was not done. Try again, or wait longer: posthouse --wait 600 ...", UNAVAILABLE)
        except database.Unavailable as error:
            fail(f"the database cannot be used: {error}{_where()}", UNAVAILABLE)
        except (DatabaseError, InterfaceError) as error:
            text = str(error).strip().splitlines()[0] if str(error) else type(error).__name__
            if "no such table" in text or "does not exist" in text:
                fail("the database is not set up; run: posthouse migrate", UNAVAILABLE)
            fail(f"the database cannot be used: {text}{_where()}", UNAVAILABLE)
        except UnicodeDecodeError as error:
            odd = error.object[error.start : error.start + 1].hex()
            fail(f"the input is not UTF-8 (octet {odd}); save it so, or convert it: iconv -f LATIN1 -t UTF-8 FILE")
        except LookupError as error:
            fail(str(error.args[0]) if error.args else str(error), NOT_FOUND)
        except BrokenPipeError:
            raise  # whoever read has enough, like `head`: click ends without a word
        except OSError as error:
            fail(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "), REFUSED)
        except Exception as error:
            if type(error).__module__.startswith("posthouse.") or isinstance(error, ValueError):
                missing = type(error).__name__.startswith(("Unknown", "NoSuch", "Gone"))
                fail(f"{error}{_hint(error)}", NOT_FOUND if missing else REFUSED)
            raise
        finally:
            database.close()

    return wrapped  # type: ignore[return-value]


def _where() -> str:
    """Said where the database cannot be used: the most frequent reason is a command in a directory of its own."""
    from posthouse import configuration

    context = click.get_current_context(silent=True)
    named = context.find_root().params.get("path") if context else None
    if configuration.find(named) is not None:
        return ""
    return "; no configuration file was found from here: name one with --config FILE, or in POSTHOUSE_CONFIG"


def _hint(error: Exception) -> str:
    """What the person may have meant, where the error knows what they asked for: often the domain is left out."""
    asked = getattr(error, "asked", "")
    if not asked:
        return ""
    from posthouse.lists import addresses

    found = addresses.namesakes(asked)
    return f"; there is {' and '.join(found)}" if found else ""


class Progress:
    """One line on standard error that says how far a long command is; silent where that is not a terminal."""

    def __init__(self, what: str) -> None:
        self.what, self.begun, self.said = what, time.monotonic(), 0.0
        self.shown = sys.stderr.isatty()

    def __call__(self, done: int, total: int | None = None) -> None:
        """Report `done` of `total` (None: unknown)."""
        now = time.monotonic()
        if not self.shown or now - self.said < 0.2:
            return
        self.said = now
        rate = done / max(now - self.begun, 0.001)
        share = f" {done * 100 // total}%" if total else ""
        sys.stderr.write(f"\r\033[K{self.what}: {done:,}{share} ({rate:,.0f}/s)")
        sys.stderr.flush()

    def close(self) -> None:
        """Clear the line."""
        if self.shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
