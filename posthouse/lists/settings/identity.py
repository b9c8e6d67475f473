"""What a list is called and where it is shown."""

from __future__ import annotations

from posthouse.lists.settings.kinds import BOOL, LINE, TEXT, Setting

SETTINGS: tuple[Setting, ...] = (
    Setting("display_name", LINE, "", "The list's name for people. At creation: its address' local part, capitalised."),
    Setting("description", LINE, "", "One line about the list, shown in the overview and in List-Id."),
    Setting("info", TEXT, "", "A longer description, shown on the list's page."),
    Setting("advertised", BOOL, True, "Whether the public overview shows the list."),
)
