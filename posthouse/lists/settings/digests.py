"""Many postings in one message, for members who want that."""

from __future__ import annotations

from posthouse.lists.placeholders import OF_DIGESTS, checked
from posthouse.lists.settings.kinds import BOOL, CHOICE, DECIMAL, TEXT, Setting

_FOOTER = """$display_name: $listname
Leave: $leave_address
Archive: $archive_url
"""
_PLACEHOLDERS = (
    "Placeholders: $volume $issue $title $display_name $listname $list_id $description $list_url $archive_url "
    "$leave_address $owner_address $request_address."
)


def words(text: str) -> str:
    """A digest's header or footer. Raises ValueError with the rule."""
    return checked(text, OF_DIGESTS)


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "digests_enabled",
        BOOL,
        True,
        "Whether members may get digests in place of single copies. With `no` those who chose digests get copies.",
    ),
    Setting(
        "digest_is_default",
        BOOL,
        False,
        "Whether people who join from now on get digests unless they said what they want for all their lists.",
    ),
    Setting(
        "mime_is_default_digest",
        BOOL,
        True,
        "Which digests digest_is_default means: MIME digests, or with `no` plain ones.",
    ),
    Setting(
        "digest_size_threshold",
        DECIMAL,
        30.0,
        "A digest goes out as soon as the postings gathered for it have this many KB together. 0: never by size.",
    ),
    Setting(
        "digest_send_periodic",
        BOOL,
        True,
        "Whether what was gathered goes out once a day too (12:00 UTC), however little it is.",
    ),
    Setting(
        "digest_volume_frequency",
        CHOICE,
        "monthly",
        "When a new volume begins, with issue 1: each year, quarter of a year, month, week or day (UTC).",
        ("yearly", "quarterly", "monthly", "weekly", "daily"),
    ),
    Setting(
        "digest_header", TEXT, "", f"Put into every digest above its table of contents. {_PLACEHOLDERS}", check=words
    ),
    Setting("digest_footer", TEXT, _FOOTER, f"Put at the end of every digest. {_PLACEHOLDERS}", check=words),
)
