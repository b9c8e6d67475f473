"""A digest goes out: one content per kind, one narrow row per reader, and its postings are done with."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q, Sum

from posthouse.content import keeping
from posthouse.database import fetch, is_outage, transaction
from posthouse.directory.moments import moment
from posthouse.lists import addresses
from posthouse.lists.arrived import spooled
from posthouse.lists.digest_models import DigestPosting, LastDigest
from posthouse.lists.digests import issue as issues
from posthouse.lists.digests import mime, plain, summary, volumes
from posthouse.lists.errors import NoSuchList
from posthouse.lists.models import ENABLED, MEMBER, MailingList
from posthouse.lists.preferences import ACCOUNTS, effective
from posthouse.lists.preparation import steps
from posthouse.message.dates import format_date
from posthouse.message.headers import encode_field, split
from posthouse.message.words import encode_phrase
from posthouse.queue.enqueue import enqueue_selected
from posthouse.queue.identity import name_of, new_queue_id

REGULAR, PLAIN, MIME, SUMMARY = "regular", "plaintext_digests", "mime_digests", "summary_digests"
MOST_OCTETS = 8 * 1024 * 1024  # of postings in one issue; more of them make several issues
MOST_POSTINGS = 500
ORIGIN = "digest"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sent:
    """An issue that went out; `recipients` of all kinds together."""

    list_address: str
    volume: int
    number: int
    postings: int
    recipients: int


@dataclass(frozen=True, slots=True)
class Gathered:
    """What waits for the next digest of a list, and what its number will be."""

    list_address: str
    volume: int
    number: int
    postings: int
    octets: int
    last_sent_at: datetime | None


def gathered(mailing_list: int | str) -> Gathered:
    """What waits for a list's next digest. Raises NoSuchList."""
    row = _row(addresses.list_pk(mailing_list), locked=False)
    found = DigestPosting.objects.filter(mailing_list=row).aggregate(number=Count("id"), octets=Sum("size"))
    return Gathered(
        row.address, row.volume, row.next_digest_number, found["number"], found["octets"] or 0, row.digest_last_sent_at
    )


def send(mailing_list: int | str, now: int, *, because: int = 0) -> list[Sent]:
    """Send what was gathered, as one issue, or several when it is much; nothing when nobody reads digests.

    Then what was gathered is done with, in the same transaction. `because`: the posting that made it large enough;
    `now` in milliseconds. Raises NoSuchList.
    """
    sent: list[Sent] = []
    with transaction():
        row = _row(addresses.list_pk(mailing_list), locked=True)
        readers = _kinds(row)
        while postings := _next(row):
            if readers:
                sent.append(_issue(row, postings, readers, because, now))
            DigestPosting.objects.filter(pk__in=[one.pk for one in postings]).delete()
            keeping.release([one.content_id for one in postings])
        LastDigest.objects.filter(membership__mailing_list=row).delete()
    return sent


def send_due(now: int) -> int:
    """The daily digests of all lists that want them: how many issues went out. Safe to repeat. `now` in ms.

    A list that gathers no longer sends what it gathered before. One list in trouble does not keep the others waiting.
    """
    lists = MailingList.objects.filter(Q(digest_send_periodic=True) | Q(digests_enabled=False))
    waiting = lists.filter(pk__in=DigestPosting.objects.values("mailing_list_id")).order_by("pk")
    sent = 0
    for pk in list(waiting.values_list("pk", flat=True)):
        try:
            sent += len(send(pk, now))
        except NoSuchList:
            continue
        except Exception as error:
            if is_outage(error):
                raise
            log.exception("the digest of list %d could not be made; its postings wait", pk)
    return sent


def _row(pk: int, locked: bool) -> MailingList:
    rows = MailingList.objects.select_related("domain").filter(pk=pk)
    row = (rows.select_for_update(of=("self",), no_key=True) if locked else rows).first()
    if row is None:
        raise NoSuchList(f"the list number {pk} was removed")
    return row


def _next(row: MailingList) -> list[DigestPosting]:
    """The postings of the next issue, the oldest first: one at least, and no more than an issue holds."""
    chosen: list[DigestPosting] = []
    octets = 0
    for posting in DigestPosting.objects.filter(mailing_list=row).order_by("id")[:MOST_POSTINGS]:
        octets += posting.size
        if chosen and octets > MOST_OCTETS:
            break
        chosen.append(posting)
    return chosen


