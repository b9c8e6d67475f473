"""Templates: every message a list writes can be worded anew, in the language of who reads it."""

from __future__ import annotations

from string import Template

import pytest

from posthouse.configuration import Configuration
from posthouse.directory import accounts
from posthouse.directory import preferences as own
from posthouse.lists import creation, joining, languages, notices, roster, texts, wording
from posthouse.lists.errors import BadSetting, NoSuchList
from posthouse.lists.facts import row_of
from posthouse.message.parsing import read
from tests.lists.scene import NOW, has_list, notices_for
from tests.people import ANA, BEN, CLEO, DOMAIN, GARDEN

WELCOME = "list:user:notice:welcome"


def greets(address: str) -> bytes:
    """The welcome that this address gets."""
    assert joining.join(row_of(GARDEN), address, "", NOW, "test")
    return notices_for(address)[-1]


def words(name: str, text: str, place: str = GARDEN, language: str = "en") -> None:
    wording.put(place, name, language, text, by="owen", now=NOW)


def kinds() -> list[str]:
    return sorted(path.stem for path in (languages.TEMPLATES / "en").glob("*.txt"))


def test_every_message_has_a_name_and_no_name_is_without_a_message() -> None:
    assert sorted(texts.NAMES) == kinds(), "name it in posthouse/lists/texts.py"
    assert len(set(texts.NAMES.values())) == len(texts.NAMES)


@pytest.mark.parametrize("kind", kinds())
def test_english_and_french_are_complete_and_name_the_same_placeholders(sqlite: Configuration, kind: str) -> None:
    has_list()
    named = []
    for language in ("en", "fr"):
        assert (languages.TEMPLATES / language / f"{kind}.txt").exists(), f"write it in {language} too"
        subject, text = texts.built_in(kind, language)
        named.append(set(Template(f"{subject}\n{text}").get_identifiers()))
        shown = wording.preview(GARDEN, texts.NAMES[kind], language)
        assert shown.subject and f'lang="{language}"' in shown.html
    assert named[0] == named[1]


def test_who_is_nearest_words_a_text_and_a_reset_brings_the_next_back(database: Configuration) -> None:
    has_list()
    words(WELCOME, "Subject: From the site\n\nsite", "site")
    words(WELCOME, "Subject: From the domain\n\ndomain", DOMAIN)
    words(WELCOME, "Subject: From the list\n\nlist")
    for place, found in ((GARDEN, "list"), (DOMAIN, "domain"), ("site", "site")):
        facts = wording.show(GARDEN, WELCOME)
        assert (facts.of, facts.text.strip()) == (found, found)
        assert wording.reset(place, WELCOME) == 1
    assert wording.show(GARDEN, WELCOME).of == "house"


def test_a_welcome_worded_anew_goes_out(database: Configuration) -> None:
    has_list()
    words(WELCOME, "Subject: Hello at $display_name\n\nNice to see you, $user_email. See $list_url")
    letter = greets(ANA)
    assert b"Subject: Hello at Garden\r\n" in letter
    assert "Nice to see you, ana@far.example." in read(letter).text


def test_people_are_written_to_in_their_own_language(database: Configuration) -> None:
    has_list(members=[BEN])
    assert b"Content-Language: en" in greets(ANA)
    creation.set_settings(GARDEN, {"preferred_language": "fr"})
    assert b"Content-Language: fr" in greets(CLEO)
    own.set_address("dora@far.example", {"preferred_language": "en"})
    assert b"Content-Language: en" in greets("dora@far.example")
    account = accounts.create("emil@far.example")
    own.set_account(account.id, {"preferred_language": "en"})
    assert b"Content-Language: en" in greets("emil@far.example")
    creation.set_settings(GARDEN, {"preferred_language": ""})
    own.set_site({"preferred_language": "fr"})
    letter = greets("finn@far.example")
    assert "Bienvenue" in read(letter).text or b"Bienvenue" in letter


def test_one_notice_to_several_people_is_written_in_the_language_of_each(database: Configuration) -> None:
    has_list(members=[ANA, BEN])
    roster.set_preferences(GARDEN, ANA, preferred_language="fr")
    notices.send(row_of(GARDEN), "member-joined", [ANA, BEN], {"address": CLEO, "member": CLEO, "by": "x"}, now=NOW)
    assert b"Content-Language: fr" in notices_for(ANA)[-1] and b"Content-Language: en" in notices_for(BEN)[-1]


def test_a_language_without_built_in_texts_has_those_of_the_owner_and_else_english(database: Configuration) -> None:
    has_list(preferred_language="pt_BR")
    assert creation.show(GARDEN).settings["preferred_language"] == "pt-br"
    assert b"Content-Language: en" in greets(ANA)
    words(WELCOME, "Subject: Bem-vindo\n\n$address", language="pt")
    assert b"Content-Language: pt" in greets(BEN)


def test_a_notice_is_text_and_simple_html_with_links(database: Configuration) -> None:
    has_list()
    letter = greets(ANA)
    assert b"multipart/alternative" in letter
    html = texts.as_html("See https://lists.example/lists/?a=1&b=2.\n\n    <deep>\n", "en")
    assert '<a href="https://lists.example/lists/?a=1&amp;b=2">' in html and "&lt;deep&gt;" in html


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Subject: Hi\n\n$nobody_fills_this", "nothing fills \\$nobody_fills_this"),
        ("Subject: Hi\n\ncosts 5$", "stands alone"),
        ("Subject: \n\nx", ""),
        ("Subject: Hi\n\n" + "x" * 20_000, "at most"),
        ("Subject: Hi\n\nx\0", "no text"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused(sqlite: Configuration, text: str, rule: str) -> None:
    has_list()
    if not rule:  # without a subject the present one stays
        words(WELCOME, text)
        assert wording.show(GARDEN, WELCOME).subject == "Welcome to $display_name"
        return
    with pytest.raises(BadSetting, match=rule):
        words(WELCOME, text)
    with pytest.raises(BadSetting, match=rule):
        wording.preview(GARDEN, WELCOME, "en", text)
    assert wording.listing(GARDEN) == []


def test_a_confirmation_keeps_the_token_in_its_subject(sqlite: Configuration) -> None:
    has_list()
    with pytest.raises(BadSetting, match="token"):
        words("list:user:action:subscribe", "Subject: Please confirm\n\n$confirm_url")


def test_unknown_names_places_and_languages_are_refused(sqlite: Configuration) -> None:
    has_list()
    with pytest.raises(BadSetting, match="no template"):
        words("list:user:notice:nonsense", "x")
    with pytest.raises(BadSetting, match="no language"):
        words(WELCOME, "x", language="klingon")
    with pytest.raises(NoSuchList):
        words(WELCOME, "x", "nowhere.example")


def test_headers_and_footers_are_the_settings_of_the_list(sqlite: Configuration) -> None:
    has_list()
    words("list:member:regular:footer", "-- \nGarden\n")
    assert creation.show(GARDEN).settings["footer"] == "-- \nGarden\n"
    assert wording.show(GARDEN, "list:member:regular:footer").text == "-- \nGarden\n"
    with pytest.raises(BadSetting, match="setting footer"):
        words("list:member:regular:footer", "x", "site")


def test_the_words_of_one_list_are_not_those_of_another(database: Configuration) -> None:
    has_list()
    other = f"other@{DOMAIN}"
    has_list(other)
    words(WELCOME, "Subject: Garden only\n\nx")
    assert wording.show(other, WELCOME).of == "house"
    creation.rename(GARDEN, f"field@{DOMAIN}")
    assert wording.show(f"field@{DOMAIN}", WELCOME).subject == "Garden only"
