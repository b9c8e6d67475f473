"""Posthouse beside real Postfix and Exim: in front of it, behind it, and their bounces."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from posthouse import database as bridge
from posthouse.configuration import Configuration
from posthouse.lists import roster
from tests.interop.peers import peer, require
from tests.people import ANA, BEN, DOMAIN, EVE, GARDEN
from tests.ports import free_port
from tests.running_house import BACKED_UP, WallClock, running
from tests.serving import until

pytestmark = pytest.mark.interop
KINDS = ("postfix", "exim")
LETTER = (
    f"From: Ana Lima <{ANA}>\r\nTo: {GARDEN}\r\nSubject: Tomatoes\r\nMessage-ID: <tomatoes@far.example>\r\n\r\n"
    "Ripe at last, große Freude.\r\n.A line that begins with a dot.\r\n"
).encode()


@pytest.mark.parametrize("way", ["smtp", "lmtp"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_post_comes_in_through_a_mail_server_in_front(sqlite: Configuration, kind: str, way: str) -> None:
    with running(sqlite, clock=WallClock()) as house:
        house.has_list(GARDEN, members=[ANA, BEN])
        port = house.lmtp_port if way == "lmtp" else house.port
        with peer(kind, port, house.outside.port, lmtp=way == "lmtp") as front:
            assert house.outside.sends(ANA, [GARDEN], LETTER, front.port).startswith("250")
            assert house.outside.waits_for(2), front.log()
            assert house.outside.sends(EVE, [f"nobody@{DOMAIN}"], LETTER, front.port).startswith("250")
            assert house.outside.waits_for(3), front.log()
        [(return_path, copy)] = house.outside.copies_for(BEN)
        assert return_path == f"garden-bounces+ben=far.example@{DOMAIN}"
        assert "große Freude.\r\n.A line that begins with a dot." in copy.as_bytes().decode().replace("\n", "\r\n")
        assert any(front.name.lower() in value for value in copy.get_all("Received"))
        # What we refuse the server in front reports; the author is told by it, not by us.
        [(_, report)] = house.outside.copies_for(EVE)
        assert f"nobody@{DOMAIN}" in report.as_string() and "550" in report.as_string()


@pytest.mark.parametrize("kind", KINDS)
def test_copies_leave_through_a_smarthost_with_their_return_paths_and_its_bounces_are_recorded(
    database: Configuration, kind: str
) -> None:
    port = free_port()
    with running(database, clock=WallClock(), smarthost=f"127.0.0.1:{port}") as house:
        house.has_list(GARDEN, members=[ANA, BEN, EVE])
        house.outside.refuses(BEN, "550 5.1.1 ben has moved away")
        with peer(kind, house.port, house.outside.port, port=port) as behind:
            assert house.outside.sends(ANA, [GARDEN], LETTER).startswith("250")
            assert house.outside.waits_for(2), behind.log()

            def bens_bounces() -> int:
                return next(one.bounces for one in roster.members(GARDEN) if one.address == BEN)

            until(bens_bounces, 30, f"the bounce is recorded; {behind.log()}")
        for member in (ANA, EVE):
            [(return_path, _)] = house.outside.copies_for(member)
            assert return_path == f"garden-bounces+{member.replace('@', '=')}@{DOMAIN}"
        counted = {one.address: (one.bounces, one.last_bounce) for one in roster.members(GARDEN)}
        assert counted[ANA] == counted[EVE] == (0, "")
        assert counted[BEN][0] == 1 and "ben has moved away" in counted[BEN][1]


@pytest.mark.parametrize("kept", [True, False], ids=["kept sessions", "one message a session"])
def test_a_load_of_500_messages_is_accepted_and_passed_on(sqlite: Configuration, kept: bool) -> None:
    require("smtp-source", "Postfix's smtp-source")
    with running(sqlite, clock=WallClock(), policy={"flood": "off"}) as house:
        words = ["-s", "10", "-m", "500", "-l", "2048", "-f", ANA, "-t", f"dan@{BACKED_UP}"]
        ran = subprocess.run(
            [shutil.which("smtp-source", path="/usr/sbin:/usr/bin") or "", *(["-d"] if kept else []), *words,
             f"127.0.0.1:{house.port}"],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        assert house.outside.waits_for(500, 60)
        until(lambda: not bridge.fetch("SELECT id FROM queue_message LIMIT 1"), 20, "the queue is empty")
        assert len(house.outside.taken) == 500
