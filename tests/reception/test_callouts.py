"""Callouts: a definite no is a no, everything else lets the mail in; courteous to those who are asked (G4 to G7)."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from posthouse.configuration import Callout, Configuration
from posthouse.database import Bridge, Unavailable
from posthouse.dns.zone import FixedZone
from posthouse.reception.callouts import Callouts, Rates, about_the_address
from posthouse.reception.gathering import Gathering
from posthouse.reception.informants import Sources
from posthouse.reception.policy.facts import Facts, Verified, Visit
from posthouse.smtp.reply import Reply
from tests.reception.answering import Answering, answering

ANA, BEN, NOBODY = "ana@far.example", "ben@far.example", "nobody@far.example"
LIST = "garden@lists.example"
NO = {"RCPT TO:<nobody@": "550 5.1.1 no such mailbox"}


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Party:
    """The house's callouts with a far host in the DNS."""

    def __init__(self, chosen: Configuration, bridge: Bridge, far: Answering, **callout: Any) -> None:
        self.clock, self.far, self.bridge = Clock(), far, bridge
        self.zone = FixedZone.from_text("far.example MX 10 mx.far.example.\nmx.far.example A 127.0.0.1")
        self.configuration = dataclasses.replace(
            chosen,
            delivery=dataclasses.replace(chosen.delivery, port=far.port, ignore_targets=[]),
            callout=dataclasses.replace(Callout(step_seconds=600.0, total_seconds=3600.0), **callout),
        )
        self.callouts = self.another()

    def another(self) -> Callouts:
        """What a second process, or this one after a restart, has."""

        async def ours(domain: str) -> bool:
            return domain == "lists.example"

        return Callouts(self.configuration, self.zone, self.bridge, self.clock, lambda: 0.25, ours)

    async def says(self, address: str, recipient: str = LIST) -> tuple[str, bool]:
        found = await self.callouts.sender(address, recipient)
        return found.answer, found.cached


Work = Callable[[Party], Coroutine[Any, Any, None]]


def run(chosen: Configuration, work: Work, replies: dict[str, str] | None = None, **callout: Any) -> None:
    async def inside() -> None:
        bridge = Bridge()
        try:
            async with asyncio.timeout(120), answering(replies) as far:
                party = Party(chosen, bridge, far, **callout)
                await work(party)
                await party.callouts.close()
        finally:
            await asyncio.to_thread(bridge.close)

    asyncio.run(inside())


def test_the_host_of_a_return_path_is_asked_with_the_null_return_path_and_gets_no_mail(sqlite: Configuration) -> None:
    async def work(party: Party) -> None:
        assert await party.says(ANA) == ("yes", False)
        assert await party.says(NOBODY) == ("no", False)
        found = await party.callouts.sender(NOBODY, LIST)
        assert "mx.far.example" in found.reply and "550 5.1.1 no such mailbox" in found.reply
        assert party.far.asked("EHLO") == ["EHLO mx.lists.example"] * 2
        assert party.far.asked("MAIL") == ["MAIL FROM:<>"] * 2
        assert not party.far.asked("DATA")

    run(sqlite, work, NO)


def test_a_yes_is_remembered_for_a_day_and_a_no_for_two_hours_also_after_a_restart(
    database: Configuration,
) -> None:
    async def work(party: Party) -> None:
        await party.says(ANA)
        await party.says(NOBODY)
        assert await party.says(NOBODY) == ("no", True)
        await party.callouts.flush()
        party.callouts = party.another()
        party.far.replies = {}
        party.clock.now += 7100
        assert await party.says(NOBODY) == await party.says("nobody@FAR.example") == ("no", True)
        party.clock.now += 200
        assert await party.says(NOBODY) == ("yes", False), "two hours later"
        assert await party.says(ANA) == ("yes", True)
        party.clock.now += 86400
        assert await party.says(ANA) == ("yes", False)

    run(database, work, NO)


@pytest.mark.parametrize(
    "replies",
    [
        {"RCPT": "451 4.7.1 greylisted"},
        {"RCPT": "550 5.7.1 your address is on a list"},
        {"RCPT": "554 you are not wanted"},
        {"MAIL": "550 5.1.8 we want a return path"},
        {"MAIL": "421 too busy"},
        {"EHLO": "550 go away", "HELO": "550 go away"},
        {"": "554 no mail from you"},
        {"": "421 not now"},
        {"": "!"},
        {"": "no smtp at all"},
        {"MAIL": "!"},
        {"RCPT": "!"},
    ],
)
def test_anything_but_a_definite_answer_about_the_address_lets_the_mail_in(
    sqlite: Configuration, replies: dict[str, str]
) -> None:
    async def work(party: Party) -> None:
        assert await party.says(ANA) == ("unknown", False)
        connections = party.far.connections
        assert await party.says(ANA) == ("unknown", True)
        assert party.far.connections == connections, "nobody is asked twice for nothing"

    run(sqlite, work, replies)


