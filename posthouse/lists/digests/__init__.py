"""Digests: postings gathered for members who want many in one message, sent by size, once a day, or when told to.

Read `gathering` (a posting waits, by reference), `sending` (who gets which kind), `issue` (what a digest holds),
`mime`, `plain` (RFC 1153) and `summary` (the kinds), `volumes` (numbers), `choosing` (who leaves gets one last).
"""

from __future__ import annotations

from posthouse.lists.digests.choosing import set_account_preferences, set_address_preferences
from posthouse.lists.digests.gathering import gather
from posthouse.lists.digests.sending import Gathered, Sent, gathered, send, send_due
from posthouse.lists.digests.volumes import bump, bump_due

__all__ = [
    "Gathered", "Sent", "bump", "bump_due", "gather", "gathered", "send", "send_due",
    "set_account_preferences", "set_address_preferences",
]  # fmt: skip
