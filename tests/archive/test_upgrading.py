"""An archive of an earlier version is searched like a new one after the upgrade."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from posthouse.archive.search import search
from posthouse.configuration import Configuration
from tests.people import GARDEN
from tests.scenarios.test_upgrade import empty

__all__ = ["empty"]
BEFORE = "0005_rendering"
ROWS = 1_201  # more than two batches


def fill(models: Any) -> None:
    """An archive as that version kept it: names and addresses in the same columns."""
    archive = models.get_model("archive", "Archive").objects.create(address=GARDEN, obscure_addresses=True)
    thread = models.get_model("archive", "Thread").objects.create(archive=archive, key="T", postings=ROWS)
    for number in range(ROWS):
        models.get_model("archive", "Posting").objects.create(
            id=number, archive=archive, thread=thread, key=f"K{number}", sent_at=0, filed_at=0, content_id=1,
            author_name="Ana G\u00e4rtner", author_address="ana@far.example", subject="Tomatoes",
            message_id=str(number),
        )  # fmt: skip
    text = (
        "INSERT INTO archive_text (posting_id, subject, author, recipients, body, files, scope{}) "
        "SELECT id, subject, 'Ana G\u00e4rtner ana@far.example', 'Ben ben@far.example, garden@lists.example', "
        "'Ripe', '', 'a' || archive_id{} FROM archive_posting"
    )
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(text.format(", search", ", to_tsvector('simple', 'ana gartner ana far example ripe')"))
        else:
            cursor.execute(text.format("", ""))


def hits(words: str, sees: bool) -> int:
    found = search(words, [GARDEN], sees=lambda address: sees)
    assert not found.complaints
    return found.total + found.more


def test_names_and_addresses_of_an_older_archive_are_told_apart_by_the_upgrade(empty: Configuration) -> None:
    others = [one for one in MigrationExecutor(connection).loader.graph.leaf_nodes() if one[0] == "content"]
    MigrationExecutor(connection).migrate([*others, ("archive", BEFORE)])
    fill(MigrationExecutor(connection).loader.project_state([*others, ("archive", BEFORE)]).apps)

    executor = MigrationExecutor(connection)
    executor.migrate([one for one in executor.loader.graph.leaf_nodes() if one[0] == "archive"])

    for words in ("from:ana", "from:gartner", "to:ben", "ripe", "from:g\u00e4rtner to:ben ripe"):
        assert hits(words, False) == hits(words, True) == 1_001, words
    for words in ("from:far", "from:ana@far.example", "to:garden", "ben@far.example", "lists"):
        assert (hits(words, False), hits(words, True)) == (0, 1_001), words
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO archive_search(archive_search, rank) VALUES('integrity-check', 1)")
