"""What a list keeps of a posting, in its archive, its digests and its copies: all of it, unless it filters or hides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from posthouse.content import keeping
from posthouse.lists.arrived import Arrived, joined, spooled
from posthouse.lists.models import MailingList
from posthouse.lists.personal import DEFAULT
from posthouse.lists.preparation import filtering
from posthouse.lists.preparation.anonymity import anonymous
from posthouse.message.identity import made_up_message_id

LET_PASS = ("accept", "defer")


@dataclass(frozen=True, slots=True)
class Alteration:
    """What the content filter makes of a posting: other bytes, None where all stays; `is_empty`: nothing remains."""

    content: bytes | None = None
    is_empty: bool = False


def alteration(row: MailingList, arrived: Arrived) -> Alteration:
    """Ask the content filter; costs nothing where the list has none."""
    wanted = filtering.of(row) if row.posting_pipeline == DEFAULT else None
    if wanted is None:
        return Alteration()
    content = arrived.content
    kept = filtering.filtered(content, wanted)
    if kept is None:
        return Alteration(is_empty=row.filter_action not in LET_PASS)
    return Alteration(None if kept is content else kept)


@contextmanager
def as_kept(row: MailingList, arrived: Arrived, altered: Alteration) -> Iterator[Arrived]:
    """The posting as the list keeps it: the same where nothing changes, else with a content of its own."""
    content, prefix = altered.content, arrived.prefix
    if row.anonymous_list:
        whole = joined(prefix, arrived.content if content is None else content)
        message_id = arrived.message_id or made_up_message_id(whole).strip("<>")
        content, prefix = anonymous(row, whole, arrived.author[1], message_id), b""
    if content is None:
        yield arrived
        return
    content_id = keeping.keep(spooled(content))
    del content
    try:
        yield replace(arrived, content_id=content_id, prefix=prefix)
    finally:
        keeping.release([content_id])
