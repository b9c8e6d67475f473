"""Real Postfix and Exim meet a house that greylists and counts: their mail comes a little later, and none is lost."""

from __future__ import annotations

import dataclasses

import pytest

from posthouse import database as bridge
from posthouse.configuration import Configuration
from tests.interop.peers import KINDS, peer
from tests.people import ANA, BEN, GARDEN
from tests.running_house import House, running
from tests.serving import until

pytestmark = pytest.mark.interop


def letter(number: int) -> bytes:
    return (
        f"From: Ana Lima <{ANA}>\r\nTo: {GARDEN}\r\nSubject: Letter {number}\r\n"
        f"Message-ID: <l{number}@far.example>\r\n\r\nHello.\r\n"
    ).encode()


def arrived(house: House) -> set[str]:
    """The subjects of what BEN got."""
    house.settles()
    return {str(copy["Subject"]).rpartition("] ")[2] for _, copy in house.outside.copies_for(BEN)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_mail_server_that_is_greylisted_gets_through_with_its_next_queue_run(
    sqlite: Configuration, kind: str
) -> None:
    with running(sqlite, policy={"greylist": "defer"}) as house:
        house.has_list(GARDEN, members=[ANA, BEN])
        with peer(kind, house.port, house.outside.port) as sender:
            assert house.outside.sends(ANA, [GARDEN], letter(1), sender.port).startswith("250")
            until(lambda: "We have not met before" in sender.log(), 30, f"it is asked to come again; {sender.log()}")
            assert arrived(house) == set()
            house.clock.passes(minutes=2)
            sender.flush()
            until(lambda: arrived(house) == {"Letter 1"}, 30, f"its second try is taken; {sender.log()}")
            asked = sender.log().count("We have not met before")
            assert house.outside.sends(BEN, [GARDEN], letter(2), sender.port).startswith("250")
            until(lambda: arrived(house) == {"Letter 1", "Letter 2"}, 30, f"it is known now; {sender.log()}")
            assert sender.log().count("We have not met before") == asked


@pytest.mark.parametrize("kind", KINDS)
def test_a_burst_of_a_mail_server_arrives_whole_in_its_next_queue_runs(sqlite: Configuration, kind: str) -> None:
    flood = dataclasses.replace(sqlite.flood, messages_per_client=4)
    with running(dataclasses.replace(sqlite, flood=flood)) as house:
        house.has_list(GARDEN, members=[ANA, BEN])
        with peer(kind, house.port, house.outside.port) as sender:
            for number in range(10):
                assert house.outside.sends(ANA, [GARDEN], letter(number), sender.port).startswith("250")
            # All that come side by side may be taken before the first of them is counted.
            until(lambda: len(arrived(house)) >= 4 and refused(house) >= 1, 30, f"some come later; {sender.log()}")
            until(lambda: len(arrived(house)) + refused(house) >= 10, 30, f"each was tried; {sender.log()}")
            before = len(arrived(house))
            assert before < 10
            while before < 10:
                house.clock.passes(minutes=2)
                sender.flush()
                until(lambda before=before: len(arrived(house)) > before, 30, f"more arrive; {sender.log()}")  # type: ignore[misc]
                before = len(arrived(house))


def refused(house: House) -> int:
    """How many times somebody was told to come later."""
    house.settles()
    ((count,),) = bridge.fetch("SELECT count(*) FROM queue_event WHERE kind = 'refused'")
    return int(count)
