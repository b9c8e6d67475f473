"""A claim whose answer was lost with the connection to the database goes back and is delivered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from posthouse.configuration import Configuration
from posthouse.database import Unavailable
from posthouse.delivery import home
from posthouse.delivery.claims import Claims
from posthouse.queue import claim as claiming
from posthouse.queue.claim import Claimed
from posthouse.queue.enqueue import enqueue
from posthouse.routing.router import Router
from tests.outside import Outside
from tests.people import ANA, BEN, GARDEN
from tests.queue.arrivals import NOW, arrival
from tests.running_house import BACKED_UP, House

DAN = f"dan@{BACKED_UP}"


def test_a_claim_that_was_never_heard_of_is_delivered_all_the_same(
    house: House, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, lost = house.bridge.write, []

    async def write_and_lose_the_answer(act: Any, *arguments: Any) -> Any:
        result = await write(act, *arguments)
        if act is claiming.claim and result and not lost:
            lost.append(result)
            raise Unavailable("the connection ended behind the commit")
        return result

    monkeypatch.setattr(house.bridge, "write", write_and_lose_the_answer)
    assert outside.posts(ANA, DAN, "Hello").startswith("250")
    assert outside.waits_for(1)
    house.settles()

    assert lost and len(outside.copies_for(DAN)) == 1


@pytest.mark.parametrize("station", ["routing", "home"])
def test_what_the_database_was_not_there_for_goes_back_untried_and_is_delivered_when_it_is_there_again(
    house: House, outside: Outside, monkeypatch: pytest.MonkeyPatch, station: str
) -> None:
    gone: list[int] = []
    if station == "routing":
        route = Router.route

        async def away(self: Router, address: str, may_relay: bool = False) -> Any:
            if may_relay and not gone:  # delivery asks
                gone.append(1)
                raise Unavailable("gone")
            return await route(self, address, may_relay)

        monkeypatch.setattr(Router, "known", lambda *_: None)
        monkeypatch.setattr(Router, "route", away)
    else:
        write = house.bridge.write

        async def lost(act: Any, *arguments: Any) -> Any:
            if act is home._run_errands and not gone:
                gone.append(1)
                raise Unavailable("gone")
            return await write(act, *arguments)

        monkeypatch.setattr(house.bridge, "write", lost)
    house.has_list(GARDEN, members=[ANA, BEN])
    tried: list[int] = []
    begin = Claims.begin

    def noting(self: Claims, claims: Iterable[Claimed]) -> None:
        some = list(claims)
        tried.extend(one.attempts for one in some)
        begin(self, some)

    monkeypatch.setattr(Claims, "begin", noting)
    assert outside.posts(ANA, GARDEN, "Tomatoes").startswith("250")
    house.settles()

    assert gone and len(outside.copies_for(BEN)) == 1, "no minute had to pass"
    assert set(tried) == {1}


def test_what_is_known_stays_claimed(database: Configuration) -> None:
    claimant = claiming.register("here:1", NOW)
    enqueue(arrival("ana@far.example", "ben@far.example"))
    held = claiming.claim(claimant, NOW, 10, 10)
    assert len(held) == 2
    assert claiming.release_unheard(claimant, [one.id for one in held]) == 0
    assert claiming.release_unheard(claimant, [held[0].id]) == 1
    assert [(one.id, one.attempts) for one in claiming.claim(claimant, NOW, 10, 10)] == [(held[1].id, 1)]
