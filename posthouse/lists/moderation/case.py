"""What the rules look at: the list, the posting, and what its author is to the list."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from posthouse.address import key_of
from posthouse.lists.arrived import Arrived
from posthouse.lists.models import MEMBER, MODERATOR, NONMEMBER, OWNER, MailingList


@dataclass(frozen=True, slots=True)
class Standing:
    """What an author is to a list: their roles with the action each membership has of its own ("": none)."""

    actions: dict[str, str]

    @property
    def is_staff(self) -> bool:
        """Whether the author is an owner or a moderator."""
        return OWNER in self.actions or MODERATOR in self.actions

    @property
    def is_member(self) -> bool:
        """Whether the author is a member."""
        return MEMBER in self.actions

    def own_action(self, role: str) -> str:
        """The action of the author's own membership, "" when the list's default decides."""
        return self.actions.get(role, "")


@dataclass(frozen=True, slots=True)
class Case:
    """A posting before its judge."""

    mailing_list: MailingList
    arrived: Arrived
    author: str  # the address as written, "" when there is none
    standing: Standing


def of(mailing_list: MailingList, arrived: Arrived) -> Case:
    """Gather what the rules need: one question to the database."""
    author = arrived.author[1]
    return Case(mailing_list, arrived, author, standing_of(mailing_list.pk, author))


def standing_of(list_pk: int, author: str) -> Standing:
    """What this address is to the list."""
    if not author:
        return Standing({})
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT m.role, m.moderation_action FROM directory_address a JOIN lists_membership m "
            "ON m.address_id = a.id AND m.mailing_list_id = %s WHERE a.key = %s",
            [list_pk, key_of(author)],
        )
        return Standing({str(role): str(action) for role, action in cursor.fetchall()})


__all__ = ["MEMBER", "NONMEMBER", "Case", "Standing", "of", "standing_of"]
