"""First tries and who came again: shared, kept, forgotten in time."""

from __future__ import annotations

import pytest

from posthouse import database as bridge
from posthouse.configuration import Configuration
from posthouse.encounters import familiarity, greylisting, strangers, sweeping
from posthouse.encounters.errors import EncounterError
from posthouse.encounters.greylisting import Meeting, Met, Trait, Welcome

NETWORK = "192.0.2.0/24"
TRY = Trait(NETWORK, "far.example", "garden@lists.example")
PAIR, WHOLE = Trait(NETWORK, "far.example"), Trait(NETWORK)
UNTIL = 10_000_000


def met(now: int, *, learn: bool = True, tries: tuple[tuple[Trait, int], ...] = ((TRY, 60_000),)) -> Met:
    with bridge.transaction():
        return greylisting.meet_many([Meeting(now, (PAIR, WHOLE), tries, now + 500_000, learn=learn)])[0]


def welcomed(now: int, sender: str, after: int = 3) -> None:
    with bridge.transaction():
        pair = Trait(NETWORK, sender)
        greylisting.welcome_many([Welcome(now, UNTIL, (pair,), (Trait("=" + sender),), WHOLE, after)])


def test_a_first_try_is_remembered_and_later_ones_do_not_begin_anew(database: Configuration) -> None:
    assert met(1_000) == Met((), (-1,))
    assert met(31_000) == Met((), (30_000,))
    assert met(62_000) == Met((), (61_000,))
    (row,) = strangers.listing(62_000)
    assert (row.state, row.first_try, row.tries) == ("waiting", 1_000, 2), "one that has waited needs no writing"


def test_trying_out_writes_nothing(database: Configuration) -> None:
    met(1_000, learn=False)
    assert strangers.listing(1_000) == []


def test_a_first_try_that_is_too_old_is_a_first_try_again(database: Configuration) -> None:
    met(1_000)
    assert met(600_000) == Met((), (-1,))
    assert met(610_000) == Met((), (10_000,))


def test_who_came_again_passes_with_its_domain_and_a_network_after_several(database: Configuration) -> None:
    welcomed(1_000, "far.example")
    assert met(2_000).passes == ((PAIR, UNTIL),)
    assert met(UNTIL).passes == (), "not for ever"
    welcomed(3_000, "far.example")
    welcomed(3_000, "far.example")
    assert WHOLE not in [trait for trait, _ in met(4_000).passes], "the same domain counts once"
    welcomed(5_000, "near.example")
    welcomed(6_000, "elsewhere.example")
    assert met(7_000).passes == ((PAIR, UNTIL), (WHOLE, UNTIL))


def test_seeing_them_again_moves_their_time_on(database: Configuration) -> None:
    welcomed(1_000, "far.example")
    with bridge.transaction():
        greylisting.seen_again([PAIR.id], 5_000, UNTIL + 1_000)
    assert met(UNTIL + 500).passes == ((PAIR, UNTIL + 1_000),)


def test_many_strangers_in_one_batch_get_an_answer_each(database: Configuration) -> None:
    tries = [(Trait(NETWORK, f"{number}.example", "a@b"), 60_000) for number in range(300)]
    meetings = [Meeting(1_000, (), (one,), 9_000) for one in tries] * 2
    with bridge.transaction():
        answers = greylisting.meet_many(meetings)
    assert answers == [Met((), (-1,))] * 600
    with bridge.transaction():
        assert greylisting.meet_many(meetings) == [Met((), (0,))] * 600


def test_what_no_database_takes_is_remembered_all_the_same(database: Configuration) -> None:
    odd = Trait(NETWORK, "a\0b\udcff" + "x" * 3000, "c@d")
    assert met(1_000, tries=((odd, 60_000),)) == Met((), (-1,))
    assert met(2_000, tries=((odd, 60_000),)) == Met((), (1_000,))


def test_everything_is_swept_in_its_time(database: Configuration) -> None:
    met(1_000)
    welcomed(1_000, "far.example")
    familiarity.used("cleo@near.example", NETWORK, 1_000, 2_000)
    assert familiarity.is_familiar("cleo@near.example", NETWORK, 1_999)
    assert not familiarity.is_familiar("cleo@near.example", "198.51.100.0/24", 1_999)
    assert sweeping.sweep(1_999) == 0
    assert sweeping.sweep(UNTIL) == 5
    assert strangers.listing(0) == []


def test_an_operator_lets_in_and_forgets_networks_and_domains(database: Configuration) -> None:
    assert strangers.let_in("192.0.2.77", 1_000, UNTIL) == NETWORK
    assert met(2_000).passes == ((WHOLE, UNTIL),)
    assert strangers.let_in("Far.Example", 1_000, UNTIL) == "=far.example"
    assert {one.origin for one in strangers.listing(2_000, state="passed")} == {NETWORK, "=far.example"}
    assert strangers.forget("192.0.2.0/24") == 1
    assert met(3_000).passes == ()
    assert [one.state for one in strangers.listing(3_000, origin="192.0.2.1")] == ["waiting"]
    assert strangers.forget("far.example") == 2
    assert strangers.forget("") == 0
    for bad in ("10.0.0.0/8", "no domain", "300.1.1.1"):
        with pytest.raises(EncounterError):
            strangers.let_in(bad, 1_000, UNTIL)
