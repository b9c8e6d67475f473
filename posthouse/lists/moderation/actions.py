"""What happens to the postings of one person: an action of their own, in place of the list's default."""

from __future__ import annotations

from posthouse.database import transaction
from posthouse.lists import roster
from posthouse.lists.errors import ListError
from posthouse.lists.models import NONMEMBER
from posthouse.lists.settings.kinds import ACTIONS

DEFAULT = ""  # the list's default decides


def set_action(mailing_list: int | str, address: str, action: str) -> str:
    """Give a member, or else a nonmember, an action of `ACTIONS`, or DEFAULT: the role it holds for.

    Raises NoSuchList, BadAddress, ListError (the action).
    """
    if action not in (*ACTIONS, DEFAULT):
        raise ListError(f"{action!r} is no action; known are {', '.join(ACTIONS)}")
    with transaction():
        if roster.set_preferences(mailing_list, address, moderation_action=action):
            return "member"
        if action == DEFAULT:
            roster.remove(mailing_list, address, role=NONMEMBER)
        else:
            roster.add(mailing_list, address, role=NONMEMBER)
            roster.set_preferences(mailing_list, address, NONMEMBER, moderation_action=action)
        return NONMEMBER
