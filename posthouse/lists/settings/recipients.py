"""Who gets copies besides the members' own wishes: topics, and lists that belong together."""

from __future__ import annotations

from posthouse.lists.expressions import checked_topic as topic
from posthouse.lists.settings.alterations import address
from posthouse.lists.settings.kinds import BOOL, ITEMS, LINES, NUMBER, Setting

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "topics_enabled",
        BOOL,
        False,
        "Whether members may choose topics. Who chose none gets every posting; who chose some gets the postings that "
        "match one of them, and, when they like, those that match no topic at all.",
    ),
    Setting(
        "topics",
        LINES,
        "",
        "Each line is a topic: its name, a colon, an expression that is looked for in Subject and Keywords, in any "
        "case. Copies name the topics they match in X-Topics.",
        check=topic,
    ),
    Setting(
        "topics_bodylines_limit",
        NUMBER,
        5,
        "In how many lines at the beginning of the text `Subject:` and `Keywords:` are looked for, too.",
    ),
    Setting(
        "regular_include_lists",
        ITEMS,
        "",
        "Lists of this site whose members get copies too, unless the posting is addressed to their list as well: so a "
        "list of lists is made. What a person wants as a member of this list counts before that.",
        check=address,
    ),
    Setting(
        "regular_exclude_lists",
        ITEMS,
        "",
        "Lists of this site whose members get no copy from here when the posting is addressed to their list as well "
        "and its author is a member there: so nobody gets it twice.",
        check=address,
    ),
)
