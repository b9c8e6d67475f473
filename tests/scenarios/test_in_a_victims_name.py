"""Anybody can write in somebody else's name: however much is forged, from wherever, the victim hears little of it."""

from __future__ import annotations

import smtplib
from collections import Counter
from email.message import EmailMessage

import pytest

from posthouse.lists.notices import MOST_A_DAY, MOST_OF_ALL
from posthouse.lists.subscription import MOST_CONFIRMATIONS
from tests.outside import Outside
from tests.people import EVE
from tests.running_house import House

VICTIM = EVE
LISTS = [f"list{number}@lists.example" for number in range(8)]
CLIENTS = [f"127.0.0.{number}" for number in range(1, 5)]


def forge(house: House, client: str, addresses: list[str], subject: str = "") -> None:
    """A stranger's program writes to lists in the victim's name."""
    with smtplib.SMTP("127.0.0.1", house.port, "bot.elsewhere.example", 60, (client, 0)) as server:
        for to in addresses:
            content = f"From: {VICTIM}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\n\r\n".encode()
            server.sendmail(f"bot{client[-1]}@elsewhere.example", [to], content)


def heard(outside: Outside) -> list[EmailMessage]:
    """What came for the victim since it was last asked."""
    found = [message for _, message in outside.copies_for(VICTIM)]
    outside.taken.clear()
    return found


@pytest.mark.parametrize("suffix", ["join", "request"])
def test_many_clients_bring_a_victim_the_confirmations_of_a_day_over_all_lists(
    house: House, outside: Outside, suffix: str
) -> None:
    for address in LISTS:
        house.has_list(address)
    for day, rounds in ((1, 2), (2, 1)):
        for _ in range(rounds):
            for client in CLIENTS:
                doors = [address.replace("@", f"-{suffix}@") for address in LISTS[int(client[-1]) % 2 :: 2]]
                forge(house, client, doors, "join" if suffix == "request" else "")
            house.passes(hours=2)
        came = heard(outside)
        assert len(came) == MOST_CONFIRMATIONS == 5, f"day {day}"
        assert all(str(one["subject"]).startswith("confirm ") for one in came)
        house.passes(hours=21)


def test_answers_in_a_victims_name_end_with_a_list_and_with_all_lists(house: House, outside: Outside) -> None:
    for address in LISTS:
        house.has_list(address)
    for address in LISTS[:2]:
        forge(house, CLIENTS[0], [address.replace("@", "-request@")] * (MOST_A_DAY + 3), "help")
    house.settles()
    came = Counter(str(one["from"]).partition("-")[0] for one in heard(outside))
    assert sorted(came.values()) == [MOST_A_DAY + 1] * 2, "the last of each list says that it is the last"

    for number, address in enumerate(LISTS[2:]):
        forge(house, CLIENTS[number % 4], [address.replace("@", "-request@")] * 4, "help")
    house.settles()
    assert len(heard(outside)) == MOST_OF_ALL - 2 * MOST_A_DAY, "then silence"

    house.passes(hours=25)
    forge(house, CLIENTS[0], [LISTS[7].replace("@", "-request@")], "help")
    house.settles()
    assert len(heard(outside)) == 1
