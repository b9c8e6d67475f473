"""The roster: added one by one or by the thousand, removed, listed, found."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from posthouse.lists import roster
from posthouse.lists.errors import BadAddress, ListError, NoSuchList
from tests.lists.scene import has_list
from tests.people import ANA, BEN, GARDEN, OWEN

both = pytest.mark.usefixtures("database")
sqlite = pytest.mark.usefixtures("sqlite")


@both
def test_an_address_is_on_a_list_once_however_it_is_spelled() -> None:
    has_list()
    assert roster.add(GARDEN, "Ana@Far.Example", "Ana Lee")
    assert not roster.add(GARDEN, "ana@far.example")
    [member] = roster.members(GARDEN)
    assert (member.address, member.display_name) == ("Ana@far.example", "Ana Lee")
    assert roster.remove(GARDEN, "ANA@far.example")
    assert not roster.remove(GARDEN, ANA)
    assert roster.members(GARDEN) == []


@sqlite
def test_roles_are_apart_from_each_other() -> None:
    has_list(members=[OWEN])
    roster.add(GARDEN, ANA, role="moderator")
    assert [(one.list_address, one.role) for one in roster.find(OWEN.upper())] == [
        (GARDEN, "member"),
        (GARDEN, "owner"),
    ]
    assert [one.address for one in roster.members(GARDEN, "moderator")] == [ANA]
    roster.remove(GARDEN, OWEN)
    assert [one.role for one in roster.find(OWEN)] == ["owner"]


@both
def test_a_roster_is_read_page_by_page() -> None:
    has_list(members=[f"{letter}@far.example" for letter in "dbca"])
    first = roster.members(GARDEN, limit=2)
    assert [one.address[0] for one in first] == ["a", "b"]
    assert [one.address[0] for one in roster.members(GARDEN, after=first[-1].address, limit=2)] == ["c", "d"]


@both
def test_ten_thousand_addresses_are_added_many_at_a_time_and_bad_ones_reported_with_line_and_rule() -> None:
    has_list()
    people = [("", f"m{number}@d{number % 50}.example") for number in range(10_000)]
    people[41] = ("", "no address")
    people[99] = ("", "M98@d48.example")
    told: list[int] = []

    with CaptureQueriesContext(connection) as asked:
        report = roster.add_many(GARDEN, people, told.append)
    assert len(asked) < 200, "many at a time"

    assert (report.added, report.present) == (9_998, 1)
    [refused] = report.refused
    assert (refused.line, refused.text) == (42, "no address")
    assert "@" in refused.rule
    assert told[-1] == 10_000 and told == sorted(told)
    assert roster.add_many(GARDEN, people).added == 0


@sqlite
def test_lines_of_a_file_may_carry_names_and_remarks() -> None:
    has_list()
    lines = ["\ufeffana@far.example\n", "\n", "# from the old list\n", '"Ben Kay" <ben@far.example>\n', "nobody\n"]
    report = roster.add_lines(GARDEN, lines)
    assert (report.added, [one.line for one in report.refused]) == (2, [5])
    assert [(one.address, one.display_name) for one in roster.members(GARDEN)] == [(ANA, ""), (BEN, "Ben Kay")]


@sqlite
def test_lines_may_come_from_other_programs() -> None:
    has_list()
    lines = [
        "ana@far.example (Ana Lima)\n",
        "ben@far.example;\n",
        "Dan\tdan@far.example\r\n",
        "e@x.example; f@x.example\n",
    ]
    assert roster.add_lines(GARDEN, [*lines, "one@x.example\ttwo@x.example\n"]).added == 5
    names = {one.address: one.display_name for one in roster.members(GARDEN)}
    assert names == {ANA: "Ana Lima", BEN: "", "dan@far.example": "Dan", "e@x.example": "", "f@x.example": ""}


@sqlite
def test_a_name_given_later_fills_an_empty_one_and_never_replaces_one() -> None:
    has_list(members=[ANA])
    roster.add(GARDEN, ANA, "Ana Lee", role="moderator")
    roster.add(GARDEN, ANA, "Eve", role="nonmember")
    assert roster.members(GARDEN)[0].display_name == "Ana Lee"


@both
def test_an_address_with_letters_of_the_world_is_a_member_too() -> None:
    has_list()
    roster.add(GARDEN, "grüße@bücher.example")
    assert roster.members(GARDEN)[0].address == "grüße@xn--bcher-kva.example"


@sqlite
def test_what_is_wrong_is_said() -> None:
    has_list()
    with pytest.raises(NoSuchList, match="no mailing list"):
        roster.add("none@lists.example", ANA)
    with pytest.raises(BadAddress, match="no address"):
        roster.add(GARDEN, "ana@")
    with pytest.raises(ListError, match="not a role"):
        roster.add(GARDEN, ANA, role="king")
    with pytest.raises(ListError, match="no preference"):
        roster.set_preferences(GARDEN, ANA, colour="green")


@sqlite
def test_a_person_is_taken_off_every_list_at_once() -> None:
    has_list(members=[ANA, BEN])
    has_list("other@lists.example", owners=[ANA], members=[ANA])
    assert roster.remove_everywhere(ANA.upper()) == [GARDEN, "other@lists.example"]
    assert (roster.find(ANA), len(roster.find(BEN))) == ([], 1)
    assert roster.remove_everywhere(ANA) == []
