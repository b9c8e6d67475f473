"""How often a member posted lately, where the list wants to know: who writes too much is looked at from then on."""

from __future__ import annotations

from datetime import timedelta

from posthouse.directory.moments import moment
from posthouse.lists.models import MEMBER, MailingList, Membership, Spoken


def counted(row: MailingList, key: str, now: int) -> int:
    """Count one more posting of this member: how many they sent within the interval. `now` in milliseconds."""
    at = moment(now)
    since = at - timedelta(seconds=row.member_verbosity_interval)
    Spoken.objects.filter(mailing_list=row, at__lt=since).delete()
    Spoken.objects.create(mailing_list=row, address=key, at=at)
    return Spoken.objects.filter(mailing_list=row, address=key, at__gte=since).count()


def moderate(row: MailingList, key: str) -> None:
    """Let a moderator look at this member's postings from now on."""
    found = Membership.objects.filter(mailing_list=row, role=MEMBER, address__key=key).first()
    if found is not None:
        found.moderation_action = "hold"
        found.save(update_fields=["moderation_action"])
