"""Recipients of one message at one destination travel together when return path and content agree, and only then."""

from __future__ import annotations

from tests.outside import Outside
from tests.people import ANA, BEN, GARDEN
from tests.running_house import BACKED_UP, House

LETTER = b"From: ana@far.example\r\nSubject: To all of you\r\nMessage-ID: <all@far.example>\r\n\r\nHello.\r\n"


def people(count: int) -> list[str]:
    return [f"person{number}@{BACKED_UP}" for number in range(count)]


def test_recipients_of_one_message_share_a_transaction(house: House, outside: Outside) -> None:
    assert outside.sends(ANA, people(5), LETTER).startswith("250")
    house.settles()

    [taken] = outside.taken
    assert sorted(taken.recipients) == sorted(people(5)) and taken.return_path == ANA


def test_more_than_a_hundred_take_several_transactions_and_everyone_is_in_one(house: House, outside: Outside) -> None:
    outside.sends(ANA, people(250), LETTER)
    house.settles()

    assert [len(one.recipients) for one in outside.taken if len(one.recipients) > 100] == []
    assert len(outside.taken) <= 5
    assert sorted(address for one in outside.taken for address in one.recipients) == sorted(people(250))


def test_one_that_is_refused_holds_up_nobody(house: House, outside: Outside) -> None:
    gone, late, *others = people(6)
    outside.refuses(gone, "550 5.1.1 gone")
    outside.refuses(late, "451 4.2.1 later")
    outside.sends(ANA, people(6), LETTER)
    house.settles()

    assert sorted(address for one in outside.taken for address in one.recipients if BACKED_UP in address) == others
    [(return_path, report)] = outside.copies_for(ANA)
    assert return_path == "" and gone in report.as_string() and others[0] not in report.as_string()
    outside.accepts(late)
    house.passes(minutes=2)
    assert len(outside.copies_for(late)) == 1
    assert all(len(outside.copies_for(one)) == 1 for one in others)


def test_copies_of_a_list_travel_alone_for_each_has_its_own_return_path(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    outside.posts(ANA, GARDEN)
    house.settles()

    assert [len(one.recipients) for one in outside.taken] == [1, 1]
    assert len({one.return_path for one in outside.taken}) == 2


def test_many_messages_share_a_connection(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[f"member{number}@far.example" for number in range(60)])
    outside.posts("member1@far.example", GARDEN)
    house.settles()

    assert len(outside.taken) == 60
    assert outside.connections <= 20
