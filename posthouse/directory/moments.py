"""Milliseconds since 1970 UTC, which acts are given, as the aware datetimes that the tables keep."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(now: int) -> datetime:
    """The aware datetime of `now` (milliseconds since 1970 UTC)."""
    return datetime.fromtimestamp(now / 1000, UTC)
