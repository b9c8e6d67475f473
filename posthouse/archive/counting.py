"""What is counted once instead of each time it is asked: postings of an archive and of its months."""

from __future__ import annotations

import calendar
from collections import Counter
from typing import Any

NUMBER_BITS = 20  # a posting's id is its second, then a number of so many bits


def month_of(second: int) -> int:
    """The month (UTC) a time lies in, as 12 * year + month - 1."""
    return _month_of_day(second // 86_400)


def _month_of_day(day: int) -> int:
    """Civil calendar from days since 1970: years counted from March, in cycles of 400 years (146,097 days)."""
    cycle, day = divmod(day + 719_468, 146_097)
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    return 12 * (400 * cycle + year) + (5 * day + 2) // 153 + 2


def count(cursor: Any, archive: int, months: Counter[int], last_at: int | None) -> None:
    """Bring the archive's counters up to date; `months` may count downwards. `last_at` None: look for it."""
    cursor.executemany(
        "INSERT INTO archive_month (archive_id, month, postings) VALUES (%s, %s, %s) "
        "ON CONFLICT (archive_id, month) DO UPDATE SET postings = archive_month.postings + excluded.postings",
        [(archive, month, number) for month, number in sorted(months.items())],
    )
    if last_at is None:
        cursor.execute("DELETE FROM archive_month WHERE archive_id = %s AND postings <= 0", [archive])
        cursor.execute(
            "UPDATE archive_archive SET postings = postings + %s, version = version + 1, last_at = COALESCE((SELECT "
            "sent_at FROM archive_posting WHERE archive_id = %s ORDER BY id DESC LIMIT 1), 0) WHERE id = %s",
            [months.total(), archive, archive],
        )
        return
    cursor.execute(
        "UPDATE archive_archive SET postings = postings + %s, version = version + 1, "
        "last_at = CASE WHEN last_at > %s THEN last_at ELSE %s END WHERE id = %s",
        [months.total(), last_at, last_at, archive],
    )


def first_second(month: int) -> int:
    """When a month (12 * year + month - 1) begins, in seconds since 1970 UTC."""
    return calendar.timegm((month // 12, month % 12 + 1, 1, 0, 0, 0))
