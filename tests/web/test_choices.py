"""What can be chosen has words in the language of the page, beside the word that commands use."""

from __future__ import annotations

import html
import re

import pytest
from django.utils import translation

from posthouse.lists import styles
from posthouse.lists.moderation import header_matches
from posthouse.lists.settings import SETTINGS
from posthouse.lists.settings.kinds import CHOICE
from posthouse.web import choices
from posthouse.web.views.members import ACTIONS
from tests.people import GARDEN
from tests.web.neighbourhood import Neighbourhood

CHOOSABLE = sorted(
    {(setting.name, value) for setting in SETTINGS if setting.kind == CHOICE for value in setting.values}
    | {(choices.ACTION, value) for value in (*header_matches.ACTIONS, *ACTIONS) if value}
    | {(choices.STYLE, value) for value in styles.STYLES}
)


@pytest.mark.parametrize(("name", "value"), CHOOSABLE)
def test_every_choice_has_a_label_in_english_and_in_french(name: str, value: str) -> None:
    label = choices.LABELS[name][value]
    with translation.override("en"):
        english = str(label)
        assert choices.choice(name, value) == (f"{english} ({value})" if english != value else value)
    with translation.override("fr"):
        assert str(label) != english, "has no French label"
        assert choices.choice(name, value) == f"{label} ({value})"


def test_no_label_stands_for_a_choice_that_is_no_more() -> None:
    assert {(name, value) for name, labels in choices.LABELS.items() for value in labels} == set(CHOOSABLE)


def test_what_has_no_label_is_shown_as_it_is() -> None:
    with translation.override("fr"):
        assert choices.choice(choices.STYLE, "ours") == "ours"
        assert choices.choice("personalize", "") == "(aucun)"
        assert choices.choice("advertised", "yes") == "oui (yes)"
        assert choices.choice("preferred_language", "de") == "Deutsch (de)"


def test_the_drop_downs_of_french_pages_are_french(quick_site: Neighbourhood) -> None:
    owner = quick_site.as_("root", headers={"accept-language": "fr"})
    options: list[tuple[str, str]] = []
    paths = re.findall(
        r'href="(/lists/[^"]*/settings/[a-z-]+/)"', owner.get(f"/lists/{GARDEN}/settings/").content.decode()
    )
    assert len(set(paths)) > 5
    for path in (*dict.fromkeys(paths), f"/lists/{GARDEN}/bans/", f"/lists/{GARDEN}/members/", "/lists/new/"):
        page = html.unescape(owner.get(path).content.decode())
        assert 'lang="fr"' in page
        for select in re.findall(r"<select.*?</select>", page, re.DOTALL):
            options += re.findall(r'<option(?: value="([^"]*)")?[^>]*>([^<]*)</option>', select)
    assert len(options) > 60
    bare = {value for value, text in options if value and text == value and "@" not in value}
    assert bare == set()
    assert ("hold", "le retenir pour un modérateur (hold)") in options
