"""A posting waits for the next digest, by reference to its content; enough of them go out at once."""

from __future__ import annotations

import logging

from django.db.models import Sum

from posthouse.content import keeping
from posthouse.database import is_outage, transaction
from posthouse.directory.moments import moment
from posthouse.lists.arrived import Arrived
from posthouse.lists.digest_models import DigestPosting
from posthouse.lists.digests.sending import send
from posthouse.lists.models import MailingList

log = logging.getLogger(__name__)


def gather(mailing_list: MailingList, arrived: Arrived, message_id: str, permalink: str, now: int) -> None:
    """Let a posting wait for the next digest, and send that when it is large enough. `now` in milliseconds.

    Call it in the transaction that publishes the posting. A digest that cannot be made never stops the posting: what
    was gathered waits for the next try. `message_id`: bare; `permalink`: "" where the archive does not have it.
    """
    if not mailing_list.digests_enabled:
        return
    with transaction():
        keeping.use(arrived.content_id)
        DigestPosting.objects.create(
            mailing_list=mailing_list,
            content_id=arrived.content_id,
            prefix=arrived.prefix,
            item=arrived.item,
            message_id=message_id,
            permalink=permalink,
            size=arrived.size,
            gathered_at=moment(now),
        )
    if not _large_enough(mailing_list):
        return
    try:
        with transaction():
            send(mailing_list.pk, now, because=arrived.item)
    except Exception as error:
        if is_outage(error):
            raise
        log.exception("the digest of %s could not be made; its postings wait", mailing_list.address)


def _large_enough(mailing_list: MailingList) -> bool:
    threshold = mailing_list.digest_size_threshold * 1024
    if threshold <= 0:
        return False
    waiting = DigestPosting.objects.filter(mailing_list=mailing_list).aggregate(octets=Sum("size"))
    return int(waiting["octets"] or 0) >= threshold
