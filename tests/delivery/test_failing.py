"""Far hosts fail in every way: nobody loses a message, nobody gets one more often than cannot be helped."""

from __future__ import annotations

import pytest

from posthouse.configuration import Configuration
from posthouse.dns.zone import FixedZone
from posthouse.queue import suspension
from posthouse.smtp.client import Timeouts
from tests.delivery.leaving import far, leaving, run

TWO_HOSTS = {
    "far.example": {"MX": ["10 mx1.far.example.", "20 mx2.far.example."]},
    "mx1.far.example": {"A": ["127.0.0.1"]},
    "mx2.far.example": {"A": ["127.0.0.2"]},
    "near.example": {"MX": ["10 mx2.far.example."]},
}


def test_a_refused_recipient_fails_alone_and_its_sender_gets_a_report(database: Configuration) -> None:
    async def work() -> None:
        host = await far()
        host.replies["ben@far.example"] = "550 5.1.1 no such mailbox"
        async with leaving(database, host.port) as house:
            await house.sends("ben@far.example", "cleo@far.example")
            await house.runner.settle()
            letter, report = host.taken
            assert letter.recipients == ["cleo@far.example"]
            assert (report.return_path, report.recipients) == ("", ["ana@near.example"])
            assert b"Final-Recipient: rfc822; ben@far.example" in report.content
            assert b"550 5.1.1 no such mailbox" in report.content
            assert await house.waiting() == []
        await host.stop()

    run(work)


def test_a_deferred_recipient_is_tried_again_and_then_reached(database: Configuration) -> None:
    async def work() -> None:
        host = await far()
        host.replies["ben@far.example"] = "450 4.7.1 greylisted"
        async with leaving(database, host.port) as house:
            await house.sends("ben@far.example")
            await house.runner.settle()
            [(_, attempts, reply)] = await house.waiting()
            assert (attempts, reply) == (1, "RCPT TO: 450 4.7.1 greylisted")
            assert await house.bridge.read(suspension.suspended, int(house.clock.at * 1000)) == []
            host.replies.clear()
            house.clock.at += 120
            await house.runner.settle()
            assert len(host.taken) == 1
        await host.stop()

    run(work)


