"""What a list answers by itself to who writes to it."""

from __future__ import annotations

from posthouse.lists.placeholders import ALWAYS, checked
from posthouse.lists.settings.kinds import CHOICE, DURATION, TEXT, Setting

_MODES = ("none", "respond_and_discard", "respond_and_continue")
_HOW = (
    "`none`: nothing; `respond_and_continue`: the text, and the message goes its way; `respond_and_discard`: the text, "
    "and the message goes nowhere. Automatic mail is never answered (RFC 3834), but discarded all the same."
)
_PLACEHOLDERS = (
    "Placeholders: $display_name $listname $list_id $description $list_url $archive_url $owner_address "
    "$request_address $join_address $leave_address. Empty: nothing is answered."
)


def words(text: str) -> str:
    """What is answered. Raises ValueError with the rule."""
    return checked(text, ALWAYS)


SETTINGS: tuple[Setting, ...] = (
    Setting("autorespond_owner", CHOICE, "none", f"The answer to mail for the owners (-owner). {_HOW}", _MODES),
    Setting(
        "autorespond_postings",
        CHOICE,
        "none",
        f"The answer to mail for the list itself, whatever becomes of it, unless it is thrown away. {_HOW}",
        _MODES,
    ),
    Setting("autorespond_requests", CHOICE, "none", f"The answer to mail for -request. {_HOW}", _MODES),
    Setting(
        "autoresponse_owner_text", TEXT, "", f"What is answered to mail for the owners. {_PLACEHOLDERS}", check=words
    ),
    Setting(
        "autoresponse_postings_text", TEXT, "", f"What is answered to mail for the list. {_PLACEHOLDERS}", check=words
    ),
    Setting(
        "autoresponse_request_text", TEXT, "", f"What is answered to mail for -request. {_PLACEHOLDERS}", check=words
    ),
    Setting(
        "autoresponse_grace_period",
        DURATION,
        90 * 86400,
        "For so long nobody gets an answer of the same kind again. 0: every message is answered, up to the number "
        "of automatic messages that one address gets from a list in a day.",
    ),
)
