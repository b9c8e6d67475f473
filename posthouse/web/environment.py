"""How pages are written: one Jinja environment, everything escaped, every sentence through gettext."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

import jinja2
from django.utils.translation import gettext, ngettext
from jinja2.bccache import Bucket
from markupsafe import Markup, escape

from posthouse.configuration import active
from posthouse.web import links
from posthouse.web.assets import asset_path
from posthouse.web.choices import choice


def environment(**options: Any) -> jinja2.Environment:
    """Make the environment (Django's Jinja2 backend calls this once in each process)."""
    options.update(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    options["extensions"] = ["jinja2.ext.i18n", "jinja2.ext.do"]
    options["cache_size"] = -1
    options["bytecode_cache"] = _bytecode()
    made = jinja2.Environment(**options)  # noqa: S701  # autoescape is on: see above
    made.install_gettext_callables(gettext, ngettext, newstyle=True)  # type: ignore[attr-defined]
    made.globals.update(links=links, asset=asset_path, when=when, day=day, size=size, choice=choice)
    made.globals.update(trial=active().trial)
    return made


class _Bytecode(jinja2.FileSystemBytecodeCache):
    """Compiled templates on the disk, as long as it takes them: a full disk costs time at the next start, no more."""

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was compiled, if that can be."""
        with contextlib.suppress(OSError):
            super().dump_bytecode(bucket)


def _bytecode() -> jinja2.BytecodeCache | None:
    """Compiled templates are kept in the data directory, where only our own user may write; else in memory alone."""
    folder = active().data / "run" / "templates"
    try:
        folder.mkdir(mode=0o700, parents=False, exist_ok=True)
        facts = folder.stat()
    except OSError:
        return None
    if facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
        return None
    return _Bytecode(str(folder))


def when(epoch: int, offset: int = 0) -> Markup:
    """A moment (seconds since 1970) in a zone (minutes east of Greenwich): 2026-11-20 14:03 +0100, in <time>."""
    moment = time.gmtime(max(0, epoch + offset * 60))
    date = f"{moment.tm_year:04d}-{moment.tm_mon:02d}-{moment.tm_mday:02d}"
    clock = f"{moment.tm_hour:02d}:{moment.tm_min:02d}"
    hours, minutes = divmod(abs(offset), 60)
    sign = "-" if offset < 0 else "+"
    return Markup(  # noqa: S704  # digits only
        f'<time datetime="{date}T{clock}:{moment.tm_sec:02d}{sign}{hours:02d}:{minutes:02d}">'
        f"{date} {clock} {sign}{hours:02d}{minutes:02d}</time>"
    )


def day(epoch: int) -> Markup:
    """The day of a moment in UTC, in <time>."""
    moment = time.gmtime(max(0, epoch))
    date = f"{moment.tm_year:04d}-{moment.tm_mon:02d}-{moment.tm_mday:02d}"
    return Markup(f'<time datetime="{date}">{date}</time>')  # noqa: S704  # digits only


def iso(epoch: int) -> str:
    """A moment as RFC 3339 writes it, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(max(0, epoch)))


def size(octets: int) -> str:
    """A number of bytes for people."""
    if octets < 1000:
        return gettext("%(n)d bytes") % {"n": octets}
    if octets < 1_000_000:
        return gettext("%(n).1f kB") % {"n": octets / 1000}
    return gettext("%(n).1f MB") % {"n": octets / 1_000_000}


__all__ = ["day", "environment", "escape", "iso", "size", "when"]
