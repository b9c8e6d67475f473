"""Probes: one more letter to an address that seems to fail, with a return path that nobody else can know."""

from __future__ import annotations

from datetime import timedelta

from posthouse import maillog
from posthouse.directory.moments import moment
from posthouse.lists import addresses, notices, tokens
from posthouse.lists.arrived import Arrived
from posthouse.lists.bounce_models import Probe
from posthouse.lists.bounces import stopping
from posthouse.lists.bounces.recognition import Failure
from posthouse.lists.models import BY_BOUNCES, MailingList, Membership

WAITS = timedelta(days=10)  # for a probe's bounce


def send(row: MailingList, member: Membership, because: int, now: int) -> int:
    """Send a probe, and begin to count anew: its bounce stops delivery at once; silence means all is well.

    `because`: the item of the last bounce; `now` in milliseconds. Returns the probe's queue id.
    """
    at = moment(now)
    token = tokens.new_confirmation()
    Probe.objects.filter(membership=member).delete()
    Probe.objects.create(digest=tokens.digest(token), membership=member, made_at=at, expires_at=at + WAITS)
    Membership.objects.filter(pk=member.pk).update(bounce_score=0.0)
    shown = member.address.original
    maillog.subscription(now, because, row.address, shown, "sent a probe after bounces", "bounces")
    return notices.send(
        row,
        "probe",
        [shown],
        {"address": shown, "reason": member.last_bounce or "it did not say why"},
        now=now,
        because=because,
        return_path=addresses.of(row.address, addresses.BOUNCES, token),
    )


def asked(row: MailingList, token: str, now: int) -> Membership | None:
    """The member whom the probe with this token asked, while it is waited for. `now` in milliseconds."""
    if not tokens.confirmation_in(token):
        return None
    found = Probe.objects.select_related("membership__address").filter(
        digest=tokens.digest(token), membership__mailing_list=row, expires_at__gt=moment(now)
    )
    probe = found.first()
    return probe.membership if probe else None


def failed(row: MailingList, member: Membership, failure: Failure, arrived: Arrived, now: int) -> None:
    """A probe came back: delivery stops. `now` in milliseconds."""
    said = f"{failure.status} {failure.diagnostic}".strip()[:500]
    maillog.bounced(now, arrived.item, row.address, member.address.key, failure.status, failure.diagnostic[:500])
    Probe.objects.filter(membership=member).delete()
    locked = Membership.objects.select_for_update(of=("self",), no_key=True).select_related("address")
    member = locked.get(pk=member.pk)
    member.last_bounce, member.last_bounce_at = said, moment(now)
    member.save(update_fields=["last_bounce", "last_bounce_at"])
    if member.delivery_status != BY_BOUNCES:
        stopping.stop(row, member, arrived, now)
