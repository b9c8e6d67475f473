"""Copies that differ: which lists have them, and what header and footer may say of their reader."""

from __future__ import annotations

import re

from posthouse.lists.models import MailingList

NONE, INDIVIDUAL, FULL = "none", "individual", "full"
DEFAULT, VIRGIN, TO_OWNERS = "default-posting-pipeline", "virgin", "default-owner-pipeline"  # posting_pipeline
PERSONAL = "personal"  # origin in the queue of copies whose words are filled in as they leave
PLACEHOLDERS = (
    "user_email", "user_name", "user_name_or_email", "user_delivered_to", "user_language", "user_optionsurl", "member",
    "user_address", "user_name_or_address",
)  # fmt: skip
_NAMED = re.compile(r"\$(?:\{(?:" + "|".join(PLACEHOLDERS) + r")\}|(?:" + "|".join(PLACEHOLDERS) + r")(?![\w]))")


def is_personal(row: MailingList) -> bool:
    """Whether the copies of a posting differ in more than their way out; else they share every byte."""
    if row.posting_pipeline != DEFAULT:
        return False
    return row.personalize == FULL or (row.personalize == INDIVIDUAL and names_reader(row.header + row.footer))


def names_reader(text: str) -> bool:
    """Whether a header or footer names its reader."""
    return _NAMED.search(text) is not None