def _issue(row: MailingList, postings: Sequence[DigestPosting], readers: set[str], because: int, now: int) -> Sent:
    if volumes.is_due(row, now):  # the first issue of a new period begins its volume
        row.volume, row.next_digest_number = row.volume + 1, 1
    issue = issues.make(row, row.volume, row.next_digest_number, postings)
    recipients = 0
    for modes, body in _builders(issue):
        if readers & set(modes):
            recipients += _enqueue(issue, modes, body(issue), because, now)
    row.next_digest_number, row.digest_last_sent_at = issue.number + 1, moment(now)
    row.save(update_fields=["volume", "next_digest_number", "digest_last_sent_at"])
    return Sent(row.address, issue.volume, issue.number, len(postings), recipients)


def _builders(issue: issues.Issue) -> list[tuple[tuple[str, ...], Callable[[issues.Issue], bytes]]]:
    """Which modes get which content: without a link for each posting a summary would lose words."""
    if all(entry.permalink for entry in issue.entries):
        return [((PLAIN,), plain.body), ((MIME,), mime.body), ((SUMMARY,), summary.body)]
    return [((PLAIN,), plain.body), ((MIME, SUMMARY), mime.body)]


def _enqueue(issue: issues.Issue, modes: tuple[str, ...], body: bytes, because: int, now: int) -> int:
    row = issue.mailing_list
    item = new_queue_id(now * 1000)
    content = _message(issue, body, item, now)
    content_id = keeping.keep(spooled(content))
    select, parameters = recipients(row, modes)
    header, _ = split(content)
    number = enqueue_selected(
        item=item,
        content_id=content_id,
        prefix=b"",
        return_path=addresses.of(row.address, addresses.BOUNCES),
        origin=ORIGIN,
        received_at=now,
        list_id=row.pk,
        because=because,
        body8=not content.isascii(),
        smtputf8=not header.isascii(),
        select=select,
        parameters=parameters,
    )
    keeping.release([content_id])
    return number


def _message(issue: issues.Issue, body: bytes, item: int, now: int) -> bytes:
    """The whole digest: from -request, answered to the list."""
    row = issue.mailing_list
    name = encode_phrase(row.display_name)
    message_id = f"{name_of(item).lower()}.digest@{row.domain.name}"
    head = [
        ("From", f"{name} <{addresses.of(row.address, addresses.REQUEST)}>"),
        ("Reply-To", f"{name} <{row.address}>"),
        ("To", f"{name} <{row.address}>"),
        ("Subject", issue.title),
        ("Date", format_date(now // 1000)),
        ("Message-ID", f"<{message_id}>"),
        ("MIME-Version", "1.0"),
    ]
    content = b"".join(encode_field(field, value) for field, value in head) + body
    preparation = steps.Preparation(row, content, steps.Circumstances(message_id, ""))
    del content
    for step in (steps.list_fields, steps.precedence):
        step(preparation)
    return preparation.editor.content()


def recipients(row: MailingList, modes: Sequence[str]) -> tuple[str, list[str | int]]:
    """The question that yields (recipient, domain) of who gets the digest of these modes, and its parameters.

    Besides those who chose it, those who left it for single copies since the last one.
    """
    mode, marks = effective("delivery_mode"), ", ".join(["%s"] * len(modes))
    select = (
        "SELECT a.original AS recipient, a.domain AS domain "
        f"FROM lists_membership m JOIN directory_address a ON a.id = m.address_id {ACCOUNTS} "
        "LEFT JOIN lists_lastdigest leaving ON leaving.membership_id = m.id "
        f"WHERE m.mailing_list_id = %s AND m.role = %s AND {effective('delivery_status')} = %s "
        f"AND ({mode} IN ({marks}) OR ({mode} = %s AND leaving.kind IN ({marks})))"
    )
    return select, [row.pk, MEMBER, ENABLED, *modes, REGULAR, *modes]


def _kinds(row: MailingList) -> set[str]:
    """The modes that somebody who gets mail has, those of members who are leaving digests among them."""
    mode = effective("delivery_mode")
    found = fetch(
        f"SELECT DISTINCT {mode}, leaving.kind "
        f"FROM lists_membership m JOIN directory_address a ON a.id = m.address_id {ACCOUNTS} "
        "LEFT JOIN lists_lastdigest leaving ON leaving.membership_id = m.id "
        f"WHERE m.mailing_list_id = %s AND m.role = %s AND {effective('delivery_status')} = %s "
        f"AND ({mode} <> %s OR leaving.kind IS NOT NULL)",
        (row.pk, MEMBER, ENABLED, REGULAR),
    )
    return {str(kind if mode_ == REGULAR else mode_) for mode_, kind in found}
