"""Bans: who may neither post to a list, nor write to its owners, nor join; on one list or on the whole site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from posthouse.database import transaction
from posthouse.directory.moments import moment
from posthouse.lists.addresses import list_pk
from posthouse.lists.errors import BadSetting
from posthouse.lists.expressions import Patience, checked_sender
from posthouse.lists.models import Ban


@dataclass(frozen=True, slots=True)
class BanFacts:
    """One ban. `list_address`: "" where it holds on the whole site; `by`: who made it."""

    pattern: str
    list_address: str
    why: str
    by: str
    at: datetime


def ban(pattern: str, mailing_list: int | str | None = None, *, by: str, now: int, why: str = "") -> bool:
    """Ban an address, an `@domain` or a `^expression`; False when it was banned. No list: on the whole site.

    `now` in milliseconds. Raises NoSuchList, BadSetting.
    """
    kept = _kept(pattern)
    with transaction():
        pk = None if mailing_list is None else list_pk(mailing_list)
        values = {"why": " ".join(why.split())[:255], "by": by[:320], "at": moment(now)}
        return Ban.objects.get_or_create(mailing_list_id=pk, pattern=kept, defaults=values)[1]


def lift(pattern: str, mailing_list: int | str | None = None) -> bool:
    """End a ban; False when there was none. Raises NoSuchList."""
    with transaction():
        pk = None if mailing_list is None else list_pk(mailing_list)
        spellings = {pattern.strip(), pattern.strip().lower()}
        return Ban.objects.filter(mailing_list_id=pk, pattern__in=spellings).delete()[0] > 0


def bans(mailing_list: int | str | None = None) -> list[BanFacts]:
    """The bans of a list by pattern, or those of the site. Raises NoSuchList."""
    pk = None if mailing_list is None else list_pk(mailing_list)
    rows = Ban.objects.filter(mailing_list_id=pk).select_related("mailing_list__domain").order_by("pattern")
    return [
        BanFacts(row.pattern, row.mailing_list.address if row.mailing_list else "", row.why, row.by, row.at)
        for row in rows
    ]


def ban_of(pk: int, keys: Sequence[str], patience: Patience | None = None) -> str:
    """The ban that one of these addresses (as keys) is under, on the list or on the site; "" when there is none."""
    if not keys:
        return ""
    exact = sorted({*keys, *(f"@{key.rpartition('@')[2]}" for key in keys)})
    marks = ", ".join(["%s"] * len(exact))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pattern FROM lists_ban WHERE (mailing_list_id = %s OR mailing_list_id IS NULL) "
            f"AND (pattern IN ({marks}) OR substr(pattern, 1, 1) = '^')",
            [pk, *exact],
        )
        found = [str(pattern) for (pattern,) in cursor.fetchall()]
    wanted = set(exact)
    for pattern in found:
        if pattern in wanted:
            return pattern
    patience = patience or Patience()
    for pattern in found:
        if any(patience.finds(pattern, key) for key in keys):
            return pattern
    return ""


def _kept(pattern: str) -> str:
    pattern = pattern.strip()
    try:
        kept = checked_sender(pattern)
        if kept.startswith("@") and "@" in kept[1:]:
            raise ValueError("is no address, @domain or ^expression")
    except ValueError as error:
        raise BadSetting(f"{pattern!r} {error}") from None
    return kept
