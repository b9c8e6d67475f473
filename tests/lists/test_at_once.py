"""Several people act at the same moment: each thing happens once."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from posthouse import database
from posthouse.directory import accounts
from posthouse.directory.errors import LinkSpent
from posthouse.lists import holding, join_form, roster, subscription
from posthouse.lists.errors import FormRefused, NoSuchHeld, TokenSpent
from posthouse.message.headers import Fields
from tests.lists.scene import NOW, copies, has_list, notices_for, posts
from tests.people import ANA, EVE, GARDEN, OWEN

pytestmark = pytest.mark.usefixtures("database")
REFUSALS = (FormRefused, LinkSpent, NoSuchHeld, TokenSpent)


def at_once(act: Callable[[], object], times: int = 4) -> tuple[list[object], list[Exception]]:
    """Call an act in several threads at the same moment: (what it gave, what it refused)."""
    gate = threading.Barrier(times)
    given: list[object] = []
    refused: list[Exception] = []

    def run() -> None:
        gate.wait()
        try:
            given.append(act())
        except Exception as error:
            refused.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return given, refused


def test_a_held_posting_is_released_once() -> None:
    has_list(members=[ANA])
    posts(EVE)
    number = holding.held()[0].id
    given, refused = at_once(lambda: holding.release(number, "owen", NOW))
    assert (given, [type(error) for error in refused]) == ([1], [NoSuchHeld] * 3)
    assert copies() == [ANA]


def test_a_confirmation_counts_once() -> None:
    has_list()
    subscription.request_join(GARDEN, EVE, "", NOW)
    token = (Fields(notices_for(EVE)[0]).first("subject") or "").removeprefix("confirm ")
    given, refused = at_once(lambda: subscription.confirm(token, NOW))
    assert len(given) == 1
    assert [type(error) for error in refused] == [TokenSpent] * 3
    assert len(notices_for(EVE)) == 2


def test_a_sign_in_link_signs_in_once() -> None:
    accounts.create(OWEN)
    token = accounts.sign_in_link(OWEN, NOW)
    given, refused = at_once(lambda: accounts.redeem(token, NOW))
    assert len(given) == 1
    assert [type(error) for error in refused] == [LinkSpent] * 3


def test_many_wishes_to_join_send_one_confirmation() -> None:
    has_list()
    given, refused = at_once(lambda: subscription.request_join(GARDEN, EVE, "", NOW))
    assert (sorted(map(str, given)), refused) == (["asked"] + ["asked-before"] * 3, [])
    assert len(notices_for(EVE)) == 1


def test_the_same_people_are_added_once() -> None:
    has_list()
    people = [("", f"m{number}@far.example") for number in range(300)]
    given, refused = at_once(lambda: roster.add_many(GARDEN, people).added)
    assert (sum(int(str(one)) for one in given), refused) == (300, [])
    assert len(roster.members(GARDEN)) == 300


def test_postings_and_wishes_to_join_do_not_wait_for_each_other_in_a_circle() -> None:
    has_list(members=[ANA])
    turns = iter(range(8))
    lock = threading.Lock()

    def act() -> object:
        with lock:
            turn = next(turns)
        if turn % 2:
            return posts(ANA, f"number {turn}", GARDEN, "Tomatoes", NOW, f"Message-ID: <{turn}@far.example>").result
        return subscription.request_join(GARDEN, f"p{turn}@far.example", "", NOW)

    given, refused = at_once(act, 8)
    assert refused == []
    assert sorted(map(str, given)) == ["asked"] * 4 + ["delivered"] * 4
    assert copies() == [ANA] * 4


def test_join_forms_sent_at_once_from_one_network_stay_within_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join_form, "MOST_OF_NETWORK", 2)
    pks = [has_list(f"l{number}@lists.example") for number in range(8)]
    left = list(enumerate(pks))

    def sends() -> str:
        number, pk = left.pop()
        given = join_form.token(pk, "192.0.2.7", NOW)
        return join_form.ask(pk, f"p{number}@far.example", "", given, "192.0.2.7", NOW + 10_000)

    given, refused = at_once(sends, times=8)
    assert (given, [type(error) for error in refused]) == (["asked"] * 2, [FormRefused] * 6)


def test_a_join_form_sent_twice_at_once_counts_once() -> None:
    pk = has_list()
    token = join_form.token(pk, "192.0.2.7", NOW)
    given, refused = at_once(lambda: join_form.ask(pk, EVE, "", token, "192.0.2.7", NOW + 10_000))
    assert (given, [type(error) for error in refused]) == (["asked"], [FormRefused] * 3)
