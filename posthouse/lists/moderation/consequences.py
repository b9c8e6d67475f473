"""What a verdict entails besides itself: a talkative member is moderated, an automatic discard is shown to owners."""

from __future__ import annotations

from posthouse.lists import notices, roster
from posthouse.lists.moderation import verbosity
from posthouse.lists.moderation.case import Case
from posthouse.lists.moderation.hold import MOST_ATTACHED, MOST_NOTICES
from posthouse.lists.moderation.verdict import DISCARD, Verdict
from posthouse.message.compose import Attached


def follow(case: Case, verdict: Verdict) -> None:
    """Do what the verdict entails."""
    row, arrived = case.mailing_list, case.arrived
    if verdict.rule == "verbosity":
        verbosity.moderate(row, case.author_key)
    if verdict.disposition != DISCARD or verdict.rule != "nonmember" or not row.forward_auto_discards:
        return
    if not notices.allowed(row, "", "discarded", case.now, MOST_NOTICES):
        return
    attached = []
    if arrived.size <= MOST_ATTACHED:
        attached.append(Attached("posting.eml", "message/rfc822", arrived.content))
    values = {"author": case.author, "subject": arrived.subject or "(no subject)", "reason": verdict.reason}
    staff = roster.staff(row.pk)
    notices.send(row, "discarded", staff, values, now=case.now, because=arrived.item, attachments=attached)
