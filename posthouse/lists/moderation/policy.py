"""The rule about authors whose domain forbids what lists do, where the list rejects or discards their postings."""

from __future__ import annotations

from posthouse.lists import mitigation
from posthouse.lists.moderation.case import Case
from posthouse.lists.moderation.verdict import DISCARD, REJECT, Verdict


def dmarc(case: Case) -> Verdict | None:
    """The domain of its author publishes a DMARC policy that copies would not pass."""
    row = case.mailing_list
    if row.dmarc_mitigate_action not in (mitigation.REJECT, mitigation.DISCARD):
        return None
    action = mitigation.mitigation(row, case.author_key, case.arrived.author_policy, case.patience)
    if action not in (mitigation.REJECT, mitigation.DISCARD):
        return None
    host = case.author_key.rpartition("@")[2]
    reason = row.dmarc_moderation_notice.strip() or (
        f"The domain {host} does not allow its mail to be sent through mailing lists (its DMARC policy); "
        "write from another address."
    )
    return Verdict(REJECT if action == mitigation.REJECT else DISCARD, "dmarc-mitigation", reason)
