"""Listeners, a stop that loses nothing, certificates that are renewed, and memory that stays flat."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from posthouse.configuration import Configuration
from posthouse.reception.certificates import make_own
from posthouse.reception.listeners import ListenError
from posthouse.reception.pressure import Pressure
from tests.reception.conftest import Opener
from tests.reception.station import LETTER, Station, Talker, changed, events, queued, until

GARDEN = "garden@lists.example"


@pytest.fixture
def ipv6() -> None:
    """Skip where the machine has no IPv6."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")


def test_every_listener_works_on_ipv6_and_either_family_can_be_off(ipv6: None, opens: Opener) -> None:
    places = {kind: ["[::1]:0"] for kind in ("transfer", "submission", "submissions", "lmtp")}
    station = opens(reception=places)
    for kind in ("transfer", "submission", "lmtp"):
        host, _ = station.place(kind)
        assert host == "::1"
        Talker(station.place(kind))
    talker = Talker(station.place())
    talker.says("EHLO six", 250)
    talker.envelope(GARDEN)
    talker.content(LETTER)
    assert b"from six ([IPv6:::1])" in queued()[0]["prefix"]
    both = opens(reception={"transfer": ["127.0.0.1:0", "[::1]:0"]})
    assert [host for host, _ in both.reception.endpoints()["transfer"]] == ["127.0.0.1", "::1"]


def test_relaying_for_an_ipv6_network(ipv6: None, opens: Opener) -> None:
    station = opens(reception={"transfer": ["[::1]:0"], "relay_networks": ["::1/128"]})
    talker = Talker(station.place())
    talker.says("EHLO six", 250)
    talker.envelope("ben@far.example")
    talker.content(LETTER)


def test_a_port_that_is_taken_is_named(opens: Opener, house: Configuration) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=f"lmtp: cannot listen on 127.0.0.1 port {port}: another program"):
            opens(reception={"lmtp": [f"127.0.0.1:{port}"]})


def test_submissions_without_a_certificate_is_refused_at_start(opens: Opener) -> None:
    with pytest.raises(ListenError, match="certificate"):
        opens(reception={"submissions": ["127.0.0.1:0"]}, tls={"certificate": "", "key": ""})


def test_several_processes_share_the_sockets_they_are_given(opens: Opener) -> None:
    shared = socket.create_server(("127.0.0.1", 0))
    place = shared.getsockname()
    stations = [opens(sockets={"transfer": [shared.dup()]}) for _ in range(2)]
    talkers = [Talker(place) for _ in range(12)]
    assert sum(len(station.guests) for station in stations) == 12
    stations[0].stop(0.05)
    for _ in range(3):
        talker = Talker(place)
        talker.says("EHLO here", 250)
        talker.envelope(GARDEN)
        talker.content(LETTER)
    assert len(queued()) == 3 and len(talkers) == 12
    shared.close()


@pytest.mark.parametrize("fast", [True, False])
def test_a_stop_lets_the_running_transaction_finish_and_tells_the_others(opens: Opener, fast: bool) -> None:
    station = opens(fast=fast)
    place = station.place()
    idle, busy = Talker(place), Talker(place)
    idle.says("EHLO idle", 250)
    busy.says("EHLO busy", 250)
    busy.envelope(GARDEN)
    busy.says("DATA", 354)
    stopping = threading.Thread(target=station.stop, args=(20.0,))
    stopping.start()
    assert idle.reply().startswith("421 4.3.2") and idle.ended()
    busy.send(LETTER + b".\r\n")
    assert busy.reply().startswith("250 2.0.0") and busy.reply().startswith("421 4.3.2")
    stopping.join(20)
    assert not stopping.is_alive()
    assert queued()[0]["octets"] == LETTER
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(place, 1)


def test_a_client_that_never_finishes_is_cut_off_when_the_grace_is_over(opens: Opener) -> None:
    station = opens()
    talker = Talker(station.place())
    talker.says("EHLO slow", 250)
    talker.envelope(GARDEN)
    talker.says("DATA", 354)
    station.stop(0.05)
    assert talker.ended() and queued() == []


