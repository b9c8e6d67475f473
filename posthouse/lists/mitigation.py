"""Whether a posting must be changed, or kept out, because of what its author's domain publishes (DMARC, RFC 9989)."""

from __future__ import annotations

from posthouse.lists.expressions import Patience
from posthouse.lists.models import MailingList
from posthouse.lists.settings import items

NOTHING, MUNGE_FROM, WRAP_MESSAGE, REJECT, DISCARD = "no_mitigation", "munge_from", "wrap_message", "reject", "discard"

# What is known of an author's policy: one of DMARC's, `unknown` when it could not be looked up, "" when nobody asked.
NONE, QUARANTINE, FORBIDDING, UNKNOWN = "none", "quarantine", "reject", "unknown"


def wants_policy(row: MailingList) -> bool:
    """Whether the list needs to know what its authors' domains publish."""
    return row.dmarc_mitigate_action != NOTHING and not row.anonymous_list


def mitigation(row: MailingList, author: str, policy: str, patience: Patience | None = None) -> str:
    """What must happen to a posting of this author (key, "" for none): one of the five actions.

    Nothing is rejected or discarded because of a policy that could not be looked up: then the From is changed.
    """
    action = str(row.dmarc_mitigate_action)
    if not wants_policy(row):
        return NOTHING
    changes = action in (MUNGE_FROM, WRAP_MESSAGE)
    if policy in (QUARANTINE, FORBIDDING) or (changes and row.dmarc_mitigate_unconditionally):
        return action
    if _named(row, author, patience or Patience()):
        return action
    if policy == UNKNOWN:
        return action if changes else MUNGE_FROM
    return NOTHING


def _named(row: MailingList, author: str, patience: Patience) -> bool:
    for item in items(row.dmarc_addresses):
        if item.startswith("^"):
            if patience.finds(item, author):
                return True
        elif author and (author == item or (item.startswith("@") and author.endswith(item))):
            return True
    return False
