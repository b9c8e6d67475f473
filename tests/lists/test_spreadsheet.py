"""Tables of members: everybody gets the choices of their own row, however many rows there are."""

from __future__ import annotations

from django.db import connection
from django.test.utils import CaptureQueriesContext

from posthouse.configuration import Configuration
from posthouse.directory import accounts, domains
from posthouse.lists import creation, roster, spreadsheet

GARDEN = "garden@lists.example"


def test_rows_with_the_same_choices_are_written_together_and_each_gets_its_own(sqlite: Configuration) -> None:
    domains.add("lists.example")
    accounts.create("owen@far.example", "Owen", superuser=True)
    creation.create(GARDEN, ["owen@far.example"])
    modes = ("mime_digests", "plaintext_digests", "")
    rows = [f"p{at}@far.example,{modes[at % 3]}\n" for at in range(900)]
    with CaptureQueriesContext(connection) as asked:
        report = spreadsheet.read_in(GARDEN, ["address,delivery_mode\n", *rows], 1_800_000_000_000, by="owen")
    assert len(asked) < 100, "not one question for each row"
    assert (report.added, report.refused) == (900, ())
    kept = {one.address: one.delivery_mode for one in roster.members(GARDEN, limit=1000)}
    assert [kept[f"p{at}@far.example"] for at in (0, 1, 3, 4)] == ["mime_digests", "plaintext_digests"] * 2
    assert kept["p2@far.example"] == kept["p899@far.example"] != "mime_digests"
