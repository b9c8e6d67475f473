"""When a message may be answered by a machine: RFC 3834, for everything a list says by itself."""

from __future__ import annotations

import re

from posthouse.message.envelope import NULL_RETURN_PATH
from posthouse.message.headers import Fields

_COMMENT = re.compile(r"\([^()]*\)")
_BULK = frozenset({"bulk", "junk", "list"})
_MACHINES = ("mailer-daemon", "postmaster", "noreply", "no-reply", "nobody")


def auto_submitted(fields: Fields) -> str:
    """The keyword of Auto-Submitted (RFC 3834 §5) without parameters and comments; "no" where there is none."""
    words = _COMMENT.sub(" ", fields.first("auto-submitted") or "").partition(";")[0].lower().split()
    return words[0] if words else "no"


def is_automatic(fields: Fields, return_path: str) -> str:
    """Why this message was sent by a machine or a list, as a short reason; "" when a person may have sent it."""
    if return_path == NULL_RETURN_PATH:
        return "its return path is null"
    submitted = auto_submitted(fields)
    if submitted != "no":  # RFC 3834 §2
        return f"it says Auto-Submitted: {submitted[:40]}"
    precedence = (fields.first("precedence") or "").strip().lower()
    if precedence in _BULK:
        return f"it says Precedence: {precedence}"
    if "list-id" in fields or "list-post" in fields:
        return "it comes from a mailing list"
    return ""


def may_answer(fields: Fields, return_path: str) -> bool:
    """Whether a machine may answer: never automatic mail, never addresses that stand for machines (RFC 3834 §2)."""
    if is_automatic(fields, return_path):
        return False
    local = return_path.rpartition("@")[0].lower()
    return not (local.startswith("owner-") or local.endswith(("-request", "-bounces")) or local in _MACHINES)
