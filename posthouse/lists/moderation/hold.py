"""A posting waits for a moderator: kept exactly as it came, the people who decide and its author told."""

from __future__ import annotations

from datetime import timedelta

from posthouse import configuration
from posthouse.content import keeping
from posthouse.directory.moments import moment
from posthouse.lists import addresses, notices, roster
from posthouse.lists.manners import may_answer
from posthouse.lists.models import HeldPosting, MailingList
from posthouse.lists.moderation import links
from posthouse.lists.moderation.case import Case
from posthouse.lists.moderation.verdict import Verdict
from posthouse.message.compose import Attached, notice

MOST_ATTACHED = 256 * 1024  # larger postings are only linked in the notice to moderators
MOST_NOTICES = 200  # to the moderators of one list in a day; what is held more than that shows on the web


def hold(case: Case, verdict: Verdict, now: int) -> int:
    """Keep the posting back: its number for `holding`. `now` in milliseconds."""
    arrived, row = case.arrived, case.mailing_list
    keeping.use(arrived.content_id)
    held = HeldPosting.objects.create(
        mailing_list=row,
        content_id=arrived.content_id,
        item=arrived.item,
        prefix=arrived.prefix,
        return_path=arrived.return_path,
        author=case.author,
        subject=arrived.subject,
        message_id=arrived.message_id,
        size=arrived.size,
        rule=verdict.rule,
        reason=verdict.reason,
        hits="\n".join(hits_of(verdict)),
        author_policy=arrived.author_policy,
        held_at=moment(now),
    )
    if row.admin_immed_notify:
        _tell_moderators(case, verdict, held.pk, now)
    if row.respond_to_post_requests and may_answer(arrived.fields, arrived.return_path):
        notices.send(
            row,
            "held",
            [arrived.return_path],
            _values(case, verdict),
            now=now,
            because=arrived.item,
            answers=arrived.message_id,
            bounded=True,
        )
    return int(held.pk)


def _tell_moderators(case: Case, verdict: Verdict, held: int, now: int) -> None:
    row, arrived = case.mailing_list, case.arrived
    staff = roster.staff(row.pk)
    if not notices.allowed(row, "", "moderate", now, MOST_NOTICES):
        return
    attached = []
    if arrived.size <= MOST_ATTACHED:
        attached.append(Attached("posting.eml", "message/rfc822", arrived.content))
    values = _values(case, verdict) | _links(held, now)
    values["hits"] = "\n".join(f"    {hit}" for hit in hits_of(verdict))
    token = links.reply_token(held)
    reply_to = addresses.of(row.address, addresses.CONFIRM, token)
    attached.append(Attached("reply.eml", "message/rfc822", _to_be_answered(row, token, reply_to, now)))
    notices.send(
        row, "moderate", staff, values, now=now, because=arrived.item, attachments=attached, reply_to=reply_to,
        extra=_rule_fields(verdict),
    )  # fmt: skip


def _to_be_answered(row: MailingList, token: str, reply_to: str, now: int) -> bytes:
    """A message that mail programs answer by themselves, as Mailman attaches one: the answer decides (`replies`)."""
    subject, text = notices.render(row, "held-reply", {"token": token})
    return notice(
        author=f"<{addresses.of(row.address, addresses.REQUEST)}>",
        to=f"<{addresses.of(row.address, addresses.OWNER)}>",
        subject=subject,
        text=text,
        message_id=f"<{token}.reply@{row.domain.name}>",
        date=now // 1000,
        extra_headers=[("Reply-To", f"<{reply_to}>")],
    )


def _rule_fields(verdict: Verdict) -> list[tuple[str, str]]:
    """What found something, and what was asked and found nothing: under Mailman's names, for filters and programs."""
    hits = dict.fromkeys(hit.partition(":")[0] for hit in hits_of(verdict))
    fields = [("X-Mailman-Rule-Hits", "; ".join(hits))]
    if verdict.misses:
        fields.append(("X-Mailman-Rule-Misses", "; ".join(verdict.misses)))
    return fields


def hits_of(verdict: Verdict) -> tuple[str, ...]:
    """Every rule that spoke, as `name: what it found`."""
    return verdict.hits or (f"{verdict.rule}: {verdict.reason}",)


def _links(held: int, now: int) -> dict[str, str]:
    """The links of the notice, by placeholder."""
    base = f"{configuration.active().web.base_url}/held"
    values = {f"{act}_url": f"{base}/act/{links.link_token(held, act, now)}/" for act in links.ACTS}
    expires = moment(now) + timedelta(seconds=links.LIFE)
    return {
        **values,
        "held_url": f"{base}/{held}/",
        "held_number": str(held),
        "expires": f"{expires:%Y-%m-%d %H:%M} UTC",
    }


def _values(case: Case, verdict: Verdict) -> dict[str, str]:
    return {
        "author": case.author,
        "subject": case.arrived.subject or "(no subject)",
        "reason": verdict.reason,
        "message_size": f"{-(-case.arrived.size // 1024)} KB",
    }
