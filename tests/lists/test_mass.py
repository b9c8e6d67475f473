"""Many people at once: what was done is reported, a dry run does nothing, half a file never empties a list."""

from __future__ import annotations

import pytest

from posthouse.lists import mass, roster
from posthouse.lists.errors import ListError
from posthouse.lists.models import Pending
from tests.lists.scene import NOW, has_list, notices_for
from tests.people import ANA, BEN, EVE, GARDEN

both = pytest.mark.usefixtures("database")
sqlite = pytest.mark.usefixtures("sqlite")


def members() -> list[str]:
    return [one.address for one in roster.members(GARDEN)]


@both
def test_a_list_is_made_the_same_as_a_file_and_a_dry_run_only_says_so() -> None:
    has_list(members=[ANA, BEN])
    lines = [f"Ana <{ANA.upper()}>", EVE, "# a comment", ""]
    for dry_run, after in ((True, [ANA, BEN]), (False, [ANA, EVE])):
        report = mass.sync(GARDEN, lines, NOW, by="owen", dry_run=dry_run)
        assert (report.added, report.removed, report.unchanged, report.dry_run) == (1, 1, 1, dry_run)
        assert (report.added_addresses, report.removed_addresses) == ((EVE,), (BEN,))
        assert members() == after
    report = mass.sync(GARDEN, lines, NOW, by="owen")
    assert (report.added, report.removed, report.unchanged) == (0, 0, 2)


@sqlite
@pytest.mark.parametrize("lines", [[], ["# nothing"], [EVE, "no address"]])
def test_a_file_that_cannot_be_right_changes_nothing(lines: list[str]) -> None:
    has_list(members=[ANA])
    with pytest.raises(ListError, match="nothing was changed"):
        mass.sync(GARDEN, lines, NOW, by="owen")
    assert members() == [ANA]


@sqlite
def test_adding_and_removing_many_greets_when_asked() -> None:
    has_list(members=[ANA])
    report = mass.add(GARDEN, [ANA, EVE, "nobody"], NOW, by="owen", welcome=True)
    assert (report.added, report.unchanged, [one.line for one in report.refused]) == (1, 1, [3])
    assert (len(notices_for(EVE)), len(notices_for(ANA))) == (1, 0)
    assert mass.add(GARDEN, [BEN], NOW, by="owen", dry_run=True).added == 1
    assert members() == [ANA, EVE]
    assert mass.remove(GARDEN, [EVE, BEN], NOW, by="owen", goodbye=True, dry_run=True).removed == 1
    assert len(notices_for(EVE)) == 1
    assert mass.remove(GARDEN, [EVE, BEN], NOW, by="owen", goodbye=True).removed == 1
    assert (len(notices_for(EVE)), members()) == (2, [ANA])
    assert mass.remove(GARDEN, [ANA], NOW, by="owen").removed == 1
    assert notices_for(ANA) == []


@sqlite
def test_many_are_invited_once_each() -> None:
    has_list(members=[ANA])
    assert mass.invite(GARDEN, [ANA, BEN, EVE], NOW, by="owen", dry_run=True).invited == 2
    assert Pending.objects.count() == 0
    report = mass.invite(GARDEN, [ANA, BEN, EVE], NOW, by="owen", words="Come!")
    assert (report.invited, report.unchanged) == (2, 1)
    assert mass.invite(GARDEN, [BEN], NOW, by="owen").invited == 0
    assert len(notices_for(BEN)) == 1
