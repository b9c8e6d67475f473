"""What the content shows without any scanner: a bad header, dangerous attachments, GTUBE and EICAR.

One pass in blocks, bounded in memory whatever the message is. Read in this order: `header`, `walking` (parts),
`looking` (what is sought in a part), `names` (endings of file names, listings of ZIP archives).
"""

from __future__ import annotations

from functools import lru_cache

from posthouse.configuration import Policy
from posthouse.content.spool import Spooled
from posthouse.reception.content_checks.header import faults
from posthouse.reception.content_checks.names import Endings
from posthouse.reception.content_checks.walking import Walker

__all__ = ["findings"]

BLOCK = 64 * 1024


def findings(header: bytes, content: Spooled, settings: Policy, utf8: bool = False) -> tuple[tuple[str, str], ...]:
    """(check, reason) of everything that is wrong: "header", "attachment", "spam" (GTUBE), "virus" (EICAR).

    `header`: the message's, without the empty line; `utf8`: it came with SMTPUTF8. Reads a file: call it in a thread
    then. An empty body is nothing wrong (D17). Never raises for what a message may be.
    """
    found = [("header", fault) for fault in faults(header, utf8)]
    walker = Walker(_endings(tuple(settings.bad_attachments)))
    if content.octets is not None:
        octets = content.octets
        for start in range(0, len(octets), BLOCK):
            walker.feed(octets[start : start + BLOCK])
    else:
        assert content.path is not None
        with open(content.path, "rb") as file:
            while block := file.read(BLOCK):
                walker.feed(block)
    walker.close()
    return tuple(dict.fromkeys((*found, *walker.found)))


@lru_cache(maxsize=16)
def _endings(endings: tuple[str, ...]) -> Endings:
    """They are the same for every message."""
    return Endings(endings)