@pytest.mark.parametrize("silent", ["", "EHLO", "MAIL", "RCPT"])
def test_a_host_that_says_nothing_at_any_step_costs_one_step_and_lets_the_mail_in(
    sqlite: Configuration, silent: str
) -> None:
    async def work(party: Party) -> None:
        assert await party.says(ANA) == ("unknown", False)

    run(sqlite, work, {silent: "-"}, step_seconds=0.2)


def test_a_host_that_does_not_talk_to_us_is_left_alone_for_three_hours(sqlite: Configuration) -> None:
    async def work(party: Party) -> None:
        assert await party.says(ANA) == ("unknown", False)
        assert await party.says(BEN) == ("unknown", True)
        assert party.far.connections == 1
        party.clock.now += 3 * 3600 + 1
        party.far.replies = {}
        assert await party.says(BEN) == ("yes", False)

    run(sqlite, work, {"MAIL": "550 5.7.1 no null sender here"})


def test_a_domain_that_says_yes_to_anything_is_asked_once_a_week(sqlite: Configuration) -> None:
    async def work(party: Party) -> None:
        assert await party.says(NOBODY) == ("yes", False)
        assert await party.says(ANA) == ("yes", True)
        assert len(party.far.asked("RCPT")) == 2 and party.far.connections == 1
        party.clock.now += 7 * 86400 + 1
        party.far.replies = {"RCPT": "550 5.1.1 nobody", "RCPT TO:<ana@": "250 OK"}
        assert await party.says(ANA) == ("yes", False) and await party.says(NOBODY) == ("no", False)

    run(sqlite, work, random=True)


def test_reports_the_null_return_path_and_our_own_domains_are_never_asked_about(sqlite: Configuration) -> None:
    async def work(party: Party) -> None:
        for recipient in ("garden-bounces@lists.example", "Garden-Bounces+ana=far.example@lists.example"):
            assert await party.says(NOBODY, recipient) == ("unknown", False)
        assert await party.says("") == ("unknown", False)
        assert await party.says("nobody@LISTS.example") == ("unknown", False)
        for broken in ("a b@far.example", "a\r\nDATA@far.example", "@", "far.example", "nobody@far.example>"):
            assert (await party.says(broken))[0] == "unknown"
        assert party.far.connections == 0

    run(sqlite, work, NO)


def test_one_host_is_asked_so_often_in_a_minute_and_what_is_beyond_passes_unasked(sqlite: Configuration) -> None:
    async def work(party: Party) -> None:
        party.zone.put("other.example", "MX", "5 mx.far.example.")
        for number in range(3):
            assert (await party.says(f"a{number}@far.example"))[0] == "yes"
        found = await party.callouts.sender("nobody@other.example", LIST)
        assert found.answer == "unknown" and "often enough" in found.reply
        assert party.far.connections == 3
        party.clock.now += 20
        assert await party.says("nobody@other.example") == ("no", False)

    run(sqlite, work, NO, per_minute=3)


def test_hosts_that_keep_us_waiting_do_not_keep_others_from_sending_here(sqlite: Configuration) -> None:
    async def work(party: Party) -> None:
        waiting = asyncio.create_task(party.says(ANA))
        await party.far.reached("RCPT")
        found = await party.callouts.sender(BEN, LIST)
        assert found.answer == "unknown" and "under way" in found.reply and not waiting.done()
        waiting.cancel()

    run(sqlite, work, {"RCPT": "-"}, connections=1)


def test_a_reply_waits_for_a_callout_as_long_as_its_own_deadlines_allow(sqlite: Configuration) -> None:
    class Slow:
        async def sender(self, address: str, recipient: str) -> Verified:
            await asyncio.wait({asyncio.create_task(asyncio.Event().wait())}, timeout=1.2)
            return Verified(address, "no", "550 5.1.1 no")

    async def work() -> None:
        visit = Visit("transfer", "192.0.2.1")
        facts = Facts(visit, ANA)
        gathering = Gathering(Sources(seconds=0.1, callouts=Slow()), visit)  # type: ignore[arg-type]
        gathering.opened(facts, "", ())
        gathering.begin(("callout",), LIST)
        await gathering.settle(("callout",))
        assert facts.callout is not None and facts.callout.answer == "no"
        gathering.closed()

    asyncio.run(work())


