"""What a list is called and where it is shown."""

from __future__ import annotations

from posthouse.lists import languages
from posthouse.lists.settings.kinds import BOOL, LINE, TEXT, Setting

SETTINGS: tuple[Setting, ...] = (
    Setting("display_name", LINE, "", "The list's name for people. At creation: its address' local part, capitalised."),
    Setting("description", LINE, "", "One line about the list, shown in the overview and in List-Id."),
    Setting("info", TEXT, "", "A longer description, shown on the list's page."),
    Setting(
        "preferred_language",
        LINE,
        "",
        "The language of what the list writes to people who asked for none themselves; a code such as `en` or `fr`. "
        "Empty: the site's. Texts are built in for English and French; for other languages word templates of your own.",
        tuple(languages.LANGUAGES),
        check=languages.checked,
    ),
    Setting("advertised", BOOL, True, "Whether the public overview shows the list."),
)
