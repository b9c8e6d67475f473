"""A moderator answers the notice of a held posting: the list's password releases it, any other answer discards it."""

from __future__ import annotations

import re

from posthouse import maillog
from posthouse.lists import holding
from posthouse.lists.arrived import DELIVERED, Arrived, Taken
from posthouse.lists.errors import NoSuchHeld
from posthouse.lists.manners import is_answer_of_machine, is_automatic
from posthouse.lists.models import MailingList
from posthouse.lists.moderation import approved, links
from posthouse.lists.moderation.case import BEGINNING
from posthouse.message.parsing import read

_MACHINES = ("X-Auto-Response-Suppress", "X-FC-MachineGenerated")  # said of answers, but by some programs of all mail
_CONFIRM = re.compile(r"(?:^|[\s:])confirm\s+([a-z2-7]{26})\s*$", re.IGNORECASE)


def is_reply(detail: str) -> bool:
    """Whether a -confirm+TOKEN address is that of a notice about a held posting."""
    return links.read_reply(detail) is not None


def token_of(arrived: Arrived) -> str:
    """The token in the subject of an answer to the message that a notice has attached, "" where there is none."""
    found = _CONFIRM.search(arrived.subject)
    return found[1] if found and is_reply(found[1]) else ""


def _by_machine(arrived: Arrived) -> str:
    """Why this is the answer of a machine that does not keep RFC 3834: older vacation notes, receipts (RFC 8098)."""
    if (arrived.fields.first("content-type") or "").strip().lower().startswith("multipart/report"):
        return "it is a report"
    found = next((name for name in _MACHINES if name in arrived.fields), "")
    return is_answer_of_machine(arrived.fields) or (f"it says {found}" if found else "")


def take(mailing_list: MailingList, arrived: Arrived, detail: str, now: int) -> Taken:
    """Decide as the answer says. `now` in milliseconds.

    The token, which only moderators got, is what allows it. A wrong password decides nothing: somebody wanted to
    release. Automatic answers decide nothing either: a vacation note must not discard (RFC 3834 §2).
    """
    number = links.read_reply(detail)
    why = is_automatic(arrived.fields, arrived.return_path) or _by_machine(arrived)
    if number is None or why:
        reason = why or "it names no held posting"
        maillog.judged(now, arrived.item, mailing_list.address, "discard", "reply", f"Not obeyed: {reason}.")
        return Taken(DELIVERED, f"not obeyed: {reason}", "2.0.0")
    try:
        facts = holding.show_held(number)
    except NoSuchHeld as error:
        return Taken(DELIVERED, f"not obeyed: {error}", "2.0.0")
    if facts.list_address != mailing_list.address:
        return Taken(DELIVERED, "not obeyed: the posting is held on another list", "2.0.0")
    by = f"answer by {arrived.author[1] or arrived.return_path}"[:300]
    approval = approved.look(mailing_list, arrived, read(arrived.beginning(BEGINNING)).text, now)
    if approval is None:
        holding.discard(number, by, now)
        return Taken(DELIVERED, f"held posting {number} discarded: {by}", "2.0.0")
    if not approval.is_right:
        maillog.moderated(now, facts.item, facts.list_address, "kept", by, "the password is not the list's")
        return Taken(DELIVERED, f"held posting {number} kept: the password is not the list's", "2.0.0")
    holding.release(number, by, now)
    return Taken(DELIVERED, f"held posting {number} released: {by}", "2.0.0")