def test_those_who_ask_the_same_at_the_same_time_share_one_question(sqlite: Configuration) -> None:
    async def work(party: Party) -> None:
        found = await asyncio.gather(*(party.says(NOBODY) for _ in range(20)))
        assert {answer for answer, _ in found} == {"no"} and party.far.connections == 1
        hasty = asyncio.create_task(party.says(ANA))
        patient = asyncio.create_task(party.says(ANA))
        await asyncio.sleep(0)
        hasty.cancel()
        assert await patient == ("yes", False)

    run(sqlite, work, NO)


def test_a_domain_that_takes_no_mail_is_a_definite_no_and_a_nameserver_that_fails_is_not(sqlite: Configuration) -> None:
    async def work(party: Party) -> None:
        party.zone.put("null.example", "MX", "0 .")
        party.zone.put("lame.example", "MX", "10 mx.lame.example.")
        party.zone.put("dark.example", "MX", "10 mx.dark.example.")
        for name in ("broken.example", "mx.dark.example"):
            party.zone.behave(name, "servfail")
        assert await party.says("ana@null.example") == ("no", False)
        assert await party.says("ana@nowhere.example") == ("no", False)
        assert await party.says("ana@lame.example") == ("no", False)
        assert await party.says("ana@broken.example") == ("unknown", False)
        assert await party.says("ana@dark.example") == ("unknown", False)
        assert party.far.connections == 0

    run(sqlite, work)


def test_a_strangers_mx_does_not_lead_us_into_networks_that_mail_must_not_go_to(sqlite: Configuration) -> None:
    async def work(party: Party) -> None:
        party.configuration = dataclasses.replace(
            party.configuration,
            delivery=dataclasses.replace(party.configuration.delivery, ignore_targets=["127.0.0.0/8"]),
        )
        party.zone.put("mx.far.example", "AAAA", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::")
        party.callouts = party.another()
        found = await party.callouts.sender(ANA, LIST)
        assert found.answer == "unknown" and "must not lead us to" in found.reply and party.far.connections == 0

    run(sqlite, work)


def test_the_next_host_is_asked_when_the_first_does_not_answer(sqlite: Configuration) -> None:
    async def work(party: Party) -> None:
        party.zone.put("far.example", "MX", "10 mx.far.example.", "5 gone.far.example.")
        party.zone.put("gone.far.example", "A", "127.0.0.2")
        assert await party.says(NOBODY) == ("no", False) and party.far.connections == 1

    run(sqlite, work, NO)


def test_without_a_database_callouts_go_on(sqlite: Configuration, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(party: Party) -> None:
        async def gone(*_: object) -> None:
            raise Unavailable("gone")

        with monkeypatch.context() as broken:
            broken.setattr(party.bridge, "read", gone)
            broken.setattr(party.bridge, "write", gone)
            assert await party.says(NOBODY) == ("no", False)
            await party.callouts.flush()
            party.clock.now += 61
            assert await party.says(NOBODY) == ("no", True)
        await party.callouts.flush()
        party.callouts = party.another()
        assert await party.says(NOBODY) == ("no", True)

    run(sqlite, work, NO)


@pytest.mark.parametrize(
    ("reply", "about"),
    [
        (Reply(550, "5.1.1", "unknown"), True),
        (Reply(550, "", "unknown"), True),
        (Reply(553, "5.0.0", "unknown"), True),
        (Reply(550, "5.2.1", "disabled"), True),
        (Reply(556, "5.1.10", "null MX"), True),
        (Reply(550, "5.7.1", "blocked"), False),
        (Reply(552, "5.2.2", "full"), False),
        (Reply(550, "5.1.8", "bad sender"), False),
        (Reply(554, "", "no"), False),
        (Reply(450, "4.1.1", "not now"), False),
    ],
)
def test_only_some_refusals_are_about_the_address(reply: Reply, about: bool) -> None:
    assert about_the_address(reply) is about


def test_a_rate_is_given_back_evenly() -> None:
    clock = Clock()
    rates = Rates(6, clock)
    assert [rates.take("mx") for _ in range(8)] == [True] * 6 + [False] * 2
    clock.now += 10
    assert rates.take("mx") and not rates.take("mx") and rates.take("other")
