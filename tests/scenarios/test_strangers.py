"""Strangers at the door: asked to come again and let in, held back when they flood, never refused for good."""

from __future__ import annotations

import dataclasses
import json
import re
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from posthouse.configuration import Configuration
from tests.people import ANA, BEN, EVE, GARDEN
from tests.running_house import House, running


@contextmanager
def careful(database: Configuration, **sections: dict[str, Any]) -> Iterator[House]:
    """A house that greylists strangers, with other settings of some sections; BEN reads the list GARDEN."""
    changed = {name: dataclasses.replace(getattr(database, name), **values) for name, values in sections.items()}
    with running(dataclasses.replace(database, **changed), policy={"greylist": "defer"}) as house:
        house.has_list(GARDEN, members=[ANA, BEN])
        yield house


def posts(house: House, author: str = ANA, to: str = GARDEN) -> str:
    return str(house.outside.posts(author, to, "Tomatoes"))


def test_a_far_hosts_second_try_is_taken_and_from_then_on_its_mail_is_not_delayed(database: Configuration) -> None:
    with careful(database) as house:
        first = posts(house)
        assert first.startswith("451 4.7.1"), first
        assert re.search(r"in 60 seconds", first)
        house.clock.passes(minutes=0.5)
        assert posts(house).startswith("451 4.7.1")
        house.clock.passes(minutes=0.5)
        assert posts(house).startswith("250")
        assert posts(house, BEN).startswith("250"), "the same domain from the same network"
        house.settles()
        assert len(house.outside.copies_for(BEN)) >= 1
        house.clock.passes(days=30)
        assert posts(house).startswith("250")


def test_the_operator_sees_lets_in_and_forgets(database: Configuration) -> None:
    with careful(database) as house:
        assert posts(house).startswith("451")
        found = json.loads(house.runs("greylist", "list", "--json").stdout)
        assert ("waiting", "127.0.0.0/24", "far.example", GARDEN) in [
            (one["state"], one["origin"], one["sender"], one["recipient"]) for one in found
        ]
        assert "waiting" in house.runs("greylist", "list", "127.0.0.1", "--state", "waiting").stdout
        assert house.runs("greylist", "pass", "127.0.0.1").exit_code == 0
        assert posts(house).startswith("250")
        assert house.runs("greylist", "forget", "127.0.0.1").exit_code == 0
        assert posts(house, EVE, GARDEN).startswith("451"), "every process forgets at once"
        assert house.runs("greylist", "forget", "198.51.100.1").exit_code == 3
        assert house.runs("greylist", "forget").exit_code == 2
        assert "neither an address" in house.runs("greylist", "pass", "no domain").stderr


def test_a_list_whose_mode_is_off_takes_a_strangers_first_try(database: Configuration) -> None:
    with running(database, policy={"greylist": "defer", "mailing_list": {GARDEN: {"greylist": "off"}}}) as house:
        house.has_list(GARDEN, members=[ANA])
        house.has_list("roses@lists.example", members=[ANA])
        assert posts(house, to="roses@lists.example").startswith("451")
        assert posts(house).startswith("250")


def test_a_burst_gets_temporary_answers_alone_and_is_served_again(database: Configuration) -> None:
    with careful(database, flood={"messages_per_client": 5}, greylist={"exempt_networks": ["127.0.0.0/8"]}) as house:
        replies = [posts(house)[:9] for _ in range(12)]
        assert replies == ["250 2.0.0"] * 5 + ["451 4.7.1"] * 7
        house.clock.passes(minutes=2)
        assert posts(house).startswith("250")
        for _ in range(10):
            posts(house)
        house.call(_flushed(house))
        found = json.loads(house.runs("flood", "list", "--json").stdout)
        assert ("client 127.0.0.1", "messages", 5) in [(one["whose"], one["what"], one["now"]) for one in found]
        assert house.runs("flood", "forget", "client 127.0.0.1").exit_code == 0
        assert house.runs("flood", "forget", "client 127.0.0.1").exit_code == 3


def test_while_one_client_floods_every_message_of_another_is_taken(database: Configuration) -> None:
    content = f"From: {BEN}\r\nTo: {GARDEN}\r\nSubject: Beans\r\n\r\nHello.\r\n".encode()

    def code(client: smtplib.SMTP) -> int:
        client.ehlo("client.far.example")
        client.mail(ANA)
        answer = client.rcpt(GARDEN)[0]
        if answer == 250:
            return client.data(content)[0]
        client.rset()
        return answer

    with (
        careful(database, flood={"messages_per_client": 10}, greylist={"exempt_networks": ["127.0.0.0/8"]}) as house,
        smtplib.SMTP("127.0.0.1", house.port, timeout=60, source_address=("127.0.0.1", 0)) as flooding,
        smtplib.SMTP("127.0.0.1", house.port, timeout=60, source_address=("127.0.0.2", 0)) as steady,
    ):
        answers = [(code(flooding), code(steady) if number % 5 == 0 else 250) for number in range(19)]
    assert [of_the_flood for of_the_flood, _ in answers] == [250] * 10 + [451] * 9
    assert {of_the_other for _, of_the_other in answers} == {250}


