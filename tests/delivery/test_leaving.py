"""Mail reaches far hosts: what leaves, with which return path, over how many connections, and how soon."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from pathlib import Path
from typing import Any

import pytest

from posthouse.configuration import Configuration
from posthouse.delivery import runner as runner_module
from posthouse.delivery.job import Packer
from posthouse.delivery.runner import Runner
from posthouse.dns.zone import FixedZone
from posthouse.dns.zone_server import serve
from posthouse.message.envelope import Recipient
from tests.delivery.far_host import FarHost, certificate
from tests.delivery.leaving import LETTER, far, leaving, run


@pytest.mark.parametrize("offers", [("PIPELINING", "CHUNKING", "8BITMIME"), ("PIPELINING",), ("8BITMIME",)])
def test_a_message_leaves_octet_by_octet_as_it_came_behind_its_trace(
    database: Configuration, offers: tuple[str, ...]
) -> None:
    async def work() -> None:
        host = await far(*offers)
        async with leaving(database, host.port) as house:
            await house.sends("ben@far.example", prefix=b"Received: from here\r\n")
            await house.runner.settle()
            [taken] = host.taken
            assert taken.content == b"Received: from here\r\n" + LETTER
            assert (taken.return_path, taken.recipients) == ("ana@near.example", ["ben@far.example"])
            assert await house.waiting() == []
            [(address, detail)] = await house.events("delivered")
            assert address == "ben@far.example"
            assert detail["where"] == f"mx.far.example[127.0.0.1]:{host.port}"
            assert detail["reply"] == "250 2.0.0 taken"
        await host.stop()

    run(work)


def test_recipients_of_one_message_share_transactions_up_to_the_limit(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far()
        async with leaving(sqlite, host.port, recipients_per_transaction=3) as house:
            await house.sends(*(f"ben{n}@far.example" for n in range(7)))
            await house.runner.settle()
            assert sorted(len(taken.recipients) for taken in host.taken) == [1, 3, 3]
        await host.stop()

    run(work)


def test_the_far_sides_own_limits_are_kept(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far("PIPELINING", "LIMITS RCPTMAX=2 MAILMAX=2")
        async with leaving(sqlite, host.port) as house:
            await house.sends(*(f"ben{n}@far.example" for n in range(5)))
            await house.sends("ana@far.example")
            await house.runner.settle()
            assert sorted(len(taken.recipients) for taken in host.taken) == [1, 1, 2, 2]
            assert max(host.per_connection.values()) == 2
        await host.stop()

    run(work)


def test_a_connection_is_kept_for_the_next_message_and_closed_after_so_many(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far()
        async with leaving(
            sqlite, host.port, connections_per_destination=1, messages_per_connection=4, idle_seconds=5
        ) as house:
            for number in range(10):
                await house.sends(f"ben{number}@far.example")
                await host.took(number + 1)
                await house.runner.settle()
            assert host.connections == 3
            assert sorted(host.per_connection.values()) == [2, 4, 4]
        await host.stop()

    run(work)


def test_concurrency_grows_with_success_and_stays_within_its_bound(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far("8BITMIME")  # without PIPELINING each connection carries one message at a time
        host.gate = asyncio.Event()
        async with leaving(sqlite, host.port, connections_per_destination=6) as house:
            for number in range(60):
                await house.sends(f"ben{number}@far.example")
            await host.until(lambda: host.final_waiting == 2)
            assert host.open == 2  # small at first
            host.gate.set()
            await host.took(60)
            await house.runner.settle()
            assert host.most_open == 6
        await host.stop()

    run(work)


def test_a_host_that_wants_fewer_connections_gets_fewer_and_still_all_its_mail(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far("8BITMIME")
        host.most_connections = 2
        async with leaving(sqlite, host.port, connections_per_destination=20) as house:
            await house.sends("first@far.example")
            await house.runner.settle()
            for number in range(200):
                await house.sends(f"ben{number}@far.example")
            await house.runner.settle()
            assert len(host.taken) == 201
            assert await house.waiting() == []
            assert host.turned_away <= 5  # it was not asked again and again
        await host.stop()

    run(work)


def test_all_destinations_together_stay_within_their_bound_and_everybody_gets_a_turn(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far()
        zone = FixedZone({"mx.far.example": {"A": ["127.0.0.1"]}})
        for number in range(30):
            zone.put(f"d{number}.example", "MX", "10 mx.far.example.")
        async with leaving(sqlite, host.port, zone=zone, concurrency=4, idle_seconds=5) as house:
            for number in range(30):
                await house.sends(f"ben@d{number}.example")
            await host.took(30)
            assert host.most_open <= 4
        await host.stop()

    run(work)


def test_an_idle_station_is_woken_and_does_not_wait_for_its_next_look(
    database: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "LOOK_SECONDS", 3600.0)

    async def work() -> None:
        host = await far()
        async with leaving(database, host.port, clock=time.time) as house:
            await house.runner.settle()
            for number in range(3):
                await house.sends("ben@far.example")
                await host.took(number + 1)
        await host.stop()

    run(work)


@pytest.mark.parametrize("fast", [False, True])
def test_starttls_is_used_when_offered_and_the_maillog_says_so(
    sqlite: Configuration, tmp_path: Path, fast: bool
) -> None:
    async def work() -> None:
        host = await far(tls=certificate(tmp_path))
        async with leaving(sqlite, host.port) as house:
            await house.sends("ben@far.example")
            await house.runner.settle()
            assert host.taken[0].encrypted
            assert [line.split()[0] for line in host.said[:3]] == ["EHLO", "STARTTLS", "EHLO"]
            [(_, detail)] = await house.events("delivered")
            assert detail["where"].endswith(" TLSv1.3")
        await host.stop()

    run(work, fast=fast)


def test_starttls_is_not_used_where_it_is_switched_off(sqlite: Configuration, tmp_path: Path) -> None:
    async def work() -> None:
        host = await far(tls=certificate(tmp_path))
        async with leaving(sqlite, host.port, tls=False) as house:
            await house.sends("ben@far.example")
            await house.runner.settle()
            assert not host.taken[0].encrypted
        await host.stop()

    run(work)


def test_a_host_whose_tls_does_not_work_gets_its_mail_in_the_clear(sqlite: Configuration, tmp_path: Path) -> None:
    async def work() -> None:
        broken = certificate(tmp_path)
        broken.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")  # its key is no RSA key: no handshake can succeed
        broken.maximum_version = broken.minimum_version = __import__("ssl").TLSVersion.TLSv1_2
        host = await far(tls=broken)
        async with leaving(sqlite, host.port, messages_per_connection=1) as house:
            await house.sends("ben@far.example")
            await house.sends("ana@far.example")
            await house.runner.settle()
            assert [taken.encrypted for taken in host.taken] == [False, False]
        await host.stop()

    run(work)


def test_a_refused_starttls_goes_on_in_the_clear(sqlite: Configuration, tmp_path: Path) -> None:
    async def work() -> None:
        host = await far(tls=certificate(tmp_path))
        host.replies["starttls"] = "454 4.7.0 not now"
        async with leaving(sqlite, host.port) as house:
            await house.sends("ben@far.example")
            await house.runner.settle()
            assert not host.taken[0].encrypted
            assert host.connections == 1
        await host.stop()

    run(work)


@pytest.mark.parametrize("fast", [False, True])
def test_tls_sessions_are_resumed(sqlite: Configuration, tmp_path: Path, fast: bool) -> None:
    async def work() -> None:
        context = certificate(tmp_path)
        host = await far(tls=context)
        async with leaving(sqlite, host.port, messages_per_connection=1) as house:
            for name in ("ben", "cleo", "owen"):
                await house.sends(f"{name}@far.example")
                await house.runner.settle()
            assert len(host.taken) == 3
            assert context.session_stats()["hits"] >= 1
        await host.stop()

    run(work, fast=fast)


def test_dsn_wishes_are_passed_on_where_offered(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far("PIPELINING", "DSN")
        async with leaving(sqlite, host.port) as house:
            wish = Recipient("ben@far.example", "SUCCESS,FAILURE", "rfc822;ben+x@near.example")
            await house.sends(wish, envelope_id="QQ1", ret="HDRS")
            await house.runner.settle()
            [taken] = host.taken
            assert taken.mail.endswith("RET=HDRS ENVID=QQ1")
            assert taken.rcpts == ["RCPT TO:<ben@far.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;ben+2Bx@near.example"]
            assert await house.events("returned") == []
        await host.stop()

    run(work)


def test_where_dsn_is_not_offered_a_relayed_report_answers_the_wish(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far("PIPELINING")
        async with leaving(sqlite, host.port) as house:
            await house.sends(Recipient("ben@far.example", "SUCCESS"))
            await house.runner.settle()
            assert "NOTIFY" not in host.taken[0].rcpts[0]
            report = next(taken for taken in host.taken if taken.return_path == "")
            assert report.recipients == ["ana@near.example"]
            assert b"Action: relayed" in report.content
        await host.stop()

    run(work)


def test_a_large_message_is_streamed_from_its_file(sqlite: Configuration) -> None:
    async def work() -> None:
        content = b"Subject: large\r\n\r\n" + b".dotted line of a large message\r\n" * 40_000
        for offers in (("PIPELINING",), ("PIPELINING", "CHUNKING")):
            host = await far(*offers)
            async with leaving(sqlite, host.port) as house:
                await house.sends("ben@far.example", content=content)
                await house.runner.settle()
                assert host.taken[0].content == content
            await host.stop()

    run(work)


def test_several_processes_work_one_queue_and_every_message_leaves_once(database: Configuration) -> None:
    async def work() -> None:
        host = await far()
        async with (
            leaving(database, host.port, clock=time.time) as one,
            leaving(database, host.port, clock=time.time) as other,
        ):
            await asyncio.gather(*(one.sends(f"ben{number}@far.example") for number in range(300)))
            await host.took(300)
            await asyncio.gather(one.runner.settle(), other.runner.settle())
            assert sorted(taken.recipients[0] for taken in host.taken) == sorted(
                f"ben{number}@far.example" for number in range(300)
            )
        await host.stop()

    run(work, fast=True)


def test_names_are_looked_up_with_the_nameservers_of_the_configuration(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far()
        zone = FixedZone({"far.example": {"MX": ["10 mx.far.example."]}, "mx.far.example": {"A": ["127.0.0.1"]}})
        async with serve(zone) as (address, port), leaving(sqlite, host.port, zone=zone) as house:
            chosen = dataclasses.replace(
                house.configuration, dns=dataclasses.replace(sqlite.dns, nameservers=[f"{address}:{port}"])
            )
            zone.asked.clear()
            await house.runner.stop()
            runner = Runner(chosen, house.bridge, house.clock, lambda: 0.5)
            await runner.start()
            await house.sends("ben@far.example")
            await runner.settle()
            assert len(host.taken) == 1
            assert zone.asked["far.example", "MX"] == 1
            await runner.stop(1)
        await host.stop()

    run(work, fast=True)


def test_the_smarthost_takes_everything_and_no_mx_is_asked(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far()
        zone = FixedZone()
        async with leaving(sqlite, 1, zone=zone, smarthost=f"127.0.0.1:{host.port}") as house:
            await house.sends("ben@far.example", "cleo@elsewhere.example")
            await house.runner.settle()
            [taken] = host.taken  # one transaction, though the domains differ
            assert sorted(taken.recipients) == ["ben@far.example", "cleo@elsewhere.example"]
            assert not zone.asked
        await host.stop()

    run(work)


def test_a_stopped_station_gives_back_what_it_did_not_send(database: Configuration) -> None:
    async def work() -> None:
        host = await far("8BITMIME")
        host.gate = asyncio.Event()
        async with leaving(database, host.port, connections_per_destination=1) as house:
            for number in range(5):
                await house.sends(f"ben{number}@far.example")
            await host.until(lambda: host.final_waiting == 1)
            asyncio.get_running_loop().call_later(0.05, host.gate.set)
            await house.runner.stop(5)
            assert len(host.taken) == 1  # what was under way was finished
            rows = await house.waiting()
            assert [attempts for _, attempts, _ in rows] == [0, 0, 0, 0]
        await host.stop()

    run(work)


def test_a_stopped_station_leaves_no_connection_behind_for_a_message_that_was_being_read(
    sqlite: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        host = await far()
        reading, go_on = asyncio.Event(), asyncio.Event()
        pack = Packer.pack

        async def slowly(*arguments: Any, **facts: Any) -> Any:
            reading.set()
            await go_on.wait()
            return await pack(*arguments, **facts)

        monkeypatch.setattr(Packer, "pack", slowly)
        for patience in (20.0, 0.0):  # it is read in time, or cut off
            go_on.clear()
            reading.clear()
            async with leaving(sqlite, host.port) as house:
                if patience:
                    await house.sends("ben@far.example")
                    house.runner.kick()
                await reading.wait()
                if patience:
                    asyncio.get_running_loop().call_soon(go_on.set)
                await house.runner.stop(patience)
                assert [attempts for _, attempts, _ in await house.waiting()] == [0]
            left = [str(task) for task in asyncio.all_tasks() if "Line._run" in str(task)]
            assert left == [] and host.taken == []
        await host.stop()

    run(work)


def test_ipv6_is_dialled_where_a_host_has_it_unless_it_is_left_out(sqlite: Configuration) -> None:
    async def work() -> None:
        four = await far()
        six = await FarHost().start("::1", four.port)
        zone = FixedZone({"both.example": {"MX": ["10 mx.both.example."]}, "six.example": {"AAAA": ["::1"]},
                          "mx.both.example": {"A": ["127.0.0.1"], "AAAA": ["::1"]}})  # fmt: skip
        async with leaving(sqlite, four.port, zone=zone, ignore_targets=["::/0"]) as house:
            await house.sends("ben@both.example")
            await house.runner.settle()
            assert (len(four.taken), six.connections) == (1, 0)
        async with leaving(sqlite, four.port, zone=zone) as house:
            await house.sends("ben@both.example", "ben@six.example")
            await house.runner.settle()
            assert sorted((taken.client, *taken.recipients) for taken in six.taken) == [
                ("::1", "ben@both.example"), ("::1", "ben@six.example"),
            ]  # fmt: skip
            assert len(four.taken) == 1
        await four.stop()
        await six.stop()

    run(work)
