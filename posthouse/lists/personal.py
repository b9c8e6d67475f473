"""Copies that differ: which lists have them, and what header and footer may say of their reader."""

from __future__ import annotations

import re

from posthouse.lists.models import MailingList
from posthouse.lists.placeholders import OF_READERS

NONE, INDIVIDUAL, FULL = "none", "individual", "full"
DEFAULT, VIRGIN, TO_OWNERS = "default-posting-pipeline", "virgin", "default-owner-pipeline"  # posting_pipeline
PERSONAL = "personal"  # origin in the queue of copies whose words are filled in as they leave
_NAMED = re.compile(r"\$(?:\{(?:" + "|".join(OF_READERS) + r")\}|(?:" + "|".join(OF_READERS) + r")(?![\w]))")


def is_personal(row: MailingList) -> bool:
    """Whether the copies of a posting differ in more than their way out; else they share every byte."""
    if row.posting_pipeline != DEFAULT:
        return False
    return row.personalize == FULL or (row.personalize == INDIVIDUAL and names_reader(row.header + row.footer))


def names_reader(text: str) -> bool:
    """Whether a header or footer names its reader."""
    return _NAMED.search(text) is not None
