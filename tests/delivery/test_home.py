"""Mail that stays in the house, the trial's outbox, and what the database or another process can do to it all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from posthouse import database as bridge_module
from posthouse.configuration import Configuration
from posthouse.delivery.couriers import mailing_list
from posthouse.directory import accounts, domains
from posthouse.lists import creation, roster
from posthouse.message.envelope import Recipient
from posthouse.queue import captured, claim, suspension
from posthouse.smtp.client import Timeouts
from tests.delivery.leaving import Leaving, far, leaving, run

POSTING = (
    b"From: Ana <ana@far.example>\r\nTo: garden@lists.example\r\nMessage-ID: <%s@far.example>\r\n"
    b"Subject: Tomatoes\r\n\r\nRipe.\r\n"
)


def a_list(*members: str) -> None:
    domains.add("lists.example")
    creation.create("garden@lists.example", ["owen@far.example"])
    roster.add_many("garden@lists.example", (("", member) for member in members))


def letter(name: str = "t1") -> bytes:
    return POSTING % name.encode()


async def prepared(house: Leaving, *members: str) -> None:
    await house.bridge.write(a_list, *members)
    house.runner.forget()


def test_a_posting_comes_home_and_leaves_as_copies_each_with_its_own_return_path(database: Configuration) -> None:
    async def work() -> None:
        host = await far()
        async with leaving(database, host.port) as house:
            await prepared(house, "ana@far.example", "ben@far.example", "cleo@far.example")
            await house.sends("garden@lists.example", by="ana@far.example", content=letter())
            await house.runner.settle()
            copies = {taken.recipients[0]: taken for taken in host.taken}
            assert {"ben@far.example", "cleo@far.example"} <= set(copies)
            ben = copies["ben@far.example"]
            assert ben.return_path == "garden-bounces+ben=far.example@lists.example"
            assert ben.content.startswith(b"List-Unsubscribe: <")
            assert ben.content != copies["cleo@far.example"].content  # each has its own way to leave
            assert b"Return-Path" not in ben.content
            assert await house.waiting() == []
        await host.stop()

    run(work)


def test_one_posting_that_cannot_be_taken_is_deferred_and_the_others_go_on(
    sqlite: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = mailing_list.arrivals.take

    def sometimes(claimed, *rest):  # type: ignore[no-untyped-def]
        taken = real(claimed, *rest)
        if claimed.message.return_path == "eve@far.example":
            raise RuntimeError("a fault of ours")
        return taken

    async def work() -> None:
        host = await far()
        async with leaving(sqlite, host.port) as house:
            await prepared(house, "ana@far.example", "ben@far.example", "eve@far.example")
            monkeypatch.setattr(mailing_list.arrivals, "take", sometimes)
            await house.sends("garden@lists.example", by="eve@far.example", content=letter("e1"))
            await house.sends("garden@lists.example", by="ana@far.example", content=letter("a1"))
            await house.runner.settle()
            [(address, attempts, reply)] = await house.waiting()
            assert (address, attempts) == ("garden@lists.example", 1)
            assert "a fault of ours" in reply
            assert all(b"<e1@far.example>" not in taken.content for taken in host.taken)
            assert any(b"<a1@far.example>" in taken.content for taken in host.taken)
            monkeypatch.setattr(mailing_list.arrivals, "take", real)
            house.clock.at += 120
            await house.runner.settle()
            assert any(b"<e1@far.example>" in taken.content for taken in host.taken)
        await host.stop()

    run(work)


def test_the_postmasters_mail_reaches_every_superuser_and_an_address_that_leads_to_itself_is_a_loop(
    database: Configuration,
) -> None:
    async def work() -> None:
        host = await far()
        async with leaving(database, host.port) as house:
            await house.bridge.write(domains.add, "lists.example")
            await house.bridge.write(accounts.create, "owen@far.example", "", True)
            await house.bridge.write(accounts.create, "ana@far.example", "", True)
            house.runner.forget()
            await house.sends("postmaster@lists.example", by="eve@far.example")
            await house.sends("Postmaster@lists.example", by="", prefix=b"Delivered-To: postmaster@lists.example\r\n")
            await house.runner.settle()
            assert sorted(one for taken in host.taken for one in taken.recipients) == [
                "ana@far.example", "owen@far.example",
            ]  # fmt: skip
            assert host.taken[0].return_path == "eve@far.example"
            [(_, detail)] = await house.events("failed")
            assert "leads back to itself" in detail["reply"]
            assert await house.waiting() == []
        await host.stop()

    run(work)


def test_an_address_of_ours_that_is_gone_by_now_is_returned(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far()
        async with leaving(sqlite, host.port) as house:
            await house.bridge.write(domains.add, "lists.example")
            house.runner.forget()
            await house.sends("gone@lists.example")
            await house.runner.settle()
            [report] = host.taken
            assert report.recipients == ["ana@near.example"]
            assert b"Status: 5.1.1" in report.content
        await host.stop()

    run(work)


def test_in_trial_mode_nothing_leaves_and_everything_is_kept_as_it_would_have_left(database: Configuration) -> None:
    async def work() -> None:
        host = await far()
        async with leaving(database, host.port, trial=True) as house:
            await house.sends("ben@far.example", prefix=b"Received: from here\r\n")
            await house.runner.settle()
            [kept] = await house.bridge.read(captured.captured)
            assert (kept.recipient, kept.return_path, kept.subject) == (
                "ben@far.example",
                "ana@near.example",
                "Tomatoes",
            )
            found = await house.bridge.read(captured.captured_message, kept.id)
            assert found is not None
            assert found[1].startswith(b"Received: from here\r\nFrom: Ana")
            assert host.connections == 0
        await host.stop()

    run(work)


def test_in_trial_mode_some_local_parts_provoke_what_far_hosts_do(
    sqlite: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("posthouse.delivery.couriers.outbox.SLOW_SECONDS", 0.3)

    async def work() -> None:
        async with leaving(sqlite, 1, trial=True) as house:
            people = ["reject-550", "defer-451", "drop", "slow-5s", "ben"]
            await house.sends(*(f"{name}@far.example" for name in people))
            began = time.monotonic()
            await house.runner.settle()
            assert time.monotonic() - began >= 0.25
            waiting = {address: reply for address, _, reply in await house.waiting()}
            assert set(waiting) == {"defer-451@far.example", "drop@far.example"}
            assert "451 4.7.1" in waiting["defer-451@far.example"]
            assert "connection lost" in waiting["drop@far.example"]
            kept = {one.recipient for one in await house.bridge.read(captured.captured)}
            assert kept == {"slow-5s@far.example", "ben@far.example", "ana@near.example"}  # the report to ana too

    run(work)


def test_the_database_may_go_away_and_what_was_delivered_is_still_recorded(
    sqlite: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        host = await far()
        host.gate = asyncio.Event()
        async with leaving(sqlite, host.port) as house:
            await house.sends("ben@far.example")
            await host.until(lambda: host.final_waiting == 1)
            path = sqlite.data / "posthouse.sqlite3"
            hidden = path.rename(path.with_name("hidden"))
            host.gate.set()
            await host.took(1)
            recorder = house.runner._recorder
            await _until(lambda: recorder.busy and not recorder.waiting)  # the outcome is being written
            with pytest.raises(bridge_module.Unavailable):  # behind it in the same thread: it has failed by then
                await house.bridge.write(claim.register, "probe", 0)
            hidden.rename(path)
            await house.runner.settle()
            assert await house.waiting() == []
            assert len(host.taken) == 1
        await host.stop()

    run(work)


def test_a_process_whose_lease_ended_leaves_its_unsent_mail_to_others_and_begins_anew(database: Configuration) -> None:
    async def work() -> None:
        host = await far("8BITMIME")
        host.gate = asyncio.Event()
        async with leaving(database, host.port, connections_per_destination=1) as house:
            for number in range(4):
                await house.sends(f"ben{number}@far.example")
            await host.until(lambda: host.final_waiting == 1)
            house.clock.at += 40  # longer than the lease
            other = await house.bridge.write(claim.register, "other", int(house.clock.at * 1000))
            theirs = await house.bridge.write(claim.claim, other, int(house.clock.at * 1000), 10, 10)
            house.runner.kick()
            house.clock.at += 1
            await asyncio.wait_for(_begun_anew(house), 60)
            host.gate.set()
            await house.runner.settle()
            assert [taken.recipients for taken in host.taken] == [["ben0@far.example"]]  # what was under way
            assert len(theirs) == 4
            await house.bridge.write(claim.retire, other)
            await house.runner.settle()
            assert sorted(taken.recipients[0] for taken in host.taken) == [f"ben{n}@far.example" for n in range(4)]
        await host.stop()

    run(work)


def test_while_the_database_is_away_longer_than_the_lease_nothing_new_is_sent(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far("8BITMIME")
        host.gate = asyncio.Event()
        async with leaving(sqlite, host.port, connections_per_destination=1, timeouts=Timeouts()) as house:

            def waiting() -> int:
                return sum(len(lane.jobs) for lane in house.runner.remote.lanes)

            for number in range(4):
                await house.sends(f"ben{number}@far.example")
            await _until(lambda: host.final_waiting == 1 and waiting() == 3)
            path = sqlite.data / "posthouse.sqlite3"
            hidden = path.rename(path.with_name("hidden"))
            house.clock.at += 40
            house.runner.kick()
            await _until(lambda: waiting() == 0)
            host.gate.set()
            await host.took(1)
            hidden.rename(path)
            await house.runner.settle()
            house.clock.at += 120
            await house.runner.settle()  # also what could not be read meanwhile
            assert sorted(taken.recipients[0] for taken in host.taken) == [f"ben{n}@far.example" for n in range(4)]
            assert await house.waiting() == []
        await host.stop()

    run(work)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def _begun_anew(house: Leaving) -> None:
    before = house.runner._claimant
    while house.runner._claimant == before:
        house.runner.kick()
        await asyncio.sleep(0.01)


def test_a_suspended_destination_is_left_alone_until_it_is_resumed(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far()
        async with leaving(sqlite, host.port) as house:
            await house.bridge.write(suspension.suspend_by_name, "far.example", "maintenance", 0)
            await house.sends("ben@far.example")
            await house.runner.settle()
            assert host.connections == 0
            await house.bridge.write(suspension.resume, "far.example", 0)
            await host.took(1)
        await host.stop()

    run(work)


def test_success_of_a_delivery_in_the_house_is_reported_as_delivered(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far()
        async with leaving(sqlite, host.port) as house:
            await prepared(house, "ana@near.example")
            await house.sends(Recipient("garden@lists.example", "SUCCESS"), content=letter())
            await house.runner.settle()
            assert any(b"Action: delivered" in taken.content for taken in host.taken)
        await host.stop()

    run(work)