def test_giving_up_after_five_days_is_reported_with_the_last_reason(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far()
        host.replies["ben@far.example"] = "450 4.2.1 busy"
        async with leaving(sqlite, host.port, warn_after=0) as house:
            await house.sends("ben@far.example")
            await house.runner.settle()
            house.clock.at += 5 * 86400 + 1
            await house.runner.settle()
            [report] = host.taken
            assert b"gave up after 5 days" in report.content
            assert b"450 4.2.1 busy" in report.content
        await host.stop()

    run(work)


def test_a_late_message_is_reported_once_after_four_hours(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far()
        host.replies["ben@far.example"] = "450 4.2.1 busy"
        async with leaving(sqlite, host.port) as house:
            await house.sends("ben@far.example")
            for _ in range(3):
                await house.runner.settle()
                house.clock.at += 4 * 3600 + 60
            await house.runner.settle()
            [report] = host.taken
            assert b"Action: delayed" in report.content
        await host.stop()

    run(work)


@pytest.mark.parametrize("stage", ["greeting", "ehlo", "mail", "rcpt", "data"])
def test_a_connection_lost_before_the_end_of_data_goes_to_the_next_host(sqlite: Configuration, stage: str) -> None:
    async def work() -> None:
        first = await far("PIPELINING")
        second = await _second(first.port)
        first.lose_at = stage
        async with leaving(sqlite, first.port, zone=FixedZone(TWO_HOSTS)) as house:
            await house.sends("ben@far.example")
            await house.runner.settle()
            assert [taken.recipients for taken in second.taken] == [["ben@far.example"]]
            assert first.taken == []
            assert await house.waiting() == []
        await first.stop()
        await second.stop()

    run(work)


def test_a_connection_lost_after_the_end_of_data_is_deferred_and_not_sent_elsewhere_at_once(
    sqlite: Configuration,
) -> None:
    async def work() -> None:
        first = await far("PIPELINING")
        second = await _second(first.port)
        first.lose_at = "final"
        async with leaving(sqlite, first.port, zone=FixedZone(TWO_HOSTS)) as house:
            await house.sends("ben@far.example")
            await house.runner.settle()
            assert second.taken == []
            [(_, _, reply)] = await house.waiting()
            assert "may arrive twice" in reply
        await first.stop()
        await second.stop()

    run(work)


@pytest.mark.parametrize(
    ("stage", "text"),
    [("greeting", "554 no service"), ("greeting", "421 busy"), ("ehlo", "550 bad name"), ("mail", "451 4.3.0 later"),
     ("mail", "550 5.7.1 not here"), ("rcpt", "451 4.3.2 system"), ("rcpt", "421 4.3.2 closing")],
)  # fmt: skip
def test_what_is_one_hosts_trouble_is_tried_at_the_next_host(sqlite: Configuration, stage: str, text: str) -> None:
    async def work() -> None:
        first = await far("PIPELINING")
        second = await _second(first.port)
        first.replies[stage] = text
        if stage == "ehlo":
            first.replies["helo"] = text
        async with leaving(sqlite, first.port, zone=FixedZone(TWO_HOSTS)) as house:
            await house.sends("ben@far.example")
            await house.runner.settle()
            assert len(second.taken) == 1
            assert await house.waiting() == []
        await first.stop()
        await second.stop()

    run(work)


def test_a_recipient_refused_for_good_is_not_tried_at_another_host(sqlite: Configuration) -> None:
    async def work() -> None:
        first = await far("PIPELINING")
        second = await _second(first.port)
        first.replies["ben@far.example"] = "550 5.1.1 nobody"
        async with leaving(sqlite, first.port, zone=FixedZone(TWO_HOSTS)) as house:
            await house.sends("ben@far.example", by="")
            await house.runner.settle()
            assert (first.taken, second.taken, await house.waiting()) == ([], [], [])
        await first.stop()
        await second.stop()

    run(work)


def test_too_many_recipients_go_in_another_transaction_at_once(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far("PIPELINING")
        host.replies["ben3@far.example"] = "452 4.5.3 too many"
        async with leaving(sqlite, host.port) as house:
            await house.sends(*(f"ben{n}@far.example" for n in range(4)))
            host.on_taken = lambda taken: host.replies.clear()
            await house.runner.settle()
            assert [len(taken.recipients) for taken in host.taken] == [3, 1]
        await host.stop()

    run(work)


def test_a_host_that_ends_connections_after_some_messages_gets_the_rest_over_new_ones(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far("PIPELINING", "CHUNKING")
        host.most_messages = 3
        async with leaving(sqlite, host.port) as house:
            for number in range(40):
                await house.sends(f"ben{number}@far.example")
            await house.runner.settle()
            assert sorted(taken.recipients[0] for taken in host.taken) == sorted(
                f"ben{number}@far.example" for number in range(40)
            )
            assert await house.waiting() == []
        await host.stop()

    run(work)


def test_a_host_that_ends_every_connection_after_one_message_defers_nobody(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far("PIPELINING", "CHUNKING")
        host.most_messages = 1
        async with leaving(sqlite, host.port, connections_per_destination=1) as house:
            for number in range(25):
                await house.sends(f"ben{number}@far.example")
            await house.runner.settle()
            assert len({taken.recipients[0] for taken in host.taken}) == len(host.taken) == 25
            assert await house.events("deferred") == []
        await host.stop()

    run(work)


def test_a_host_that_failed_is_dialled_again_as_soon_as_the_destination_has_rested(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far()
        host.replies["greeting"] = "421 4.3.2 closed"
        async with leaving(sqlite, host.port, random=lambda: 0.0) as house:
            await house.sends("ben@far.example")
            await house.runner.settle()
            assert host.connections == 1
            host.replies.clear()
            house.clock.at += 46  # the shortest rest, three quarters of a minute
            await house.runner.settle()
            assert len(host.taken) == 1
        await host.stop()

    run(work)


@pytest.mark.parametrize("stage", ["greeting", "ehlo", "mail", "rcpt", "data", "final"])
def test_a_silent_host_is_left_when_its_time_is_up(sqlite: Configuration, stage: str) -> None:
    async def work() -> None:
        host = await far("PIPELINING")
        host.silent_at = stage
        async with leaving(sqlite, host.port, timeouts=Timeouts(*[0.15] * 9)) as house:
            await house.sends("ben@far.example")
            await house.runner.settle()
            [(_, attempts, reply)] = await house.waiting()
            assert attempts == 1
            assert "timed out" in reply or "seconds" in reply
        await host.stop()

    run(work)


def test_a_destination_that_fails_as_a_whole_rests_as_a_whole_and_recovers(database: Configuration) -> None:
    async def work() -> None:
        host = await far()
        port = host.port
        await host.stop()
        async with leaving(database, port) as house:
            for number in range(20):
                await house.sends(f"ben{number}@far.example")
            await house.runner.settle()
            [place] = await house.bridge.read(suspension.suspended, int(house.clock.at * 1000))
            assert place.name == "far.example"
            assert "connecting" in place.reason
            assert {attempts for _, attempts, _ in await house.waiting()} <= {0, 1}  # some came when it rested already
            await house.sends("cleo@far.example")
            await house.runner.settle()  # it rests: the new one is not even claimed
            assert (await house.waiting())[-1] == ("cleo@far.example", 0, "")
            await host.start(port=port)
            house.clock.at += 300
            await house.runner.settle()
            assert len(host.taken) == 21
            assert await house.bridge.read(suspension.suspended, int(house.clock.at * 1000)) == []
            assert len(await house.events("resumed")) == 1
        await host.stop()

    run(work)


def test_a_destination_that_rests_longer_and_longer_is_not_dialled_meanwhile(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far()
        host.replies["greeting"] = "421 4.3.2 closed"
        async with leaving(sqlite, host.port) as house:
            await house.sends("ben@far.example")
            for _ in range(5):
                await house.runner.settle()
                house.clock.at += 70
            assert host.connections <= 3
        await host.stop()

    run(work)


def test_dns_trouble_defers_and_a_name_that_does_not_exist_fails(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far()
        zone = FixedZone(TWO_HOSTS, {"broken.example": "servfail"})
        zone.put("mx2.far.example", "A", "127.0.0.1")
        async with leaving(sqlite, host.port, zone=zone) as house:
            await house.sends("ben@broken.example", "cleo@nowhere.example")
            await house.runner.settle()
            [(address, _, reply)] = await house.waiting()
            assert address == "ben@broken.example"
            assert reply.startswith("DNS: MX of broken.example")
            [report] = host.taken
            assert b"nowhere.example does not exist" in report.content
        await host.stop()

    run(work)


def test_an_mx_that_leads_into_our_own_network_is_not_dialled(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far()
        async with leaving(sqlite, host.port, ignore_targets=["127.0.0.0/8"]) as house:
            await house.sends("ben@far.example", by="")
            await house.runner.settle()
            assert host.connections == 0
            [(_, detail)] = await house.events("failed")
            assert "ignore_targets" in detail["reply"]
        await host.stop()

    run(work)


def test_8_bit_content_that_the_host_cannot_take_is_returned_with_the_reason(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far("PIPELINING")
        async with leaving(sqlite, host.port) as house:
            await house.sends("ben@far.example", content="Subject: x\r\n\r\nGrüße\r\n".encode(), by="")
            await house.sends("bèn@far.example", by="")
            await house.runner.settle()
            assert [detail["reply"] for _, detail in await house.events("failed")] == [
                "MAIL FROM: 554 5.6.3 The far server does not take 8-bit content (RFC 6152)",
                "MAIL FROM: 553 5.6.7 The far server does not take addresses beyond ASCII (RFC 6531)",
            ]
        await host.stop()

    run(work)


async def _second(port: int):  # type: ignore[no-untyped-def]
    """Another far host, on another address of this machine and the same port."""
    host = await far()
    await host.stop()
    return await host.start("127.0.0.2", port)