def brings(house: House, source: str, author: str = ANA, to: str = GARDEN) -> str:
    """Bring a message from one of the addresses of loopback; the reply that decided."""
    content = f"From: {author}\r\nTo: {to}\r\nSubject: Beans\r\n\r\nHello.\r\n".encode()
    with smtplib.SMTP("127.0.0.1", house.port, timeout=60, source_address=(source, 0)) as client:
        client.ehlo("client.far.example")
        client.mail(author)
        code, words = client.rcpt(to)
        if code == 250:
            code, words = client.data(content)
        return f"{code} {words.decode()}"


def test_a_flood_of_many_networks_holds_back_strangers_and_nobody_who_was_here_before(database: Configuration) -> None:
    exempt = {"exempt_networks": ["127.0.0.0/8"]}
    with careful(database, flood={"messages_per_list": 5}, greylist=exempt) as house:
        house.holds()
        house.zone.put("far.example", "TXT", '"v=spf1 ip4:127.0.9.0/24 ip4:127.0.99.0/24 -all"')
        assert brings(house, "127.0.9.1").startswith("250"), "ana's host, a day before the flood"
        house.call(house.reception._sources.reputation.close())  # type: ignore[union-attr]
        house.clock.passes(days=1)

        flood = [brings(house, f"127.0.{number}.1", "bot@bot.example")[:9] for number in range(100, 130)]
        assert flood == ["250 2.0.0"] * 20 + ["451 4.7.1"] * 10
        assert brings(house, "127.0.99.1", "eve@else.example").startswith("451 4.7.1"), "nobody knows her"
        assert brings(house, "127.0.9.1").startswith("250"), "the network was here yesterday"
        assert brings(house, "127.0.99.1", BEN).startswith("250"), "another host of a domain that was here yesterday"
        forged = brings(house, "127.0.130.1", ANA)
        assert forged.startswith("451 4.7.1"), "whoever takes her name is not ana"
        assert "in a flood of others: a stranger" in house.runs("trace", GARDEN).stdout
        assert "in a flood of others: domain far.example was here before" in house.runs("trace", BEN).stdout
        asked = house.runs("policy", "try", "--from", "127.0.9.1", "--helo", "h.far.example", "--sender", ANA,
                           "--recipient", GARDEN)  # fmt: skip
        assert "Verdict: accept" in asked.stdout, asked.stdout

        house.call(house.reception._sources.reputation.close())  # type: ignore[union-attr]
        house.clock.passes(days=1)
        flood = [brings(house, f"127.0.{number}.1", "bot@bot.example")[:3] for number in reversed(range(105, 135))]
        assert flood == ["250"] * 20 + ["451"] * 10, "what got in while it was crowded made nobody known"


async def _flushed(house: House) -> None:
    for chore in house.reception._sources.chores:
        await chore()


def test_too_many_connections_hear_it_at_once(database: Configuration) -> None:
    with careful(database, flood={"connections_per_client": 3}) as house:
        for _ in range(3):
            with smtplib.SMTP("127.0.0.1", house.port, timeout=60):
                pass
        with pytest.raises(smtplib.SMTPConnectError) as refused:
            smtplib.SMTP("127.0.0.1", house.port, timeout=60)
        assert refused.value.smtp_code == 421
        house.clock.passes(minutes=2)
        smtplib.SMTP("127.0.0.1", house.port, timeout=60).quit()


def test_behind_with_our_mail_strangers_come_later_and_the_log_and_status_say_so(database: Configuration) -> None:
    with careful(database, flood={"behind": 1}, greylist={"exempt_networks": ["127.0.0.0/8"]}) as house:
        assert posts(house).startswith("250")
        house.clock.passes(minutes=10)
        house.call(_looked(house))
        late = posts(house)
        assert late.startswith("451 4.3.2"), late
        house.settles()
        house.call(_looked(house))
        assert posts(house).startswith("250")


async def _looked(house: House) -> None:
    pressure = house.reception._pressure
    pressure._looked_at = float("-inf")
    await pressure.look()
