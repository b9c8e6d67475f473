"""Rules about who sent a posting, and about postings that a person need not see."""

from __future__ import annotations

from posthouse.lists.manners import auto_submitted, is_automatic
from posthouse.lists.models import MEMBER, NONMEMBER
from posthouse.lists.moderation.case import Case
from posthouse.lists.moderation.verdict import ACCEPT, DEFER, DISCARD, HOLD, REJECT, Verdict, by_action
from posthouse.lists.named import naming
from posthouse.lists.settings import items
from posthouse.message.envelope import NULL_RETURN_PATH

_MOST_FIELDS = 100  # of one name that are read
_REPLIES = ("auto-replied", "auto-notified")
_ONLY_STAFF = "Only the owners and moderators post to this list."


def no_author(case: Case) -> Verdict | None:
    """Nobody is named as author."""
    if case.author:
        return None
    return Verdict(DISCARD, "no-author", "Its From field names no author.")


def approved(case: Case) -> Verdict | None:
    """It carries the list's moderator password. A banned author is not helped by it."""
    if not case.mailing_list.moderator_password or case.approval is None or not case.approval.is_right or case.ban:
        return None
    return Verdict(ACCEPT, "approved", "It carries the moderators' password.")


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


def banned(case: Case) -> Verdict | None:
    """One of its senders is banned from the list or the site."""
    if not case.ban:
        return None
    return Verdict(DISCARD, "banned-address", "One of its senders is banned.", (f"banned-address: {case.ban}",))


def emergency(case: Case) -> Verdict | None:
    """The list holds everything for now."""
    if not case.mailing_list.emergency:
        return None
    return Verdict(HOLD, "emergency", "For the time being every posting to this list waits for a moderator.")


def staff(case: Case) -> Verdict | None:
    """Owners and moderators post what they like."""
    if case.standing.is_staff and not case.is_from_news:  # anybody can write their names into an article
        if case.is_doubted:
            reason = "Its author is an owner or a moderator, but the author's domain did not send it (DMARC fails)."
            return Verdict(HOLD, "staff", reason)
        return Verdict(ACCEPT, "staff", "Its author is an owner or a moderator of the list.")
    return None


def verbosity(case: Case) -> Verdict | None:
    """A member posts so often that a person should have a look."""
    row = case.mailing_list
    if not row.member_verbosity_threshold or case.is_from_news or case.recent <= row.member_verbosity_threshold:
        return None
    reason = (
        f"Its author sent {case.recent} postings within {row.member_verbosity_interval} seconds; "
        "a moderator looks at them from now on."
    )
    return Verdict(HOLD, "verbosity", reason)


def member(case: Case) -> Verdict | None:
    """Its author is a member whose postings are moderated."""
    row = case.mailing_list
    if not case.standing.is_member or case.is_from_news:
        return None
    action = case.standing.own_action(MEMBER) or row.default_member_action
    reason = "Postings of this member are moderated." if row.allow_list_posts else _ONLY_STAFF
    if action == REJECT:
        reason = row.member_moderation_notice.strip() or reason
    return by_action(action, "member", reason)


def nonmember(case: Case) -> Verdict | None:
    """Its author is not a member: their own action decides, then the lists of nonmembers, then the default."""
    row = case.mailing_list
    if case.standing.is_member or case.is_from_news:
        return None
    reason = "Its author is not a member of the list." if row.allow_list_posts else _ONLY_STAFF
    own = case.standing.own_action(NONMEMBER)
    action, hit = (own, "the author's own action") if own else _named(case)
    action = action or row.default_nonmember_action
    if action == REJECT:
        reason = row.nonmember_rejection_notice.strip() or reason
    return by_action(action, "nonmember", reason, hit)


def _named(case: Case) -> tuple[str, str]:
    """(action, what matched) of the first of the lists of nonmembers that names the author, ("", "") when none does."""
    row = case.mailing_list
    # Those who are accepted still pass the other rules, as members do.
    for name, action in (("accept", DEFER), ("hold", HOLD), ("reject", REJECT), ("discard", DISCARD)):
        setting = f"{name}_these_nonmembers"
        if item := naming(items(getattr(row, setting)), case.author_key, case.patience):
            return action, f"{setting} has {item}"
    return "", ""
