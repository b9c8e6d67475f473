"""What a list changes in a posting before it goes out."""

from __future__ import annotations

from posthouse.lists.settings.kinds import LINE, TEXT, Setting

FOOTER = """_______________________________________________
$display_name: $listname
Leave: $leave_address
Archive: $archive_url
"""

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "subject_prefix",
        LINE,
        "[$display_name] ",
        "Put before the subject of every posting, once. The blank at its end counts. At creation $display_name is "
        "filled in. Empty: subjects stay as written.",
    ),
    Setting(
        "footer",
        TEXT,
        FOOTER,
        "Put below every posting. Placeholders: $display_name $listname $list_id $description $list_url $archive_url "
        "$permalink $leave_address $owner_address $request_address. Empty: postings stay as written.",
    ),
)
