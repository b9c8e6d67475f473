"""A message that a scanner wants kept aside waits for the moderators of a list that says so."""

from __future__ import annotations

from posthouse.configuration import Configuration, Scanner
from posthouse.lists import holding
from tests.people import ANA, GARDEN
from tests.reception.scripted import Filter, in_a_thread
from tests.scenarios.test_scanning import guarded, letter


def test_what_a_milter_wants_kept_aside_is_tagged_and_a_list_holds_it_by_the_tag(sqlite: Configuration) -> None:
    it = Filter(answers={b"E": [b"qsuspicious link\0", b"c"]})
    with in_a_thread(it) as server, guarded(sqlite, m=Scanner(kind="milter", servers=[server], deadline=5.0)) as house:
        match = ("X-Posthouse-Tag", r"\bquarantine\b", "--action", "hold")
        assert house.runs("lists", "header-matches", "add", GARDEN, *match).exit_code == 0
        assert house.outside.sends(ANA, [GARDEN], letter()).startswith("250")
        house.settles()
        [held] = holding.held(GARDEN)
        assert "x-posthouse-tag" in f"{held.rule} {held.reason} {held.hits}".lower()
