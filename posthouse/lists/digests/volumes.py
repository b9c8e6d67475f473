"""Volume and issue numbers: a new volume begins with each year, quarter, month, week or day (UTC)."""

from __future__ import annotations

from datetime import UTC, datetime

from posthouse.database import transaction
from posthouse.directory.moments import moment
from posthouse.lists.addresses import list_pk
from posthouse.lists.models import MailingList

YEARLY, QUARTERLY, MONTHLY, WEEKLY, DAILY = "yearly", "quarterly", "monthly", "weekly", "daily"


def period(at: datetime, frequency: str) -> tuple[int, int]:
    """The (year, number) of the period this moment lies in; a quarter has three months, a week is ISO 8601's."""
    at = at.astimezone(UTC)
    if frequency == YEARLY:
        return at.year, 0
    if frequency == QUARTERLY:
        return at.year, (at.month - 1) // 3
    if frequency == WEEKLY:
        year, week, _ = at.isocalendar()
        return year, week
    if frequency == DAILY:
        return at.year, at.timetuple().tm_yday
    return at.year, at.month


def is_due(mailing_list: MailingList, now: int) -> bool:
    """Whether the volume of the last digest is over. A volume without an issue never is. `now` in milliseconds."""
    last = mailing_list.digest_last_sent_at
    if last is None or mailing_list.next_digest_number <= 1:
        return False
    frequency = mailing_list.digest_volume_frequency
    return period(last, frequency) < period(moment(now), frequency)


def bump(mailing_list: int | str) -> tuple[int, int]:
    """Begin a new volume; the (volume, number) of its first issue. Raises NoSuchList."""
    with transaction():
        row = MailingList.objects.select_for_update().get(pk=list_pk(mailing_list))
        row.volume, row.next_digest_number = row.volume + 1, 1
        row.save(update_fields=["volume", "next_digest_number"])
        return row.volume, row.next_digest_number


def bump_due(now: int) -> int:
    """Begin a new volume on every list whose last one is over; how many. `now` in milliseconds. Safe to repeat."""
    done = 0
    rows = MailingList.objects.filter(next_digest_number__gt=1, digest_last_sent_at__isnull=False)
    for row in rows.only("digest_last_sent_at", "next_digest_number", "digest_volume_frequency").order_by("pk"):
        if not is_due(row, now):
            continue
        with transaction():
            again = MailingList.objects.select_for_update().filter(pk=row.pk).first()
            if again is not None and is_due(again, now):
                bump(row.pk)
                done += 1
    return done
