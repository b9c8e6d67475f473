"""Styles: what a new list's settings are, where they differ from the defaults of the table."""

from __future__ import annotations

from collections.abc import Mapping

from posthouse.lists.errors import BadSetting
from posthouse.lists.settings import SETTINGS, Value

STYLES: Mapping[str, Mapping[str, Value]] = {
    # members talk to each other
    "discussion": {},
    # owners and moderators write, members read
    "announce": {
        "allow_list_posts": False,
        "default_member_action": "reject",
        "default_nonmember_action": "reject",
    },
    # like a discussion, but strangers neither see it nor its archive
    "private": {
        "advertised": False,
        "archive_policy": "private",
    },
}


def defaults(style: str, display_name: str) -> dict[str, Value]:
    """The settings of a new list. Raises BadSetting for an unknown style."""
    if style not in STYLES:
        raise BadSetting(f"{style!r} is not a style; known are {', '.join(STYLES)}")
    values: dict[str, Value] = {setting.name: setting.default for setting in SETTINGS}
    values.update(STYLES[style])
    values["display_name"] = display_name
    values["subject_prefix"] = str(values["subject_prefix"]).replace("$display_name", display_name)
    return values
