"""Two hosts with one PostgreSQL meet the same strangers, and one of them is cut off in between."""

from __future__ import annotations

from pathlib import Path

from posthouse.configuration import Configuration
from tests.reception.conftest import Opener, furnish
from tests.reception.station import LETTER, Station, Talker

GARDEN = "garden@lists.example"


class Time:
    """A clock that the test moves."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def posts(station: Station, return_path: str = "ana@far.example", to: str = GARDEN) -> str:
    """Bring a message; the reply that decided."""
    talker = Talker(station.place())
    talker.says("EHLO mail.far.example", 250)
    talker.says(f"MAIL FROM:<{return_path}>", 250)
    said = talker.says(f"RCPT TO:<{to}>")
    if said.startswith("250"):
        said = talker.content(LETTER, None)
    talker.close()
    return said


def flushed(station: Station) -> None:
    """The second in which a host tells the others is over."""
    for chore in station.reception._sources.chores:
        station.does(chore())


def test_the_second_try_may_meet_the_other_host_and_a_restart_forgets_nothing(
    postgresql: Configuration, pair: tuple[Path, Path], opens: Opener
) -> None:
    time, house = Time(), furnish(postgresql, pair)
    here = opens(house, clock=time, policy={"greylist": "defer"})
    there = opens(house, clock=time, policy={"greylist": "defer"})
    assert posts(here).startswith("451 4.7.1")
    assert posts(there).startswith("451 4.7.1"), "the time begins with the first try, wherever that was"
    time.now += 60
    assert posts(there).startswith("250")
    there.stop(0.05)
    assert posts(here, "ben@far.example").startswith("250"), "known by the other host's word"
    here.stop(0.05)
    later = opens(house, clock=time, policy={"greylist": "defer"})
    assert posts(later, "eve@far.example").startswith("250")
    assert posts(later, "eve@elsewhere.example").startswith("451")


def test_a_burst_at_one_host_is_known_to_the_other(
    postgresql: Configuration, pair: tuple[Path, Path], opens: Opener
) -> None:
    time, house = Time(), furnish(postgresql, pair)
    here = opens(house, clock=time, flood={"messages_per_list": 20})
    there = opens(house, clock=time, flood={"messages_per_list": 20})
    assert [posts(here)[:3] for _ in range(22)] == ["250"] * 20 + ["451"] * 2
    flushed(here)
    assert [posts(there)[:3] for _ in range(2)] == ["250"] * 2, "what it has not heard of it cannot know"
    flushed(there)
    assert posts(there).startswith("451 4.7.1")
    time.now += 120
    assert posts(there).startswith("250")
