"""The pages in the language of who reads them: the account's, else the browser's, else English."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from posthouse.configuration import Configuration
from posthouse.directory import preferences
from posthouse.directory.models import Account
from posthouse.lists import creation, notices, sentences
from posthouse.lists.facts import row_of
from posthouse.lists.models import HeldPosting
from posthouse.lists.settings import SETTINGS
from posthouse.web.language import asked_for
from tests.people import GARDEN
from tests.web.neighbourhood import Neighbourhood
from tests.web.test_held import hold

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
import catalogue

PLACE = r"%\(\w+\)[.\d]*[a-z]"
CATALOGUES = sorted(catalogue.ROOT.glob("locale/*/LC_MESSAGES/django.po"))


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parent.parent.name)
def test_every_sentence_is_translated_names_the_same_things_and_is_compiled(path: Path) -> None:
    known = catalogue.read(path)
    missing = [source for source in catalogue.wanted() if source not in known]
    assert not missing, "python tools/catalogue.py, then translate what is empty in the .po file, then again"
    for source, said in known.items():
        assert set(re.findall(PLACE, " ".join(said))) == set(re.findall(PLACE, " ".join(source))), source
    assert path.with_suffix(".mo").read_bytes() == catalogue.compiled(known), "python tools/catalogue.py"


@pytest.mark.parametrize(
    ("header", "language"),
    [("fr-CA,fr;q=0.9,en;q=0.5", "fr"), ("de,fr;q=0.2", "fr"), ("en-GB,fr;q=0.8", "en"), ("", "en"), ("de", "en"),
     ("x" * 400, "en"), ("fr;q=0,en", "en")],
)  # fmt: skip
def test_the_browser_says_which_language(header: str, language: str) -> None:
    assert asked_for(header) == language


def test_a_page_is_french_for_who_asks_and_is_kept_apart_by_caches(quick_site: Neighbourhood) -> None:
    client, path = quick_site.as_("stranger"), f"/lists/{GARDEN}/"
    french, english = client.get(path, headers={"accept-language": "fr"}), client.get(path)
    assert '<html lang="fr">' in french.content.decode() and "S'inscrire" in french.content.decode()
    assert '<html lang="en">' in english.content.decode()
    assert "Accept-Language" in french.headers["Vary"] and french.headers["Content-Language"] == "fr"
    assert french.headers["ETag"] != english.headers["ETag"]


def test_an_account_reads_the_pages_in_its_language_whatever_the_browser_says(quick_site: Neighbourhood) -> None:
    client = quick_site.as_("ana")
    account = Account.objects.get(pk=client.session["_auth_user_id"])
    preferences.set_account(account.pk, {"preferred_language": "fr"})
    page = client.get("/options/", headers={"accept-language": "en"}).content.decode()
    assert '<html lang="fr">' in page and "Mes listes" in page
    assert '<html lang="en">' in quick_site.as_("eve").get("/options/").content.decode()


LANGUAGES = sorted(path.name for path in sentences.FOLDER.iterdir())


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_error_and_answer_is_said_in_every_language(language: str) -> None:
    assert not catalogue.untranslated(language), "write it in posthouse/lists/translations"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_setting_and_what_it_is_for_is_said_in_every_language(sqlite: Configuration, language: str) -> None:
    known = sentences.entries(language)
    names = [one.name.replace("_", " ").capitalize() for one in SETTINGS]
    missing = [one for one in (*names, *(one.doc for one in SETTINGS)) if one not in known]
    assert not missing, "write it in posthouse/lists/translations"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_fills_in_what_its_sentence_does(language: str) -> None:
    for english, said in sentences.entries(language).items():
        assert set(re.findall(r"\{\d\}", said)) <= set(re.findall(r"\{\d\}", english)), english


@pytest.mark.parametrize(
    ("english", "french"),
    [
        ("It has no subject.", "Il n'a pas d'objet."),
        ("It has 12 KB; the list takes up to 10 KB without a look at it. It has no subject.",
         "Il pèse 12 Ko ; la liste accepte jusqu'à 10 Ko sans examen. Il n'a pas d'objet."),
        ("size: It has no subject.", "size: Il n'a pas d'objet."),
        ("accept_these_nonmembers: 'x@' is no address: the domain is empty",
         "accept_these_nonmembers: 'x@' n'est pas une adresse : le domaine est vide"),
        ("Please write about plants. Thank you.", "Please write about plants. Thank you."),
        ("  7: Closed for winter\n    It has no subject.", "  7: Closed for winter\n    Il n'a pas d'objet."),
        ("x" * 5000, "x" * 5000),
        ("", ""),
    ],
)  # fmt: skip
def test_sentences_are_said_in_french_and_peoples_own_words_stay(english: str, french: str) -> None:
    assert sentences.in_language(english, "fr") == french
    assert sentences.in_language(english, "en") == english


def test_a_moderator_reads_reasons_in_french_and_so_does_the_author(quick_site: Neighbourhood) -> None:
    client = quick_site.as_("owen")
    number = hold("garden", 1)
    HeldPosting.objects.filter(pk=number).update(reason="Its author is not a member of the list.")
    page = client.get(f"/held/{number}/", headers={"accept-language": "fr"}).content.decode()
    assert "Son auteur n&#39;est pas membre de la liste." in page
    wrong = client.post(
        f"/lists/{GARDEN}/settings/postings/", {"max_message_size": "lots"}, headers={"accept-language": "fr"}
    ).content.decode()
    assert "max_message_size est un nombre entier de 0" in wrong
    creation.set_settings(GARDEN, {"preferred_language": "fr"})
    subject, text = notices.render(row_of(GARDEN), "held", {"reason": "It has no subject.", "subject": "paused",
                                                            "author": "x", "message_size": "1 KB"})  # fmt: skip
    assert "Il n'a pas d'objet." in text and "    paused" in text and "Votre message" in subject
