"""How often each check of the door led to what: the counts that reception wrote into the maillog, added up."""

from __future__ import annotations

import json
from collections import Counter

from posthouse import database

_SEARCHED = 500_000  # newest events that are looked through; they have no index by kind


def counted(since: int) -> dict[str, int]:
    """By check and action ("spf tag", "greylist defer", "accept"), since a time in ms; the most frequent first."""
    total: Counter[str] = Counter()
    rows = database.fetch(
        "SELECT detail FROM queue_event WHERE kind = 'checked' AND at >= %s "
        "AND id > (SELECT COALESCE(MAX(id), 0) - %s FROM queue_event)",
        (since, _SEARCHED),
    )
    for (detail,) in rows:
        counts = json.loads(detail).get("counts")
        if isinstance(counts, dict):
            total.update({str(name): count for name, count in counts.items() if isinstance(count, int)})
    return dict(total.most_common())