def test_refusals_reach_the_database_while_no_mail_is_accepted(station: Station) -> None:
    talker = Talker(station.place())
    talker.says("EHLO here", 250)
    talker.says("MAIL FROM:<ana@far.example>", 250)
    talker.says("RCPT TO:<nobody@lists.example>", 550)
    talker.says("BOGUS", 500)
    until(lambda: len(events()) == 2)
    assert [(event["stage"], event["peer"]) for event in events()] == [("rcpt", "127.0.0.1"), ("command", "127.0.0.1")]


def test_a_chore_that_fails_keeps_none_of_the_others_from_being_done(
    station: Station, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []

    async def fails() -> None:
        done.append("fails")
        raise RuntimeError("a fault of ours")

    async def goes_on() -> None:
        done.append("goes on")

    async def looks(self: Pressure) -> None:
        done.append("looks")
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Pressure, "look", looks)
    station.reception._sources.chores[:] = [fails, goes_on]
    until(lambda: done.count("goes on") >= 2)
    assert {"looks", "fails"} <= set(done)
    assert "A chore of reception failed" in caplog.text


def test_starttls_verifies_and_a_renewed_certificate_is_picked_up(opens: Opener, tmp_path: Path) -> None:
    pem, key = tmp_path / "c.pem", tmp_path / "c.key"
    make_own(pem, key, ["mx.lists.example"], time.time())
    station = opens(tls={"certificate": str(pem), "key": str(key)})

    def shown() -> bytes:
        talker = Talker(station.place())
        talker.says("EHLO here", 250)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        talker.starttls(context)
        talker.says("EHLO here", 250)
        assert isinstance(talker.socket, ssl.SSLSocket)
        found = talker.socket.getpeercert(binary_form=True)
        assert found is not None
        return found

    first = shown()
    verified = Talker(station.place())
    verified.says("EHLO here", 250)
    verified.starttls(ssl.create_default_context(cafile=str(pem)))
    assert "STARTTLS" not in verified.says("EHLO here", 250)
    verified.envelope(GARDEN)
    verified.content(LETTER)
    assert b"with ESMTPS (TLSv1.3 " in queued()[0]["prefix"]
    make_own(pem, key, ["mx.lists.example"], time.time())
    until(lambda: shown() != first)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_clients_resume_their_tls_sessions(station: Station, trust: ssl.SSLContext, version: ssl.TLSVersion) -> None:
    trust.minimum_version = trust.maximum_version = version
    known: ssl.SSLSession | None = None
    for resumed in (False, True):
        talker = Talker(station.place())
        talker.says("EHLO here", 250)
        talker.says("STARTTLS", 220)
        encrypted = trust.wrap_socket(talker.socket, server_hostname="mx.lists.example", session=known)
        talker.socket = encrypted
        talker.says("EHLO here", 250)  # the tickets of TLS 1.3 come with the first octets of the server
        assert encrypted.session_reused is resumed
        known = encrypted.session


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_tls_versions_are_refused(station: Station) -> None:
    talker = Talker(station.place())
    talker.says("EHLO here", 250)
    talker.says("STARTTLS", 220)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, OSError)):
        old.wrap_socket(talker.socket)


def test_many_large_messages_at_once_go_through_disk_not_memory(opens: Opener, house: Configuration) -> None:
    station = opens(changed(house, limits={"minimum_free_disk": 0}))
    before = resident()
    count, blocks = 10, 24  # 24 MiB each
    block = (b"z" * 1022 + b"\r\n") * 1024
    peaks: list[int] = []
    talkers = []
    for number in range(count):
        talker = Talker(station.place())
        talker.says("EHLO here", 250)
        talker.envelope(GARDEN)
        talker.says("DATA", 354)
        talker.send(b"Subject: %d\r\n\r\n" % number)
        talkers.append(talker)
    for _ in range(blocks):
        for talker in talkers:
            talker.send(block)
        peaks.append(resident())
    for talker in talkers:
        talker.send(b".\r\n")
    assert all(talker.reply().startswith("250") for talker in talkers)
    assert max(peaks) - before < 60 * 1024, "far less than the 240 MiB that came"
    assert {message["size"] for message in queued()} == {blocks * len(block) + 14}
    for path in (house.data / "content").rglob("*"):
        if path.is_file():
            path.unlink()


def resident() -> int:
    """kB of this process in memory."""
    return int(next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line).split()[1])
