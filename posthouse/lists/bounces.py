"""Bounces come back to -bounces: recorded per member, whom the return path names (VERP) or the report does."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F

from posthouse import maillog
from posthouse.address import AddressError, key_of, verp_decode
from posthouse.directory.moments import moment
from posthouse.lists.arrived import DELIVERED, Arrived, Taken
from posthouse.lists.manners import auto_submitted
from posthouse.lists.models import MEMBER, Bounce, MailingList, Membership
from posthouse.message.report import DsnRecipient, read_dsn

MOST_READ = 1024 * 1024  # octets of a bounce that are read: the report stands before the returned message
MOST_KEPT = 100  # bounces of one address on one list that are remembered
KEPT_FOR = timedelta(days=90)
MOST_RECIPIENTS = 50  # of one report without VERP that are recorded
_SHORT = 500
_VACATION = ("auto-replied", "auto-notified")


def take(mailing_list: MailingList, arrived: Arrived, detail: str, now: int) -> Taken:
    """A message to the bounce address. `detail`: what VERP put behind the +. `now` in milliseconds.

    Whatever it is, it is not answered and not passed on: errors about errors end here.
    """
    decoded = verp_decode(f"{mailing_list.list_name}+{detail}")
    named = decoded[1] if decoded else None
    facts = read_dsn(arrived.beginning(MOST_READ))
    if facts is None:
        return _unrecognised(mailing_list, arrived, named or "", now)
    failed = [one for one in facts.recipients if _is_failure(one)]
    if not failed:
        actions = ", ".join(sorted({one.action or "nothing" for one in facts.recipients}))
        return _ignored(mailing_list, arrived, named or "", f"it reports no failure but {actions[:80]}", now)
    if named is not None:
        return _record(mailing_list, arrived, {named: failed[0]}, now)
    return _record(mailing_list, arrived, {one.original_address or one.address: one for one in failed}, now)


def _is_failure(one: DsnRecipient) -> bool:
    """A permanent failure; delays and successes are none (RFC 3464 §2.3.3), whatever code they carry."""
    if one.action:
        return one.action == "failed" and not one.status.startswith("2")
    return one.status.startswith("5")


def _unrecognised(mailing_list: MailingList, arrived: Arrived, named: str, now: int) -> Taken:
    if auto_submitted(arrived.fields) in _VACATION or arrived.return_path:
        return _ignored(mailing_list, arrived, named, "it is an answer, not a report of a failure", now)
    return _ignored(mailing_list, arrived, named, "it is no delivery report that can be read", now)


def _ignored(mailing_list: MailingList, arrived: Arrived, named: str, why: str, now: int) -> Taken:
    maillog.judged(now, arrived.item, mailing_list.address, "discard", "bounce", f"Not counted for {named}: {why}."
                   if named else f"Not counted: {why}.")  # fmt: skip
    return Taken(DELIVERED, f"not counted: {why}", "2.0.0")


def _record(mailing_list: MailingList, arrived: Arrived, failures: dict[str, DsnRecipient], now: int) -> Taken:
    counted = 0
    for text, one in list(failures.items())[:MOST_RECIPIENTS]:
        try:
            key = key_of(text)
        except AddressError:
            continue
        counted += _record_one(mailing_list, arrived, key, one, now)
    return Taken(DELIVERED, f"recorded for {counted} members", "2.0.0")


def _record_one(mailing_list: MailingList, arrived: Arrived, key: str, one: DsnRecipient, now: int) -> int:
    at = moment(now)
    diagnostic = one.diagnostic[:_SHORT]
    member = Membership.objects.filter(mailing_list=mailing_list, role=MEMBER, address__key=key).first()
    maillog.bounced(now, arrived.item, mailing_list.address, key, one.status, diagnostic)
    if member is None:
        return 0
    kept = Bounce.objects.filter(mailing_list=mailing_list, address=key)
    kept.filter(at__lt=at - KEPT_FOR).delete()
    surplus = list(kept.order_by("-id").values_list("pk", flat=True)[MOST_KEPT - 1 :])
    if surplus:
        Bounce.objects.filter(pk__in=surplus).delete()
    Bounce.objects.create(
        membership=member, mailing_list=mailing_list, address=key, at=at, status=one.status[:16], diagnostic=diagnostic
    )
    said = f"{one.status} {diagnostic}".strip()
    Membership.objects.filter(pk=member.pk).update(bounces=F("bounces") + 1, last_bounce_at=at, last_bounce=said)
    return 1
