"""A posting without the password it carried: what is archived, held and sent shows none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from posthouse.content import keeping
from posthouse.lists.arrived import spooled
from posthouse.lists.moderation import approved
from posthouse.lists.moderation.case import Case


@contextmanager
def cleansed(case: Case) -> Iterator[Case]:
    """The same case; where the posting carries a password, with a content of its own that does not."""
    arrived = case.arrived
    approval = case.approval if case.mailing_list.moderator_password else None
    if not approved.needs_scrubbing(arrived, approval):
        yield case
        return
    content_id = keeping.keep(spooled(approved.scrubbed(arrived.content, approval)))
    try:
        yield replace(case, arrived=replace(arrived, content_id=content_id))
    finally:
        keeping.release([content_id])
