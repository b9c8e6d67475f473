"""The pages in the language of who reads them: the account's, else the browser's, else English."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from posthouse.directory import preferences
from posthouse.directory.models import Account
from posthouse.web.language import asked_for
from tests.people import GARDEN
from tests.web.neighbourhood import Neighbourhood

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
import catalogue

CATALOGUES = sorted(catalogue.ROOT.glob("locale/*/LC_MESSAGES/django.po"))


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parent.parent.name)
def test_every_sentence_is_translated_names_the_same_things_and_is_compiled(path: Path) -> None:
    known = catalogue.read(path)
    missing = [source for source in catalogue.wanted() if source not in known]
    assert not missing, "python tools/catalogue.py, then translate what is empty in the .po file, then again"
    for source, said in known.items():
        assert set(re.findall(r"%\(\w+\)[\w.]+", " ".join(said))) == set(
            re.findall(r"%\(\w+\)[\w.]+", " ".join(source))
        ), source
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
