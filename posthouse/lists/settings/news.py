"""The gateway between a list and a newsgroup; the server is the site's (`[nntp]` in posthouse.toml)."""

from __future__ import annotations

import re

from posthouse.lists.settings.kinds import BOOL, CHOICE, LINE, Setting

# RFC 5536 §3.1.4, in the letters that servers have: components parted by dots, none of digits alone at the beginning
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9+_-]*(?:\.[A-Za-z0-9+_-]+)*")


def _newsgroup(name: str) -> str:
    """The name of a newsgroup. Raises ValueError with the rule."""
    if not _GROUP.fullmatch(name):
        raise ValueError("is no newsgroup: words of letters, digits, + - and _ parted by dots")
    return name


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "linked_newsgroup",
        LINE,
        "",
        "The newsgroup that belongs to the list, such as `comp.lang.python`. Empty: none.",
        check=_newsgroup,
    ),
    Setting(
        "gateway_to_news",
        BOOL,
        False,
        "Whether postings go to the newsgroup too. Those that came from there, or were posted there too, do not.",
    ),
    Setting(
        "gateway_to_mail",
        BOOL,
        False,
        "Whether articles of the newsgroup become postings, from when this is switched on. Their authors need not be "
        "members; bans, header matches, size and the like are looked at.",
    ),
    Setting(
        "newsgroup_moderation",
        CHOICE,
        "none",
        "Whether the newsgroup is moderated. `none`: it is not. `open_moderated`: postings are marked as approved for "
        "it, and the list stays open. `moderated`: also, every posting by mail waits for a moderator of the list.",
        ("none", "open_moderated", "moderated"),
    ),
    Setting(
        "nntp_prefix_subject_too",
        BOOL,
        True,
        "Whether articles have the list's subject prefix too.",
    ),
)
