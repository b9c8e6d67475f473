"""The content filter: which parts of a posting are let through."""

from __future__ import annotations

import re

from posthouse.lists.settings.kinds import BOOL, CHOICE, ITEMS, Setting

_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,80}(?:/[a-z0-9!#$&^_.+-]{1,80})?")
_EXTENSION = re.compile(r"[^\s./\\]{1,40}")


def content_type(item: str) -> str:
    """A main type or a type with its subtype as it is kept. Raises ValueError with the rule."""
    if not _TYPE.fullmatch(item.lower()):
        raise ValueError("is not written like `image` or `image/png`")
    return item.lower()


def extension(item: str) -> str:
    """The end of a file name as it is kept. Raises ValueError with the rule."""
    item = item.lower().removeprefix("*").removeprefix(".")
    if not _EXTENSION.fullmatch(item):
        raise ValueError("is not written like `exe`")
    return item


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "filter_content",
        BOOL,
        False,
        "Whether unwanted parts are cut out of postings: in copies, digests and the archive. Looks into forwarded "
        "messages too. A posting of more parts than can be looked at counts as unwanted.",
    ),
    Setting(
        "filter_types",
        ITEMS,
        "",
        "Types of parts that are cut out: `image` for all kinds of images, `image/gif` for one.",
        check=content_type,
    ),
    Setting(
        "pass_types",
        ITEMS,
        "",
        "When not empty: only parts of these types stay. Multiparts are looked into and need not be named.",
        check=content_type,
    ),
    Setting(
        "filter_extensions",
        ITEMS,
        "",
        "Parts whose file name ends so are cut out, such as `exe` or `vbs`.",
        check=extension,
    ),
    Setting(
        "pass_extensions",
        ITEMS,
        "",
        "When not empty: of the parts with a file name only those that end so stay.",
        check=extension,
    ),
    Setting(
        "filter_action",
        CHOICE,
        "discard",
        "What happens to a posting of which nothing remains: `hold` for a moderator (who can let it pass as it came), "
        "`reject` it with a reason, `discard` it, `forward` it to the owners, `preserve` it for the site's "
        "administrators, who get it by mail; `accept` and `defer` let it pass as it came.",
        ("hold", "reject", "discard", "forward", "preserve", "accept", "defer"),
    ),
    Setting(
        "collapse_alternatives",
        BOOL,
        True,
        "With filter_content: whether of parts that say the same in several ways only the first stays, mostly the "
        "plain text.",
    ),
    Setting(
        "convert_html_to_plaintext",
        BOOL,
        False,
        "With filter_content: whether HTML that stays is replaced by what it says as plain text, links spelt out.",
    ),
)
