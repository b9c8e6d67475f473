"""The story of a posting: judged, then accepted, held, rejected or discarded; accepted, it is kept and distributed."""

from __future__ import annotations

from django.db.models import F

from posthouse import configuration, maillog
from posthouse.address import AddressError, key_of
from posthouse.archive import filing
from posthouse.directory.moments import moment
from posthouse.lists import digests, mitigation, notices, receipts, roster, topics
from posthouse.lists.arrived import DELIVERED, Arrived, Taken, joined
from posthouse.lists.distribution import distribute
from posthouse.lists.manners import may_answer
from posthouse.lists.models import MailingList
from posthouse.lists.moderation import case as cases
from posthouse.lists.moderation.cleansing import cleansed
from posthouse.lists.moderation.consequences import follow
from posthouse.lists.moderation.hold import hold
from posthouse.lists.moderation.rules import ACCEPT, DISCARD, HOLD, REJECT, Verdict, judge
from posthouse.lists.news import outgoing
from posthouse.lists.personal import DEFAULT
from posthouse.lists.preparation.altering import Alteration, alteration, as_kept
from posthouse.lists.preparation.steps import Circumstances, prepare
from posthouse.message.compose import Attached
from posthouse.message.identity import message_id_hash


def take(mailing_list: MailingList, arrived: Arrived, now: int) -> Taken:
    """A posting arrives: judge it, and do what the verdict says. `now` in milliseconds."""
    case = cases.of(mailing_list, arrived, now)
    verdict = judge(case)
    maillog.judged(now, arrived.item, mailing_list.address, verdict.disposition, verdict.rule, verdict.trace)
    follow(case, verdict)
    with cleansed(case) as clean:
        return _obey(clean, verdict, now)


def _obey(case: cases.Case, verdict: Verdict, now: int) -> Taken:
    mailing_list, arrived = case.mailing_list, case.arrived
    if verdict.disposition == ACCEPT:
        altered = alteration(mailing_list, arrived)
        if altered.is_empty:
            return _emptied(case, now)
        number = publish(mailing_list, arrived, now, altered)
        return Taken(DELIVERED, f"accepted by the list for {number} members", "2.0.0")
    if verdict.disposition == HOLD:
        number = hold(case, verdict, now)
        return Taken(DELIVERED, f"held for a moderator as number {number}: {verdict.reason}", "2.0.0")
    if verdict.disposition == REJECT and may_answer(arrived.fields, arrived.return_path):
        tell_rejected(mailing_list, arrived, verdict.reason, now, bounded=True)
    return Taken(DELIVERED, f"{verdict.disposition}ed by the list: {verdict.reason}", "2.0.0")


def _emptied(case: cases.Case, now: int) -> Taken:
    """The content filter leaves nothing of a posting: what the list wants done then."""
    row, arrived, action = case.mailing_list, case.arrived, case.mailing_list.filter_action
    if action in ("forward", "preserve"):
        action = DISCARD if _forwarded(case, now) else HOLD  # it must be somewhere
    verdict = Verdict(action, "content-filter", "Nothing of it is of a kind that the list lets through.")
    maillog.judged(now, arrived.item, row.address, verdict.disposition, verdict.rule, verdict.trace)
    return _obey(case, verdict, now)


def _forwarded(case: cases.Case, now: int) -> bool:
    """Send an unwanted posting to the owners, or, to preserve it, to the administrators: whether anybody got it."""
    row, arrived = case.mailing_list, case.arrived
    values = {"author": case.author, "subject": arrived.subject or "(no subject)"}
    attached = [Attached("posting.eml", "message/rfc822", joined(arrived.prefix, arrived.content))]
    nobody: list[str] = []  # named: the site's administrators
    owners = roster.staff(row.pk)
    for people in (nobody, owners) if row.filter_action == "preserve" else (owners, nobody):
        if notices.send(row, "filtered", people, values, now=now, because=arrived.item, attachments=attached):
            return True
    return False


def publish(mailing_list: MailingList, arrived: Arrived, now: int, altered: Alteration | None = None) -> int:
    """Keep the posting, prepare what its copies share, send one to everybody who gets one: how many.

    `altered`: what the content filter made of it; None: ask it here, and let pass what it would leave nothing of.
    """
    # The list's row is locked first, here and in `subscription`: two acts never wait for each other in a circle.
    MailingList.objects.filter(pk=mailing_list.pk).update(last_post_at=moment(now), post_id=F("post_id") + 1)
    if "%" in mailing_list.subject_prefix:
        mailing_list.refresh_from_db(fields=["post_id"])
    as_it_came = mailing_list.posting_pipeline != DEFAULT
    with as_kept(mailing_list, arrived, altered or alteration(mailing_list, arrived)) as kept:
        if as_it_came:
            circumstances = Circumstances(kept.reading().message_id or "", "")
        else:
            circumstances = _kept(mailing_list, arrived, kept, now)
        prepared = prepare(mailing_list, joined(kept.prefix, kept.content), circumstances)
    copies = distribute(mailing_list, arrived, prepared, now, circumstances.topics)
    if not as_it_came:
        receipts.acknowledge(mailing_list, arrived, circumstances.permalink, now)
    return copies


def _kept(mailing_list: MailingList, arrived: Arrived, kept: Arrived, now: int) -> Circumstances:
    """Put the posting where it is kept (archive, next digest, what waits for the news server): what its copies say."""
    message_id, permalink = file(mailing_list, kept, now)
    digests.gather(mailing_list, kept, message_id, permalink, now)
    circumstances = Circumstances(
        message_id,
        permalink,
        number=mailing_list.post_id - 1,
        mitigation=mitigation.mitigation(mailing_list, _author_key(arrived), arrived.author_policy),
        topics=topics.of(mailing_list, arrived),
    )
    outgoing.keep(mailing_list, arrived, kept, circumstances, now)
    return circumstances


def _author_key(arrived: Arrived) -> str:
    try:
        return key_of(arrived.author[1])
    except AddressError:
        return ""


def file(mailing_list: MailingList, arrived: Arrived, now: int) -> tuple[str, str]:
    """Put the posting in the archive: its bare Message-ID and its permalink, "" where the list keeps nothing."""
    reading = arrived.reading()
    message_id = reading.message_id or ""
    if mailing_list.archive_policy == "never" or _wants_no_archive(arrived):
        return message_id, ""
    filed = filing.file(mailing_list.address, arrived.content_id, reading, now // 1000)
    key = filed.key or message_id_hash(message_id)
    permalink = filing.permalink(configuration.active().web.base_url, mailing_list.address, key)
    maillog.filed(now, arrived.item, mailing_list.address, message_id, permalink)
    return message_id, permalink


def _wants_no_archive(arrived: Arrived) -> bool:
    """Whether the author asks that it be kept nowhere (X-No-Archive with any value, X-Archive: no)."""
    says = (arrived.fields.first("x-archive") or "").strip().lower()
    return says == "no" or "x-no-archive" in arrived.fields


def tell_rejected(mailing_list: MailingList, arrived: Arrived, reason: str, now: int, *, bounded: bool) -> None:
    """Tell the author, by the return path, that the posting was not accepted and why."""
    values = {"subject": arrived.subject or "(no subject)", "reason": reason, "author": arrived.author[1]}
    notices.send(
        mailing_list,
        "rejected",
        [arrived.return_path],
        values,
        now=now,
        because=arrived.item,
        answers=arrived.message_id,
        bounded=bounded,
    )
