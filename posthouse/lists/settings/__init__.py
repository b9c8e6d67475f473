"""Every setting of a list: one table an area, its name, kind, values, default and documentation. Names are Mailman's.

The documentation for owners is generated from these tables. A setting is in a table only when it is obeyed.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from posthouse.lists.errors import BadSetting
from posthouse.lists.settings import (
    alterations,
    archiving,
    autoresponses,
    bounces,
    digests,
    dmarc,
    filtering,
    identity,
    membership,
    news,
    postings,
    recipients,
)
from posthouse.lists.settings.kinds import SECRET, Setting, Value, items, parsed

SETTINGS: tuple[Setting, ...] = (
    *identity.SETTINGS,
    *postings.SETTINGS,
    *alterations.SETTINGS,
    *filtering.SETTINGS,
    *dmarc.SETTINGS,
    *recipients.SETTINGS,
    *membership.SETTINGS,
    *bounces.SETTINGS,
    *digests.SETTINGS,
    *autoresponses.SETTINGS,
    *archiving.SETTINGS,
    *news.SETTINGS,
)
BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}

__all__ = ["BY_NAME", "SETTINGS", "Setting", "Value", "items", "parse", "shown"]


def parse(name: str, text: str) -> Value:
    """The value of a setting from text. Raises BadSetting with the rule."""
    setting = BY_NAME.get(name)
    if setting is None:
        near = difflib.get_close_matches(name.lower(), BY_NAME, n=3)
        if near:
            raise BadSetting(f"{name!r} is not a setting of a list; did you mean {' or '.join(near)}?")
        raise BadSetting(f"{name!r} is not a setting of a list; `posthouse lists show LIST` shows them all")
    return parsed(setting, text)


def shown(row: object) -> dict[str, Value]:
    """Every setting of a list's row by name; of a secret only whether there is one, since a hash can be guessed at."""
    values: dict[str, Value] = {name: getattr(row, name) for name in BY_NAME}
    for setting in SETTINGS:
        if setting.kind == SECRET:
            values[setting.name] = "set" if values[setting.name] else ""
    return values
