"""Backup MX and next hops: recipients are checked with the host we pass mail on to (K1 to K4, E16)."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from posthouse.configuration import Bulk, Configuration, NextHop, Verification
from posthouse.database import Bridge
from posthouse.dns.zone import FixedZone
from posthouse.reception.callouts import Callouts
from posthouse.reception.policy.facts import Verified
from tests.reception.answering import Answering, answering

ANA, NOBODY = "ana@backup.example", "nobody@backup.example"
NO = {"RCPT TO:<nobody@": "550 5.1.1 no such mailbox"}


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Party:
    """A backup MX: the primary is better in the DNS, we are the second."""

    def __init__(self, chosen: Configuration, bridge: Bridge, primary: Answering, **verification: Any) -> None:
        self.clock, self.primary, self.bridge = Clock(), primary, bridge
        self.zone = FixedZone.from_text("""
            backup.example   MX 10 primary.example.
            backup.example   MX 20 mx.lists.example.
            backup.example   MX 30 worse.example.
            primary.example  A  127.0.0.1
            mx.lists.example A  127.0.0.3
            worse.example    A  127.0.0.4
        """)
        self.configuration = dataclasses.replace(
            chosen,
            hostname="mx.lists.example",
            delivery=dataclasses.replace(chosen.delivery, port=primary.port, ignore_targets=[]),
            verification=dataclasses.replace(Verification(step_seconds=600.0, total_seconds=3600.0), **verification),
        )
        self.callouts = self.another()

    def another(self) -> Callouts:
        async def ours(domain: str) -> bool:
            return True

        return Callouts(self.configuration, self.zone, self.bridge, self.clock, lambda: 0.5, ours)

    async def says(self, address: str) -> Verified:
        return await self.callouts.recipient(address, address.rpartition("@")[2])

    def waits(self, step: float, total: float) -> None:
        patient = dataclasses.replace(self.configuration.verification, step_seconds=step, total_seconds=total)
        self.configuration = dataclasses.replace(self.configuration, verification=patient)
        self.callouts = self.another()

    def hop(self, **settings: Any) -> None:
        self.configuration = dataclasses.replace(self.configuration, next_hops={"backup.example": NextHop(**settings)})
        self.callouts = self.another()


Work = Callable[[Party], Coroutine[Any, Any, None]]


def run(chosen: Configuration, work: Work, replies: dict[str, str] | None = None, **verification: Any) -> None:
    async def inside() -> None:
        bridge = Bridge()
        try:
            async with asyncio.timeout(120), answering(replies) as primary:
                party = Party(chosen, bridge, primary, **verification)
                await work(party)
                await party.callouts.close()
        finally:
            await asyncio.to_thread(bridge.close)

    asyncio.run(inside())


def test_the_primary_is_asked_with_a_return_path_that_even_posting_addresses_take(sqlite: Configuration) -> None:
    async def work(party: Party) -> None:
        assert (await party.says(ANA)).answer == "yes"
        found = await party.says(NOBODY)
        assert found.answer == "no" and "550 5.1.1 no such mailbox" in found.reply
        assert party.primary.asked("MAIL") == ["MAIL FROM:<postmaster@mx.lists.example>"] * 2
        assert not party.primary.asked("DATA")
        party.configuration = dataclasses.replace(
            party.configuration, verification=dataclasses.replace(party.configuration.verification, return_path="a@b.c")
        )
        party.callouts = party.another()
        await party.says("ben@backup.example")
        assert party.primary.asked("MAIL")[-1] == "MAIL FROM:<a@b.c>"

    run(sqlite, work, NO)


def test_a_new_address_works_within_seconds_and_a_known_one_is_not_asked_about_again(sqlite: Configuration) -> None:
    async def work(party: Party) -> None:
        await party.says(NOBODY)
        await party.says(ANA)
        party.clock.now += 29
        party.primary.replies = {}
        assert (await party.says(NOBODY)).cached
        party.clock.now += 2
        assert await party.says(NOBODY) == Verified(NOBODY, "yes", (await party.says(NOBODY)).reply)
        assert len(party.primary.asked("RCPT TO:<ana@")) == 1
        party.clock.now += 7200
        party.primary.replies = {"RCPT": "550 5.1.1 gone"}
        assert (await party.says(ANA)).answer == "no", "a removed address is found out after two hours"

    run(sqlite, work, NO)


@pytest.mark.parametrize("reply", ["550 5.7.1 not you", "552 5.2.2 full", "554 no"])
def test_whatever_the_primary_refuses_for_good_is_refused_here_for_it_would_bounce(
    sqlite: Configuration, reply: str
) -> None:
    async def work(party: Party) -> None:
        assert (await party.says(ANA)).answer == "no"

    run(sqlite, work, {"RCPT": reply})


@pytest.mark.parametrize(
    "replies", [{"": "!"}, {"": "-"}, {"": "421 busy"}, {"": "nonsense"}, {"EHLO": "!"}, {"MAIL": "550 not you"},
                {"MAIL": "-"}, {"RCPT": "451 4.7.1 greylisted"}, {"RCPT": "!"}],
)  # fmt: skip
def test_while_the_primary_cannot_be_asked_those_it_knew_pass_and_the_others_wait(
    database: Configuration, replies: dict[str, str]
) -> None:
    async def work(party: Party) -> None:
        await party.says(ANA)
        await party.callouts.flush()
        party.primary.replies = replies
        party.clock.now += 5 * 86400
        party.waits(0.2, 0.3)
        found = await party.says(ANA)
        assert found.answer == "yes" and found.cached and "cannot be asked now" in found.reply
        assert (await party.says("ben@backup.example")).answer == "unknown"
        party.clock.now += 27 * 86400
        party.callouts = party.another()
        assert (await party.says(ANA)).answer == "unknown", "a month later nobody knows"

    run(database, work)


def test_by_choice_nobody_passes_while_the_primary_is_down(sqlite: Configuration) -> None:
    async def work(party: Party) -> None:
        await party.says(ANA)
        party.primary.replies = {"": "!"}
        assert (await party.says(ANA)).answer == "yes", "believed for its time"
        party.clock.now += 7201
        assert (await party.says(ANA)).answer == "unknown"

    run(sqlite, work, when_down="defer")


def test_a_primary_that_is_down_is_dialled_once_in_half_a_minute_not_for_each_recipient(sqlite: Configuration) -> None:
    async def work(party: Party) -> None:
        for number in range(5):
            assert (await party.says(f"a{number}@backup.example")).answer == "unknown"
        assert party.primary.connections == 1
        party.clock.now += 31
        party.primary.replies = {}
        assert (await party.says(ANA)).answer == "yes"

    run(sqlite, work, {"": "!"})


def test_recipients_asked_about_together_share_a_question(sqlite: Configuration) -> None:
    async def work(party: Party) -> None:
        found = await asyncio.gather(*(party.says(NOBODY) for _ in range(10)))
        assert {one.answer for one in found} == {"no"} and party.primary.connections == 1

    run(sqlite, work, NO)


def test_we_never_ask_ourselves_or_a_worse_backup(sqlite: Configuration) -> None:
    async def work(party: Party) -> None:
        party.zone.put("backup.example", "MX", "20 mx.lists.example.", "30 primary.example.")
        found = await party.says(ANA)
        assert found.answer == "unknown" and "no better mail host" in found.reply
        assert party.primary.connections == 0

    run(sqlite, work)


def test_a_next_hop_that_the_operator_chose_is_asked_without_an_mx_lookup(sqlite: Configuration) -> None:
    async def work(party: Party) -> None:
        party.zone.put("backup.example", "MX")
        party.hop(hosts=[f"[127.0.0.1]:{party.primary.port}"], hello="backup.lists.example")
        assert (await party.says(NOBODY)).answer == "no"
        party.hop(hosts=[f"[primary.example]:{party.primary.port}"])
        assert (await party.says("ben@backup.example")).answer == "yes"
        assert [line[5:] for line in party.primary.asked("EHLO")] == ["backup.lists.example", "mx.lists.example"]
        assert ("backup.example", "MX") not in party.zone.asked

    run(sqlite, work, NO)


def test_the_fallback_is_asked_when_the_next_hop_is_gone(sqlite: Configuration) -> None:
    async def work(party: Party) -> None:
        party.hop(hosts=["[127.0.0.9]:1"], fallback=[f"[127.0.0.1]:{party.primary.port}"])
        assert (await party.says(NOBODY)).answer == "no"

    run(sqlite, work, NO)


def test_lmtp_next_hops_are_asked_in_lmtp_also_over_a_unix_socket(sqlite: Configuration, tmp_path: Path) -> None:
    async def work(party: Party) -> None:
        path = str(tmp_path / "lmtp")
        async with answering({"RCPT TO:<nobody@": "550 5.1.1 no"}, path=path) as far:
            party.hop(hosts=[path], lmtp=True)
            assert (await party.says(NOBODY)).answer == "no" and (await party.says(ANA)).answer == "yes"
            assert far.asked("LHLO") and not far.asked("EHLO")

    run(sqlite, work)


def test_a_next_hop_with_verified_tls_is_not_asked_in_the_clear(sqlite: Configuration) -> None:
    async def work(party: Party) -> None:
        party.hop(hosts=[f"[primary.example]:{party.primary.port}"], tls="verified")
        found = await party.says(ANA)
        assert found.answer == "unknown" and "TLS is not offered" in found.reply and not party.primary.asked("RCPT")

    run(sqlite, work)


def test_an_address_beyond_ascii_is_asked_about_with_smtputf8_or_refused_where_it_could_not_be_passed_on(
    sqlite: Configuration,
) -> None:
    async def work(party: Party) -> None:
        assert (await party.says("jürgen@backup.example")).answer == "no"
        party.primary.keywords = ("SMTPUTF8",)
        party.clock.now += 31
        assert (await party.says("jürgen@backup.example")).answer == "yes"
        assert party.primary.asked("MAIL")[-1].endswith(" SMTPUTF8")

    run(sqlite, work)


def test_the_ways_of_bulk_mail_are_not_asked_about_an_address(sqlite: Configuration) -> None:
    async def work(party: Party) -> None:
        everything = Bulk(
            origins=["transfer", "inside"], return_paths=["*"], source=["127.0.0.9"], hello="bulk.example"
        )
        party.configuration = dataclasses.replace(party.configuration, bulk={"all": everything})
        party.callouts = party.another()
        assert (await party.says(ANA)).answer == "yes" and (await party.says(NOBODY)).answer == "no"
        assert party.primary.asked("EHLO") == ["EHLO mx.lists.example"] * 2
        assert party.primary.clients == {"127.0.0.1"}

    run(sqlite, work, NO)


def test_behind_a_smarthost_nobody_is_asked_who_has_no_next_hop_of_its_own(sqlite: Configuration) -> None:
    async def work(party: Party) -> None:
        party.configuration = dataclasses.replace(
            party.configuration, delivery=dataclasses.replace(party.configuration.delivery, smarthost="127.0.0.9:25")
        )
        party.callouts = party.another()
        assert (await party.says(NOBODY)).answer == "yes" and not party.primary.asked("RCPT")
        party.hop(hosts=[f"[127.0.0.1]:{party.primary.port}"])
        assert (await party.says(NOBODY)).answer == "no"

    run(sqlite, work, NO)


def test_a_next_hop_is_not_taken_for_down_because_nobody_had_time_to_ask_it(sqlite: Configuration) -> None:
    async def work(party: Party) -> None:
        async with party.callouts._recipients:  # another question takes all the time there is
            patient = party.callouts._verification
            party.callouts._verification = dataclasses.replace(patient, total_seconds=0.1)
            assert (await party.says(ANA)).answer == "unknown"
            party.callouts._verification = patient
        assert (await party.says(ANA)).answer == "yes"

    run(sqlite, work, NO, connections=1)
