"""How members stand after bounces: why delivery stopped, what comes next, and how it begins again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from posthouse import maillog
from posthouse.address import AddressError, key_of
from posthouse.database import transaction
from posthouse.directory.models import SitePreferences
from posthouse.lists.addresses import list_pk
from posthouse.lists.bounce_models import Probe
from posthouse.lists.bounces.links import read_token
from posthouse.lists.bounces.stopping import removal_at
from posthouse.lists.errors import BadAddress
from posthouse.lists.models import BY_BOUNCES, ENABLED, MEMBER, Membership


@dataclass(frozen=True, slots=True)
class Standing:
    """A member who had bounces. `stopped`: whether bounces stopped delivery, since when; then `warnings` were sent,
    the next step is due at `next_at`, and the member is removed at `removed_at` if nothing changes."""

    list_address: str
    address: str
    stopped: bool
    score: float
    threshold: int
    bounces: int
    last_bounce_at: datetime | None
    last_bounce: str
    stopped_at: datetime | None
    warnings: int
    next_at: datetime | None
    removed_at: datetime | None


def standings(mailing_list: int | str) -> list[Standing]:
    """The members of a list who had bounces or whom bounces stopped, by address. Raises NoSuchList."""
    rows = _rows().filter(mailing_list_id=list_pk(mailing_list))
    return [_standing(one) for one in rows.filter(Q(bounces__gt=0) | Q(delivery_status=BY_BOUNCES))]


def why(mailing_list: int | str, address: str) -> Standing | None:
    """Why bounces stopped delivery to a member; None when they did not. Raises NoSuchList, BadAddress."""
    found = _rows().filter(mailing_list_id=list_pk(mailing_list), address__key=_key(address))
    member = found.filter(delivery_status=BY_BOUNCES).first()
    return _standing(member) if member else None


def standing(mailing_list: int | str, address: str) -> Standing | None:
    """How a member stands; None when the address is none. Raises NoSuchList, BadAddress."""
    member = _rows().filter(mailing_list_id=list_pk(mailing_list), address__key=_key(address)).first()
    return _standing(member) if member else None


def restart(mailing_list: int | str, address: str, by: str, now: int) -> bool:
    """Begin delivery again to a member whom bounces stopped, with a clean slate; False when they had not.

    Safe to repeat. `by`: who wanted it, for the trace; `now` in milliseconds. Raises NoSuchList, BadAddress.
    """
    with transaction():
        pk, key = list_pk(mailing_list), _key(address)
        member = _rows().filter(mailing_list_id=pk, address__key=key, delivery_status=BY_BOUNCES).first()
        if member is None:
            return False
        changed = Membership.objects.filter(pk=member.pk, delivery_status=BY_BOUNCES).update(
            delivery_status=_without(member),
            bounce_score=0.0,
            bounces=0,
            bounce_warnings=0,
            bounce_stopped_at=None,
            bounce_due_at=None,
        )
        Probe.objects.filter(membership_id=member.pk).delete()
        maillog.subscription(
            now, 0, member.mailing_list.address, member.address.original, "delivery begun again after bounces", by
        )
        return changed > 0


def read_restart(token: str) -> Standing | None:
    """The member whose delivery this token begins again; None when it is not ours or that stop is over."""
    read = read_token(token)
    if read is None:
        return None
    pk, since, key = read
    member = _rows().filter(mailing_list_id=pk, address__key=key, delivery_status=BY_BOUNCES).first()
    if member is None or member.bounce_stopped_at is None or int(member.bounce_stopped_at.timestamp()) != since:
        return None
    return _standing(member)


def _rows() -> QuerySet[Membership]:
    rows = Membership.objects.select_related("address__account", "mailing_list__domain")
    return rows.filter(role=MEMBER).order_by("address__key")


def _key(address: str) -> str:
    try:
        return key_of(address.strip())
    except AddressError as error:
        raise BadAddress(f"{address!r} is no address: {error.rule}") from error


def _without(member: Membership) -> str | None:
    """The delivery status that lets mail flow: none of its own where address, account and site say so by themselves."""
    places = (member.address, member.address.account, SitePreferences.objects.filter(pk=1).first())
    said = next((place.delivery_status for place in places if place and place.delivery_status), ENABLED)
    return None if said == ENABLED else ENABLED


def _standing(member: Membership) -> Standing:
    row = member.mailing_list
    stopped = member.delivery_status == BY_BOUNCES
    return Standing(
        list_address=row.address,
        address=member.address.original,
        stopped=stopped,
        score=member.bounce_score,
        threshold=row.bounce_score_threshold,
        bounces=member.bounces,
        last_bounce_at=member.last_bounce_at,
        last_bounce=member.last_bounce,
        stopped_at=member.bounce_stopped_at if stopped else None,
        warnings=member.bounce_warnings if stopped else 0,
        next_at=member.bounce_due_at if stopped else None,
        removed_at=removal_at(row, member) if stopped else None,
    )
