"""What owners and members are told of bounces; owners get the report itself with it."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

from posthouse import configuration
from posthouse.address import AddressError, key_of
from posthouse.directory import accounts
from posthouse.lists import notices, roster
from posthouse.lists.arrived import Arrived
from posthouse.lists.bounces.links import restart_token
from posthouse.lists.models import MailingList, Membership
from posthouse.message.compose import Attached

MOST_FORWARDED = 20  # unrecognised messages of a list that people get in a day: anybody can write to -bounces
MOST_ATTACHED = 50 * 1024  # octets of a report that go with a notice
_UNRECOGNISED = "bounce-unrecognized"


def counted(row: MailingList, member: Membership, arrived: Arrived, now: int) -> None:
    """Owners: a member's score rose."""
    _owners(row, "bounce-increment", member, arrived, now)


def stopped(row: MailingList, member: Membership, arrived: Arrived, now: int) -> None:
    """Owners: delivery to a member stopped."""
    _owners(row, "bounce-disabled", member, arrived, now)


def removed(row: MailingList, member: Membership, arrived: Arrived | None, now: int) -> None:
    """Owners: a member was removed."""
    _owners(row, "bounce-removal", member, arrived, now)


def warning(row: MailingList, member: Membership, since: datetime, removed_at: datetime, now: int) -> None:
    """The member: delivery is stopped `since`; a link begins it again; else they are removed at `removed_at`."""
    token = restart_token(row.pk, member.address.key, since)
    values = {
        "address": member.address.original,
        "reason": member.last_bounce or "it did not say why",
        "since": f"{since:%Y-%m-%d}",
        "number": str(member.bounce_warnings),
        "removed_on": f"{removed_at:%Y-%m-%d}",
        "restart_url": f"{configuration.active().web.base_url}/bounces/restart/{token}/",
    }
    notices.send(row, "bounce-warning", [member.address.original], values, now=now)


def unrecognised(row: MailingList, arrived: Arrived, named: str, now: int) -> bool:
    """Forward what could not be read to whom the list says; False when to nobody, or when today's are used up."""
    where = row.forward_unrecognized_bounces_to
    if where == "discard" or not notices.allowed(row, "", _UNRECOGNISED, now, MOST_FORWARDED):
        return False
    to = roster.staff(row.pk) if where == "administrators" else accounts.superuser_addresses()
    values = {"about": named or "no member", "subject": arrived.subject or "(no subject)"}
    return bool(
        notices.send(row, _UNRECOGNISED, to, values, now=now, because=arrived.item, attachments=[_attached(arrived)])
    )


def _owners(row: MailingList, kind: str, member: Membership, arrived: Arrived | None, now: int) -> None:
    failing = member.address.key
    to = [address for address in roster.staff(row.pk) if _key(address) != failing]
    values = {
        "address": member.address.original,
        "score": f"{member.bounce_score:g}",
        "threshold": str(row.bounce_score_threshold),
        "reason": member.last_bounce or "it did not say why",
        "member_url": member_url(row, member.address.original),
        "members_command": f"posthouse members bounces {row.address}",  # for texts that were worded before
    }
    attachments = [_attached(arrived)] if arrived else []
    notices.send(row, kind, to, values, now=now, because=arrived.item if arrived else 0, attachments=attachments)


def member_url(row: MailingList, address: str) -> str:
    """The page of a member, for those who run the list."""
    place = f"{configuration.active().web.base_url}/lists/{quote(row.address, safe='@')}/members"
    return f"{place}/{quote(address, safe='@+')}/"


def _key(address: str) -> str:
    try:
        return key_of(address)
    except AddressError:
        return ""


def _attached(arrived: Arrived) -> Attached:
    return Attached("report.eml", "message/rfc822", arrived.beginning(MOST_ATTACHED))
