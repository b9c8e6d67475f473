"""New articles of a newsgroup become messages for its list, each in one transaction with the mark that it was taken."""

from __future__ import annotations

import logging

from posthouse import configuration
from posthouse.database import transaction
from posthouse.lists import addresses
from posthouse.lists.arrived import spooled
from posthouse.lists.models import MailingList
from posthouse.lists.moderation.case import NEWS
from posthouse.lists.news.article import has_been_here, posting_of
from posthouse.lists.news.client import NewsError, NewsServer
from posthouse.message.envelope import Envelope, Recipient
from posthouse.message.headers import Fields
from posthouse.message.identity import message_id_of
from posthouse.queue.enqueue import Arrival, enqueue
from posthouse.queue.identity import new_queue_id

MOST_AT_ONCE = 200  # articles of one list in one visit
WINDOW = 5_000  # numbers asked about at once
LEAST_SECONDS = 5.0  # of the visit that must be left to ask for one more article

log = logging.getLogger(__name__)


def take_new(server: NewsServer, row: MailingList, now: int) -> int:
    """Let articles that came since the last visit come to the list: how many. `now` in milliseconds.

    The first visit only remembers where the newsgroup stands. Raises NewsError.
    """
    low, high = server.group(row.linked_newsgroup)
    mark = row.usenet_watermark
    if mark is None or mark > high + 1:  # the first visit, or a server that numbers anew
        if mark is not None:
            log.warning("the news server numbers %s anew; %s goes on with what comes now", row.linked_newsgroup, row)
        with transaction():
            _remember(row, high)
        return 0
    taken = 0
    first = max(mark + 1, low)
    while first <= high and taken < MOST_AT_ONCE:
        last = min(first + WINDOW - 1, high)
        for number in server.numbers(row.linked_newsgroup, first, last):
            if taken >= MOST_AT_ONCE or server.seconds_left < LEAST_SECONDS:
                return taken
            taken += _take(server, row, number, now)
        with transaction():
            _remember(row, last)
        first = last + 1
    return taken


def _take(server: NewsServer, row: MailingList, number: int, now: int) -> bool:
    article = server.article(number, configuration.active().limits.message_size)
    with transaction():
        if not _remember(row, number):
            raise NewsError(f"another process takes articles of {row.linked_newsgroup}")
        if article is None:
            return False
        fields = Fields(article)
        if has_been_here(fields, row) or "control" in fields:
            return False
        content = posting_of(article)
        enqueue(
            Arrival(
                item=new_queue_id(now * 1000),
                content=spooled(content),
                prefix=b"",
                # What anybody wrote into From must get no report from us (RFC 3834 §2): they go to the list's own.
                envelope=Envelope(
                    return_path=addresses.of(row.address, addresses.BOUNCES),
                    recipients=(Recipient(row.address),),
                    body="7BIT" if content.isascii() else "8BITMIME",
                ),
                origin=NEWS,
                received_at=now,
                peer=f"{row.linked_newsgroup} {number}",
                message_id=message_id_of(fields) or "",
            )
        )
    return True


def _remember(row: MailingList, number: int) -> bool:
    """Move the mark from where this process saw it; False when another moved it meanwhile: then nothing is ours."""
    mine = MailingList.objects.filter(pk=row.pk, usenet_watermark=row.usenet_watermark).update(usenet_watermark=number)
    row.usenet_watermark = number
    return bool(mine)
