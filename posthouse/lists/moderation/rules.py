"""The rules: each a question with its reason, asked in the order of `RULES`; the first that answers decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from posthouse.lists.manners import auto_submitted, is_automatic
from posthouse.lists.moderation.case import MEMBER, NONMEMBER, Case
from posthouse.message.envelope import NULL_RETURN_PATH

ACCEPT, HOLD, REJECT, DISCARD = "accept", "hold", "reject", "discard"
DEFER = "defer"  # of a membership: let the other rules decide
_MOST_FIELDS = 100  # of one name that are read
_REPLIES = ("auto-replied", "auto-notified")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A disposition, the rule that gave it and its reason, a sentence for a person."""

    disposition: str
    rule: str
    reason: str


Rule = Callable[[Case], Verdict | None]


def loop(case: Case) -> Verdict | None:
    """The posting has been through this list already."""
    fields, row = case.arrived.fields, case.mailing_list
    address = row.address.lower()
    found = ""
    if any(f"<{row.list_id}>" in value.lower() for value in fields.all("list-id")[:_MOST_FIELDS]):
        found = "List-Id"
    elif any(f"mailto:{address}>" in value.lower() for value in fields.all("list-post")[:_MOST_FIELDS]):
        found = "List-Post"
    elif any(value.lower() == address for value in fields.all("x-beenthere")[:_MOST_FIELDS]):
        found = "X-BeenThere"
    if not found:
        return None
    return Verdict(DISCARD, "loop", f"It has been through this list already (its {found} says so).")


def automatic(case: Case) -> Verdict | None:
    """Bounces, vacation notes and other answers of machines are no postings."""
    fields = case.arrived.fields
    if case.arrived.return_path == NULL_RETURN_PATH or auto_submitted(fields) in _REPLIES:
        why = is_automatic(fields, case.arrived.return_path)
        return Verdict(DISCARD, "automatic", f"It is an automatic answer, not a posting: {why}.")
    return None


def no_author(case: Case) -> Verdict | None:
    """Nobody is named as author."""
    if case.author:
        return None
    return Verdict(DISCARD, "no-author", "Its From field names no author.")


def staff(case: Case) -> Verdict | None:
    """Owners and moderators post what they like."""
    if case.standing.is_staff:
        return Verdict(ACCEPT, "staff", "Its author is an owner or a moderator of the list.")
    return None


def nonmember(case: Case) -> Verdict | None:
    """Its author is not a member."""
    if case.standing.is_member:
        return None
    action = case.standing.own_action(NONMEMBER) or case.mailing_list.default_nonmember_action
    if not case.mailing_list.allow_list_posts:
        return _action(action, "nonmember", "Only the owners and moderators post to this list.")
    return _action(action, "nonmember", "Its author is not a member of the list.")


def member(case: Case) -> Verdict | None:
    """Its author is a member whose postings are moderated."""
    action = case.standing.own_action(MEMBER) or case.mailing_list.default_member_action
    if not case.standing.is_member:
        return None
    if not case.mailing_list.allow_list_posts:
        return _action(action, "member", "Only the owners and moderators post to this list.")
    return _action(action, "member", "Postings of this member are moderated.")


def size(case: Case) -> Verdict | None:
    """It is larger than the list wants."""
    most = case.mailing_list.max_message_size
    if not most or case.arrived.size <= most * 1024:
        return None
    shown = -(-case.arrived.size // 1024)
    return Verdict(HOLD, "size", f"It has {shown} KB; the list takes up to {most} KB without a look at it.")


RULES: tuple[Rule, ...] = (loop, automatic, no_author, staff, nonmember, member, size)


def judge(case: Case) -> Verdict:
    """Ask the rules in order; what none of them answers is accepted."""
    for rule in RULES:
        verdict = rule(case)
        if verdict is not None:
            return verdict
    return Verdict(ACCEPT, "all", "Nothing speaks against it.")


def _action(action: str, rule: str, reason: str) -> Verdict | None:
    if action == DEFER:
        return None
    if action == ACCEPT:
        return Verdict(ACCEPT, rule, "The list accepts postings of this author unseen.")
    return Verdict(action, rule, reason)
