"""Who gets a copy of a posting: one question to the database, with every preference, topic and sibling list in it."""

from __future__ import annotations

from posthouse.address import AddressError, key_of
from posthouse.lists import siblings, topics
from posthouse.lists.arrived import Arrived
from posthouse.lists.models import ENABLED, MEMBER, MODERATOR, OWNER, MailingList, Membership
from posthouse.lists.personal import TO_OWNERS
from posthouse.lists.preferences import ACCOUNTS, effective
from posthouse.lists.settings import items
from posthouse.message.rewrite import addressed_to

MOST_ADDRESSED = 400  # addresses in To and Cc that are compared with members' wish for no second copy

Question = tuple[str, list[str | int]]  # SQL and its parameters


def recipients(row: MailingList, arrived: Arrived, matched: tuple[str, ...] = ()) -> Question:
    """The question that yields (recipient, domain) of everybody who gets a copy, and its parameters.

    Left out: members whose delivery is stopped, who read digests, who chose other topics than those `matched`, the
    author (by any address of their account) when they want no copy of their own postings, members named in To or Cc
    who want no second copy, and members of sibling lists that get it from there. The members of included lists join
    in; where they are members here too, what they want here counts.
    """
    if row.posting_pipeline == TO_OWNERS:
        return _staff(row)
    author = _key(arrived)
    addressed = addressed_to(arrived.fields)
    named = sorted(addressed)[:MOST_ADDRESSED] or [""]
    included = siblings.numbers(row, [one for one in items(row.regular_include_lists) if one not in addressed])
    excluded = siblings.numbers(row, [one for one in items(row.regular_exclude_lists) if one in addressed])
    lists, parameters = _lists(row, included)
    # Without digests their readers get copies, so that nobody gets nothing.
    digests_apart = f" AND {effective('delivery_mode')} = 'regular'" if row.digests_enabled else ""
    chosen, topic_parameters = _topics(row, matched)
    apart, apart_parameters = _apart(excluded, author)
    select = (
        f"SELECT {'DISTINCT ' if included else ''}a.original AS recipient, a.domain AS domain "
        f"FROM lists_membership m JOIN directory_address a ON a.id = m.address_id {ACCOUNTS} "
        f"WHERE {lists} AND m.role = %s AND {effective('delivery_status')} = %s "
        f"AND ({effective('receive_own_postings')} OR (a.key <> %s AND COALESCE(a.account_id, 0) <> COALESCE("
        "(SELECT o.account_id FROM directory_address o WHERE o.key = %s AND o.verified_at IS NOT NULL), -1))) "
        f"AND ({effective('receive_list_copy')} OR a.key NOT IN ({_marks(named)}))"
        f"{digests_apart}{chosen}{apart}"
    )
    return select, [*parameters, MEMBER, ENABLED, author, author, *named, *topic_parameters, *apart_parameters]


def _staff(row: MailingList) -> Question:
    """Owners and moderators, each once."""
    select = (
        "SELECT DISTINCT a.original AS recipient, a.domain AS domain FROM lists_membership m "
        "JOIN directory_address a ON a.id = m.address_id WHERE m.mailing_list_id = %s AND m.role IN (%s, %s)"
    )
    return select, [row.pk, OWNER, MODERATOR]


def _lists(row: MailingList, included: list[int]) -> Question:
    if not included:
        return "m.mailing_list_id = %s", [row.pk]
    where = (
        f"(m.mailing_list_id = %s OR (m.mailing_list_id IN ({_marks(included)}) AND NOT EXISTS (SELECT 1 FROM "
        "lists_membership i WHERE i.mailing_list_id = %s AND i.role = %s AND i.address_id = m.address_id)))"
    )
    return where, [row.pk, *included, row.pk, MEMBER]


def _topics(row: MailingList, matched: tuple[str, ...]) -> Question:
    """Members who chose topics get the postings that match one, and, when they like, those that match none."""
    if not row.topics_enabled or not row.topics:
        return "", []
    if not matched:
        return " AND (m.topics = '' OR m.receive_nonmatching_topics OR m.mailing_list_id <> %s)", [row.pk]
    likes = " OR ".join(["m.topics LIKE %s ESCAPE '!'"] * len(matched))
    return f" AND (m.topics = '' OR m.mailing_list_id <> %s OR {likes})", [row.pk, *map(topics.pattern, matched)]


def _apart(excluded: list[int], author: str) -> Question:
    """Members of sibling lists the posting is addressed to, as far as its author may post there, get it from there."""
    if excluded:
        known = Membership.objects.filter(mailing_list_id__in=excluded, role=MEMBER, address__key=author)
        excluded = list(known.values_list("mailing_list_id", flat=True))
    if not excluded:
        return "", []
    enabled = effective("delivery_status").replace("m.", "x.", 1)
    where = (
        f" AND NOT EXISTS (SELECT 1 FROM lists_membership x WHERE x.mailing_list_id IN ({_marks(excluded)}) "
        f"AND x.role = %s AND x.address_id = a.id AND {enabled} = %s)"
    )
    return where, [*excluded, MEMBER, ENABLED]


def _key(arrived: Arrived) -> str:
    try:
        return key_of(arrived.author[1]) if arrived.author[1] else ""
    except AddressError:
        return ""


def _marks(values: list[str] | list[int]) -> str:
    return ", ".join(["%s"] * len(values))
