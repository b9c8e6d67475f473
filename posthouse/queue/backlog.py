"""How far delivery is behind: what is due, not suspended, and has waited too long for somebody to try it."""

from __future__ import annotations

from posthouse import database


def overdue(now: int, longer_than: int, most: int) -> int:
    """How many deliveries have been due for `longer_than` ms without an attempt, counted up to `most`; `now` in ms.

    A walk along the index of what is due: it costs nothing while delivery keeps up.
    """
    ((count,),) = database.fetch(
        "SELECT count(*) FROM (SELECT 1 FROM queue_delivery d WHERE d.claimant IS NULL AND NOT d.given_up "
        "AND d.next_attempt <= %s AND NOT EXISTS (SELECT 1 FROM queue_destination p WHERE p.id = d.destination_id "
        "AND p.suspended_until > %s) LIMIT %s) AS late",
        (now - longer_than, now, most),
    )
    return int(count)
