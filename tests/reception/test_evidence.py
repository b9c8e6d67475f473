"""Evidence is gathered about strangers, written down, never a reason to refuse, and never later than its deadline."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from posthouse import configuration
from posthouse.authenticity.dkim_signing import sign
from posthouse.content.spool import Spool, Spooled, spooled_from
from posthouse.dns.lookups import Lookups
from posthouse.dns.zone import FixedZone
from posthouse.dns.zone_server import serve as serve_zone
from posthouse.reception import proof as proving
from posthouse.reception.evidence import Evidence, Witness, client_name
from tests import idle_time
from tests.authenticity.letters import RSA, record
from tests.reception.conftest import Opener
from tests.reception.station import LETTER, Station, Talker, events, queued, until

GARDEN = "garden@lists.example"
FIELD = b"Authentication-Results: mx.lists.example;"
CLIENT = "192.0.2.7"


def published() -> FixedZone:
    """far.example lets 192.0.2.7 and 127.0.0.1 use its name and publishes a key."""
    return FixedZone(
        {
            "far.example": {"TXT": ['"v=spf1 ip4:192.0.2.7 ip4:127.0.0.1 -all"']},
            "mail.far.example": {"TXT": ['"v=spf1 a -all"'], "A": [CLIENT]},
            "rsa._domainkey.far.example": {"TXT": [record(RSA)]},
            "_dmarc.far.example": {"TXT": ['"v=DMARC1; p=reject"']},
            "7.2.0.192.in-addr.arpa": {"PTR": ["liar.far.example.", "mail.far.example."]},
            "liar.far.example": {"A": ["192.0.2.9"]},
        }
    )


def signed(
    header: bytes = b"From: Ana <ana@far.example>\r\nSubject: Tomatoes\r\n", body: bytes = b"Ripe.\r\n"
) -> bytes:
    return sign(header, [body], "far.example", "rsa", RSA, now=time.time()) + header + b"\r\n" + body


def examined(
    content: bytes | Spooled, zone: Lookups, *, return_path: str = "ana@far.example", seconds: float = 5.0,
    reverse: bool = True,
) -> Evidence:  # fmt: skip
    """The evidence about one message of mail.far.example."""

    async def scene() -> Evidence:
        settings = configuration.Evidence(deadline=seconds, reverse=reverse)
        witness = Witness(settings, zone, "mx.lists.example", time.time)
        inquiry = witness.inquire(CLIENT)
        inquiry.begin("mail.far.example", return_path)
        try:
            return await inquiry.examine(content if isinstance(content, Spooled) else spooled_from(content))
        finally:
            inquiry.close()
            witness.close()

    return idle_time.run(scene())


def words(found: Evidence) -> dict[str, str]:
    """The first result of each method."""
    return {method.name: method.result for method in reversed(found.methods)}


def test_what_dnssec_proves_is_named_and_only_what_the_evidence_rests_on() -> None:
    zone = published()
    assert examined(signed(), zone).proven == ()
    zone.sign("_domainkey.far.example")
    zone.sign("mail.far.example")
    found = examined(signed(), zone)
    assert found.proven == ("rsa._domainkey.far.example",)
    assert found.words().endswith("; DNSSEC proves rsa._domainkey.far.example")
    zone.sign("far.example")
    assert examined(signed(), zone).proven == ("far.example", "rsa._domainkey.far.example", "_dmarc.far.example")
    forged = signed().replace(b"Ripe.", b"Rotten.")
    assert "rsa._domainkey.far.example" not in examined(forged, zone).proven


def test_all_of_it_passes_and_is_said_in_a_field_and_in_words() -> None:
    found = examined(signed(), published())
    assert words(found) == {"spf": "pass", "dkim": "pass", "arc": "none", "dmarc": "pass"}
    lines = found.field("mx.lists.example").decode().split("\r\n\t")
    assert lines[0] == FIELD.decode() and lines[1] == "spf=pass smtp.mailfrom=ana@far.example;"
    assert lines[2] == "spf=pass smtp.helo=mail.far.example;"
    assert lines[-1] == "dmarc=pass header.from=far.example policy.dmarc=reject\r\n"
    assert found.words() == (
        "client mail.far.example; SPF pass for ana@far.example; SPF pass for HELO mail.far.example; "
        "DKIM pass for far.example; ARC none; DMARC pass for far.example (policy reject)"
    )


@pytest.mark.parametrize(("ttl", "later"), [(300, 61), (10, 11)])
def test_what_was_found_out_serves_the_next_message_for_a_minute_or_its_ttl_and_a_failure_does_not(
    ttl: float, later: float
) -> None:
    zone, now = published(), [time.time()]
    zone.ttl = ttl
    asked: list[str] = []
    plain = zone.ask

    async def counted(name: Any, kind: str) -> Any:
        asked.append(f"{name.to_text(omit_final_dot=True)} {kind}")
        return await plain(name, kind)

    zone.ask = counted  # type: ignore[method-assign]

    async def scene() -> None:
        witness = Witness(configuration.Evidence(deadline=5.0), zone, "mx.lists.example", lambda: now[0])

        async def one() -> dict[str, str]:
            asked.clear()
            inquiry = witness.inquire(CLIENT)
            inquiry.begin("mail.far.example", "ana@far.example")
            return words(await inquiry.examine(spooled_from(signed())))

        assert (await one())["spf"] == "pass" and len(asked) > 3
        zone.put("far.example", "TXT", '"v=spf1 -all"')
        assert (await one())["spf"] == "pass"
        assert asked == ["rsa._domainkey.far.example TXT"], "only a signature is each message's own"
        now[0] += later
        zone.behave("far.example", "servfail")
        assert (await one())["spf"] == "temperror"
        zone.behave("far.example")
        assert (await one())["spf"] == "fail", "what failed for now is asked again"
        witness.close()

    idle_time.run(scene())


def test_a_null_return_path_is_answered_for_by_helo() -> None:
    found = examined(LETTER, published(), return_path="")
    assert found.sender is None and found.helo.result == "pass"
    assert words(found)["dmarc"] == "pass", "mail.far.example and far.example are one organization"


def test_helo_speaks_for_no_author_where_there_is_a_return_path() -> None:
    found = examined(LETTER, published(), return_path="eve@elsewhere.example")
    assert (found.helo.result, words(found)["dmarc"]) == ("pass", "fail")


def test_a_name_counts_only_when_it_leads_back() -> None:
    async def named(zone: FixedZone, address: str) -> str:
        return await client_name(address, zone, asyncio.get_running_loop().time() + 5)

    zone = published()
    zone.put("8.2.0.192.in-addr.arpa", "PTR", "liar.far.example.")
    zone.put("6.2.0.192.in-addr.arpa", "PTR", "a\\040b\\041.far.example.")
    zone.put("a\\040b\\041.far.example", "A", "192.0.2.6")
    assert asyncio.run(named(zone, CLIENT)) == asyncio.run(named(zone, f"::ffff:{CLIENT}")) == "mail.far.example"
    for address in ("192.0.2.8", "192.0.2.6", "192.0.2.5", "", "nonsense"):
        assert asyncio.run(named(zone, address)) == "", address


def test_whatever_is_silent_is_a_temperror_when_the_deadline_is_over() -> None:
    found = examined(signed(), Silent(), seconds=300)  # of a clock that moves while nothing happens
    assert words(found) == {"spf": "temperror", "dkim": "temperror", "arc": "none", "dmarc": "temperror"}
    assert found.client_name == ""


class Silent(Lookups):
    """A resolver that never answers."""

    async def ask(self, name: Any, kind: str) -> Any:
        await asyncio.Event().wait()


class Faulty(Lookups):
    """A resolver with a fault of ours in it."""

    async def ask(self, name: Any, kind: str) -> Any:
        raise ZeroDivisionError


def test_a_fault_of_ours_is_logged_and_a_temperror(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        found = examined(signed(), Faulty())
    assert words(found) == {"spf": "temperror", "dkim": "temperror", "arc": "temperror", "dmarc": "temperror"}
    assert "a fault of ours" in caplog.text


@pytest.mark.parametrize("size", [10, proving.INLINE * 2, 300_000])
def test_small_content_is_hashed_at_once_large_content_and_files_in_a_thread(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    threads: list[bool] = []
    plain = proving.Proof._feed

    def feed(proof: proving.Proof, content: Spooled, body: int) -> None:
        threads.append(threading.current_thread() is threading.main_thread())
        plain(proof, content, body)

    monkeypatch.setattr(proving.Proof, "_feed", feed)
    spool = Spool(tmp_path)
    spool.write(signed(body=b"Ripe.\r\n" * (size // 7)))
    content = spool.finish()
    assert (content.path is not None) == (size == 300_000)
    assert words(examined(content, published()))["dkim"] == "pass"
    assert threads == [size == 10]


def test_a_heavy_header_is_verified_in_a_thread_that_asks_through_the_loop() -> None:
    header = b"From: Ana <ana@far.example>\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"x" * 900) for n in range(60))
    found = examined(signed(header), published())
    assert words(found)["dkim"] == "pass"


# -- at the door ------------------------------------------------------------------------------------------------------


@pytest.fixture
def nameserver() -> Iterator[tuple[FixedZone, str]]:
    """A nameserver with far.example in it: its zone and its place."""
    zone, loop, stack = published(), asyncio.new_event_loop(), AsyncExitStack()
    zone.put("1.0.0.127.in-addr.arpa", "PTR", "localhost.far.example.")
    zone.put("localhost.far.example", "A", "127.0.0.1")
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    host, port = asyncio.run_coroutine_threadsafe(stack.enter_async_context(serve_zone(zone)), loop).result(60)
    yield zone, f"{host}:{port}"
    asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(60)
    loop.close()


def sent(station: Station, content: bytes, kind: str = "transfer") -> bytes:
    """Send one message; the fields that reception put above it."""
    talker = Talker(station.place(kind))
    talker.says("LHLO mail.far.example" if kind == "lmtp" else "EHLO mail.far.example", 250)
    talker.envelope(GARDEN)
    talker.content(content)
    return bytes(queued()[-1]["prefix"])


def test_a_strangers_message_bears_the_results_and_the_clients_name(
    opens: Opener, nameserver: tuple[FixedZone, str]
) -> None:
    station = opens(evidence={"enabled": True}, dns={"nameservers": [nameserver[1]]})
    content = signed()
    prefix = sent(station, content)
    assert prefix.startswith(FIELD) and b"dkim=pass" in prefix and b"dmarc=pass" in prefix
    assert b"\r\nReceived: from mail.far.example (localhost.far.example [127.0.0.1])\r\n" in prefix
    assert queued()[-1]["octets"] == content
    station.stop()
    [told] = events("evidence")
    assert "DKIM pass for far.example" in told["found"] and told["peer"] == "127.0.0.1"


def test_nobody_asks_about_relay_networks_lmtp_or_when_it_is_off(
    opens: Opener, nameserver: tuple[FixedZone, str]
) -> None:
    zone, place = nameserver
    dns = {"nameservers": [place]}
    on = {"enabled": True}
    inside = opens(evidence=on, dns=dns, reception={"relay_networks": ["127.0.0.0/8"]})
    assert sent(inside, signed()).startswith(b"Received: from mail.far.example ([127.0.0.1])")
    inside.stop(0.05)
    assert sent(opens(evidence=on, dns=dns), signed(), "lmtp").startswith(b"Received: ")
    assert sent(opens(evidence={"enabled": False}, dns=dns), signed()).startswith(b"Received: ")
    assert not zone.asked


def test_reverse_lookups_can_be_off_alone(opens: Opener, nameserver: tuple[FixedZone, str]) -> None:
    station = opens(evidence={"enabled": True, "reverse": False}, dns={"nameservers": [nameserver[1]]})
    prefix = sent(station, signed())
    assert b"Received: from mail.far.example ([127.0.0.1])\r\n" in prefix and b"spf=pass" in prefix
    assert not [kind for _, kind in nameserver[0].asked if kind == "PTR"]


def test_nothing_is_asked_for_a_client_whose_recipients_are_all_refused(
    opens: Opener, nameserver: tuple[FixedZone, str]
) -> None:
    station = opens(evidence={"enabled": True, "reverse": False}, dns={"nameservers": [nameserver[1]]})
    talker = Talker(station.place())
    talker.says("EHLO mail.far.example", 250)
    talker.says("MAIL FROM:<ana@far.example>", 250)
    talker.says("RCPT TO:<nobody@lists.example>", "550 5.1.1")
    talker.says("QUIT", 221)
    assert not nameserver[0].asked


def test_a_second_message_of_a_connection_is_judged_by_its_own_return_path(
    opens: Opener, nameserver: tuple[FixedZone, str]
) -> None:
    station = opens(evidence={"enabled": True}, dns={"nameservers": [nameserver[1]]})
    talker = Talker(station.place())
    talker.says("EHLO mail.far.example", 250)
    talker.envelope(GARDEN)
    talker.says("RSET", 250)
    for sender in ("ana@far.example", "eve@elsewhere.example"):
        talker.envelope(GARDEN, return_path=sender)
        talker.content(signed())
    first, second = (message["prefix"] for message in queued())
    assert b"spf=pass smtp.mailfrom=ana@far.example" in first
    assert b"spf=none smtp.mailfrom=eve@elsewhere.example" in second


def test_a_stop_does_not_wait_for_a_silent_nameserver_longer_than_its_grace(
    opens: Opener, nameserver: tuple[FixedZone, str]
) -> None:
    zone, place = nameserver
    zone.behave("rsa._domainkey.far.example", "timeout")
    station = opens(evidence={"enabled": True, "deadline": 600.0}, dns={"nameservers": [place], "timeout": 600.0})
    talker = Talker(station.place())
    talker.says("EHLO mail.far.example", 250)
    talker.envelope(GARDEN)
    talker.says("DATA", 354)
    talker.send(signed() + b".\r\n")
    until(lambda: ("rsa._domainkey.far.example", "TXT") in {(name.rstrip("."), kind) for name, kind in zone.asked})
    station.stop(0.2)  # within the patience of the test, long before the nameserver's time is up
    assert queued() == [] and talker.ended(), "the client heard nothing, so it still has its message"
