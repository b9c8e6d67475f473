"""When a message may be answered by a machine: RFC 3834, for everything a list says by itself."""

from __future__ import annotations

import re

from posthouse.message.envelope import NULL_RETURN_PATH
from posthouse.message.headers import Fields

_COMMENT = re.compile(r"\([^()]*\)")
_BULK = frozenset({"bulk", "junk", "list"})
_MACHINES = ("mailer-daemon", "postmaster", "noreply", "no-reply", "nobody")
# What vacation notes and challenges carry that are older than RFC 3834, or do not keep it.
_ANSWERS = ("x-autoreply", "x-autorespond", "x-autoresponse", "x-auto-reply", "x-autoreply-from", "x-vacation",
            "x-boxbe-messageid", "x-tmda-fingerprint", "x-challenge", "x-asvr-challenge")  # fmt: skip


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


def is_answer_of_machine(fields: Fields) -> str:
    """Why a machine answers here that does not say so as RFC 3834 wants it, as words; "" when it may be a person."""
    found = next((name for name in _ANSWERS if name in fields), "")
    if found:
        return f"it has the field {found}"
    precedence = (fields.first("precedence") or "").strip().lower()
    return "so its Precedence says" if precedence in ("auto_reply", "auto-reply") else ""


def may_answer(fields: Fields, return_path: str) -> bool:
    """Whether a machine may answer: never automatic mail, never addresses that stand for machines (RFC 3834 §2)."""
    if is_automatic(fields, return_path) or is_answer_of_machine(fields):
        return False
    local = return_path.rpartition("@")[0].lower()
    return not (local.startswith("owner-") or local.endswith(("-request", "-bounces")) or local in _MACHINES)
