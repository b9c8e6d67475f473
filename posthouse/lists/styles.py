"""Styles: what a new list's settings are, where they differ from the defaults of the table; a site may add its own.

A style of the site is a file `styles/NAME.toml` in the data directory: `based_on = "discussion"` if it starts from
another style, `description = "..."`, and under `[settings]` names and values as `posthouse lists set` takes them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from posthouse import configuration
from posthouse.lists.errors import BadSetting
from posthouse.lists.settings import SETTINGS, Value, parse

LARGEST_FILE = 64 * 1024
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class Style:
    """A style: the settings of a new list that differ from their defaults."""

    name: str
    description: str
    settings: Mapping[str, Value]


STYLES: Mapping[str, Style] = {
    "discussion": Style("discussion", "members talk to each other", {}),
    "announce": Style(
        "announce",
        "owners and moderators write, members read",
        {"allow_list_posts": False, "default_member_action": "reject", "default_nonmember_action": "reject"},
    ),
    "private": Style(
        "private",
        "like a discussion, but strangers neither see it nor its archive, and moderators let people in",
        {"advertised": False, "archive_policy": "private", "subscription_policy": "confirm_then_moderate"},
    ),
}


def folder() -> Path:
    """Where the site's own styles are."""
    return Path(configuration.active().data) / "styles"


def names() -> list[str]:
    """The styles that a list can be made with: the built-in ones, then the site's."""
    own = (path.stem for path in sorted(folder().glob("*.toml"))) if folder().is_dir() else ()
    return [*STYLES, *(name for name in own if name not in STYLES and _NAME.fullmatch(name))]


def find(name: str) -> Style:
    """A style by its name; a file of the site comes before a built-in style. Raises BadSetting."""
    return _find(name, ())


def defaults(style: str, display_name: str) -> dict[str, Value]:
    """The settings of a new list. Raises BadSetting for an unknown style or one that cannot be."""
    values: dict[str, Value] = {setting.name: setting.default for setting in SETTINGS}
    values.update(find(style).settings)
    values["display_name"] = display_name
    values["subject_prefix"] = str(values["subject_prefix"]).replace("$display_name", display_name)
    return values


def _find(name: str, above: tuple[str, ...]) -> Style:
    path = folder() / f"{name}.toml"
    if _NAME.fullmatch(name) and name not in above and path.is_file():
        return _read(name, path, (*above, name))
    if name not in STYLES:
        raise BadSetting(f"{name!r} is not a style; known are {', '.join(names())}")
    return STYLES[name]


def _read(name: str, path: Path, above: tuple[str, ...]) -> Style:
    """A style of the site; one that is named like a built-in style may be based on it."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise BadSetting(f"the style {path} is larger than {LARGEST_FILE} bytes")
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSetting(f"the style {path} cannot be read: {error}") from error
    except OSError as error:
        raise BadSetting(f"the style {path} cannot be read: {error.strerror}") from error
    unknown = set(given) - {"based_on", "description", "settings"}
    own = given.get("settings", {})
    if unknown or not isinstance(own, dict):
        raise BadSetting(f"the style {path} holds based_on, description and [settings], nothing else")
    values = dict(_find(str(given.get("based_on", "discussion")), above).settings)
    for setting, value in own.items():
        try:
            values[setting] = parse(setting, _text(value))
        except BadSetting as error:
            raise BadSetting(f"the style {path}: {error}") from error
    return Style(name, str(given.get("description", "")), values)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)
