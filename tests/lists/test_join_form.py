"""The join form: nobody can send mail to others with it, and it tells a visitor nothing about an address."""

from __future__ import annotations

import pytest

from posthouse.lists import creation, join_form
from posthouse.lists.errors import BadAddress, FormRefused, JoiningClosed
from tests.lists.scene import DAY, HOUR, MINUTE, NOW, has_list, notices_for
from tests.people import ANA, EVE, GARDEN

both = pytest.mark.usefixtures("database")
sqlite = pytest.mark.usefixtures("sqlite")
HERE = "192.0.2.7"


def sends(address: str = EVE, after: int = 10_000, now: int = NOW, client: str = HERE, listed: str = GARDEN) -> str:
    """A visitor opens the form and sends it `after` milliseconds."""
    given = join_form.token(creation.show(listed).pk, client, now)
    return join_form.ask(listed, address, "Eve", given, client, now + after)


@both
def test_a_form_sent_by_a_person_sends_one_confirmation_a_day_whatever_is_shown() -> None:
    has_list(members=[ANA])
    assert [sends(), sends(now=NOW + HOUR), sends(now=NOW + 3 * HOUR), sends(ANA)] == ["asked"] * 4
    assert len(notices_for(EVE)) == 1
    sends(now=NOW + DAY + HOUR)
    assert len(notices_for(EVE)) == 2


@sqlite
def test_a_form_is_refused_when_it_is_too_fast_too_late_sent_twice_bent_or_of_another() -> None:
    pk = has_list()
    other = has_list("other@lists.example")
    for after in (0, 2_000, 3 * HOUR):
        with pytest.raises(FormRefused):
            sends(after=after)
    given = join_form.token(pk, HERE, NOW)
    for bent in ("", "x", "1.2", given[:-1], f"{NOW - 1}{given[13:]}", given + "é", "9" * 40 + ".a"):
        with pytest.raises(FormRefused):
            join_form.ask(GARDEN, EVE, "", bent, HERE, NOW + MINUTE)
    with pytest.raises(FormRefused):
        join_form.ask(GARDEN, EVE, "", given, "198.51.100.9", NOW + MINUTE)
    with pytest.raises(FormRefused):
        join_form.ask(other, EVE, "", given, HERE, NOW + MINUTE)
    assert join_form.ask(GARDEN, EVE, "", given, HERE, NOW + MINUTE) == "asked"
    with pytest.raises(FormRefused, match="already"):
        join_form.ask(GARDEN, EVE, "", given, HERE, NOW + MINUTE)
    with pytest.raises(BadAddress):
        sends("eve")


@sqlite
def test_an_address_a_network_and_a_list_are_asked_for_so_often_a_day() -> None:
    names = [f"l{number}@lists.example" for number in range(7)]
    for name in names:
        has_list(name)
    for number in range(join_form.MOST_OF_ADDRESS):
        sends(listed=names[number], client=f"192.0.2.{number}")
    with pytest.raises(FormRefused, match="address"):
        sends(listed=names[6], client="192.0.2.99")
    assert len(notices_for(EVE)) == join_form.MOST_OF_ADDRESS
    for number in range(join_form.MOST_OF_NETWORK):
        sends(f"p{number}@far.example", listed=names[number % 7], client=f"2001:db8:0:{number:x}::1")
    with pytest.raises(FormRefused, match="network"):
        sends("last@far.example", listed=names[6], client="2001:db8:0:ff::9")
    sends("last@far.example", listed=names[6], client="2001:db8:1::9")


@sqlite
def test_the_form_of_a_closed_list_says_so() -> None:
    has_list(subscription_policy="closed")
    with pytest.raises(JoiningClosed):
        sends()


@pytest.mark.parametrize(
    ("client", "network"),
    [("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8:1:2ff::1", "2001:db8:1:200::/56"),
     ("fe80::1%eth0", "fe80::/56"), ("", ""), ("unix:", "")],
)  # fmt: skip
def test_clients_are_counted_by_what_one_customer_has(client: str, network: str) -> None:
    assert join_form.network_of(client) == network
