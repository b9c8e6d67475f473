"""Two hosts with one PostgreSQL meet the same strangers, and one of them is cut off in between."""

from __future__ import annotations

from pathlib import Path

from posthouse import database, wake
from posthouse.configuration import Configuration
from tests.reception.conftest import Opener, furnish
from tests.reception.station import LETTER, Station, Talker, until

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


def test_a_lost_connection_forgives_nothing_and_hears_what_was_forgotten_meanwhile(
    postgresql: Configuration, pair: tuple[Path, Path], opens: Opener
) -> None:
    time, house = Time(), furnish(postgresql, pair)
    here = opens(house, clock=time, flood={"messages_per_list": 20})
    assert [posts(here)[:3] for _ in range(21)] == ["250"] * 20 + ["451"]
    flushed(here)
    heard_again(here)
    assert posts(here).startswith("451"), "until the database was asked, what is known counts"
    flushed(here)
    assert posts(here).startswith("451"), "the database says the same"
    with database.transaction():
        database.run("DELETE FROM encounters_count", ())
    heard_again(here)
    flushed(here)
    assert posts(here).startswith("250"), "the word of an operator that was missed"


def heard_again(station: Station) -> None:
    """PostgreSQL cuts the connection on which the station hears of the door; wait until there is another."""
    connections = {listener._connection for listener in heard_by(station)}
    with database.transaction():
        database.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN posthouse_door'", ()
        )
    until(lambda: all(one._connection is not None and one._connection not in connections for one in heard_by(station)))


def heard_by(station: Station) -> list[wake.NotifyListener]:
    """What listens to PostgreSQL about the door."""
    assert station.reception._door is not None
    return [one for one in station.reception._door._listeners if isinstance(one, wake.NotifyListener)]
