"""A page that must wait for others to have written says so politely, and does nothing by halves."""

from __future__ import annotations

import sqlite3

import pytest
from django.db import connection

from posthouse import database
from tests.database.test_patience import held_by_another
from tests.people import GARDEN
from tests.web.neighbourhood import Neighbourhood

SETTINGS = f"/lists/{GARDEN}/settings/identity/"


@pytest.mark.parametrize(("language", "word"), [("en", "send it again"), ("fr", "renvoyer")])
def test_a_page_that_cannot_write_says_503_in_the_language_of_the_visitor(
    quick_site: Neighbourhood, language: str, word: str
) -> None:
    owner = quick_site.as_("owen")
    with held_by_another(quick_site.configuration), database.hurried(0.01):
        answer = owner.post(SETTINGS, {"description": "Other"}, headers={"accept-language": language})
        reading = owner.get(f"/lists/{GARDEN}/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    page = answer.content.decode()
    assert word in page and f'<html lang="{language}">' in page and answer.headers["Cache-Control"] == "no-store"
    assert reading.status_code == 200 and "Growing food together" in reading.content.decode()
    assert owner.post(SETTINGS, {"description": "Other"}).status_code in (200, 302)
    assert "Other" in owner.get(f"/lists/{GARDEN}/").content.decode()


def test_a_session_that_cannot_be_kept_is_503_too(quick_site: Neighbourhood) -> None:
    stranger = quick_site.as_("stranger", raise_request_exception=False)
    other = sqlite3.connect(str(connection.settings_dict["NAME"]), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    connection.connection.execute("PRAGMA busy_timeout=10")
    response = stranger.post("/sign-in/", {"address": "ana@far.example"})
    other.execute("ROLLBACK")
    other.close()
    assert (response.status_code, response.headers["Retry-After"]) == (503, "10")


def test_a_database_that_is_gone_is_503_for_who_is_signed_in(quick_site: Neighbourhood) -> None:
    owner = quick_site.as_("owen", raise_request_exception=False)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_session RENAME TO away")
    answer = owner.get("/", headers={"accept-language": "fr"})
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE away RENAME TO django_session")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert "De retour dans un instant" in answer.content.decode()
