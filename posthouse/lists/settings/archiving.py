"""Who reads the archive."""

from __future__ import annotations

from posthouse.lists.settings.kinds import CHOICE, Setting

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "archive_policy",
        CHOICE,
        "public",
        "Who reads the archive: everybody, members, or nobody because nothing is kept.",
        ("public", "private", "never"),
    ),
)
