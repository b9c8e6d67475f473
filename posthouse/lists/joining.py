"""The last step of joining and leaving: the roster changes, and everybody who should know is told."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Q

from posthouse import maillog
from posthouse.lists import notices, roster
from posthouse.lists.models import MEMBER, MailingList, Membership

JOIN, LEAVE = "join", "leave"


def member_of(row: MailingList, key: str) -> Membership | None:
    """The membership of a person: of this address, else of another verified address of the same account."""
    person = Q(address__key=key) | Q(
        address__account__addresses__key=key,
        address__account__addresses__verified_at__isnull=False,
        address__verified_at__isnull=False,
    )
    rows = Membership.objects.filter(person, mailing_list=row, role=MEMBER).select_related("address").order_by("id")
    found = list(rows.distinct()[:50])
    return next((one for one in found if one.address.key == key), found[0] if found else None)


def join(
    row: MailingList,
    shown: str,
    name: str,
    now: int,
    by: str,
    because: int = 0,
    preferences: Mapping[str, str | bool] | None = None,
    *,
    welcome: bool = True,
) -> bool:
    """Make somebody a member and greet them; False when they were one. `now` in milliseconds."""
    if not roster.add(row.pk, shown, name):
        return False
    if preferences:
        roster.set_preferences(row.pk, shown, MEMBER, **preferences)
    maillog.subscription(now, because, row.address, shown, "joined", by)
    if row.send_welcome_message and welcome:
        notices.send(row, "welcome", [shown], {"address": shown}, now=now, because=because)
    _tell_owners(row, "joined", shown, name, now, by, because)
    return True


def leave(row: MailingList, key: str, shown: str, now: int, by: str, because: int = 0) -> bool:
    """Take somebody off a list and say goodbye; False when they were not on it. `now` in milliseconds."""
    member = member_of(row, key)
    if member is None or not roster.remove(row.pk, member.address.original):
        return False
    maillog.subscription(now, because, row.address, member.address.original, "left", by)
    if row.send_goodbye_message:
        notices.send(row, "goodbye", [shown], {"address": member.address.original}, now=now, because=because)
    _tell_owners(row, "left", member.address.original, member.address.display_name, now, by, because)
    return True


def _tell_owners(row: MailingList, done: str, shown: str, name: str, now: int, by: str, because: int) -> None:
    staff = roster.staff(row.pk) if row.admin_notify_mchanges else []
    if staff:
        who = f"{' '.join(name.split())} <{shown}>" if name.strip() else shown
        values = {"address": shown, "member": who, "by": by}
        notices.send(row, f"member-{done}", staff, values, now=now, because=because)
