"""A site's own styles: files that say what a new list is like; what is wrong in one is said with its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from posthouse.configuration import Configuration
from posthouse.lists import creation, styles
from posthouse.lists.errors import BadSetting
from tests.lists.scene import has_list
from tests.people import GARDEN


def has_style(text: str, name: str = "team") -> Path:
    styles.folder().mkdir(exist_ok=True)
    path = styles.folder() / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_style_of_the_site_is_based_on_another(sqlite: Configuration) -> None:
    has_style(
        'based_on = "private"\ndescription = "Teams"\n[settings]\nsubject_prefix = "[$display_name-team] "\n'
        "send_welcome_message = false\nmax_message_size = 5\n"
        'subscribe_auto_approval = ["@far.example", "@near.example"]'
    )
    assert styles.names() == ["discussion", "announce", "private", "team"]
    has_list(style="team")
    found = creation.show(GARDEN).settings
    assert (found["subject_prefix"], found["max_message_size"]) == ("[Garden-team] ", 5)
    assert (found["advertised"], found["send_welcome_message"]) == (False, False)
    assert found["subscribe_auto_approval"] == "@far.example\n@near.example"
    assert creation.show(GARDEN).style == "team"


def test_a_built_in_style_can_be_changed_by_a_file_of_its_name(sqlite: Configuration) -> None:
    has_style('based_on = "discussion"\n[settings]\narchive_policy = "never"\n', "discussion")
    has_list()
    assert creation.show(GARDEN).archive_policy == "never"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[settings]\nno_such = 1", "no_such"),
        ('[settings]\narchive_policy = "sometimes"', "archive_policy"),
        ("settings = 3", "nothing else"),
        ("colour = 'green'", "nothing else"),
        ("[settings", "cannot be read"),
        ('based_on = "team"', "not a style"),
        ("#" * 70_000, "larger"),
    ],
)
def test_what_is_wrong_in_a_style_is_said(sqlite: Configuration, text: str, said: str) -> None:
    has_style(text)
    with pytest.raises(BadSetting, match=said):
        has_list(style="team")


@pytest.mark.parametrize("name", ["../team", "", "Team", "a/b", "none"])
def test_a_name_that_is_no_style_reads_no_file(sqlite: Configuration, name: str) -> None:
    with pytest.raises(BadSetting, match="is not a style"):
        styles.find(name)
