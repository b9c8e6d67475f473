"""docs/behind-postfix.md and docs/behind-exim.md, word for word, in a real Postfix and a real Exim."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import shutil
import smtplib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from posthouse import database as bridge
from posthouse.configuration import Configuration, load
from posthouse.lists import changing
from tests.interop.peers import Peer, peer
from tests.people import ANA, BEN, DOMAIN, EVE, GARDEN
from tests.ports import free_port
from tests.running_house import House, WallClock, running
from tests.serving import until

pytestmark = pytest.mark.interop
DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
KINDS = ("postfix", "exim")
WAYS = ("asking", "files")
LETTER = (
    f"From: Ana <{ANA}>\r\nTo: {GARDEN}\r\nSubject: Tomatoes\r\nMessage-ID: <t@far.example>\r\n\r\nRipe.\r\n".encode()
)


def blocks(kind: str, way: str) -> dict[str, str]:
    """The fenced blocks of a page by language and section."""
    found: dict[str, str] = {}
    page = (DOCS / f"behind-{kind}.md").read_text()
    for heading, text in re.findall(r"(?ms)^```(\w+ \w+(?: \w+)?)\n(.*?)^```$", page):
        language, which, *section = heading.split()
        if which == way:
            key = "toml" if language == "toml" else (section[0] if section else "")
            found[key] = found.get(key, "") + text
    return found


@contextlib.contextmanager
def in_front(chosen: Configuration, kind: str, way: str) -> Iterator[tuple[House, Peer, Path]]:
    """A house with the page's posthouse.toml, and the mail server with the page's configuration in front of it, and
    the folder of the maps."""
    folder = Path(tempfile.mkdtemp(prefix="posthouse-front-"))
    folder.chmod(0o755)
    try:
        with _in_front(chosen, kind, way, folder) as pair:
            yield (*pair, folder / "maps")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _in_front(chosen: Configuration, kind: str, way: str, folder: Path) -> Iterator[tuple[House, Peer]]:
    page, port = blocks(kind, way), free_port()
    maps = folder / "maps"  # where the mail server's user gets to them
    maps.mkdir()
    text = page.pop("toml").replace(f"/var/lib/posthouse/{kind}", str(maps)).replace(":25", f":{port}")
    (folder / "posthouse.toml").write_text(text)
    said = load(folder / "posthouse.toml")
    assert said.reception.transfer == [] and said.reception.lmtp == ["127.0.0.1:8024"]
    (folder / "main.cf").touch()  # postmap wants one; Debian's is not configured here
    postmap = [word for one in said.service.postmap for word in ([one, "-c", str(folder)] if "/" in one else [one])]
    service = dataclasses.replace(said.service, postmap=postmap)
    used = dataclasses.replace(chosen, service=service, reception=said.reception)
    with running(used, clock=WallClock(), smarthost=said.delivery.smarthost) as house:
        places = house.reception.endpoints()
        lmtp, asked = house.lmtp_port, places.get("service", [("", 8026)])[0][1]
        answers = house.reception._service
        answers._answers._transport = f"lmtp:inet:127.0.0.1:{lmtp}"
        answers._keeper._transport = f"lmtp:inet:127.0.0.1:{lmtp}"
        answers._keeper.stir()
        house.has_list(GARDEN, members=[ANA, BEN])
        swapped = {
            name: part.replace("8024", str(lmtp)).replace("8026", str(asked))
            .replace(f"/var/lib/posthouse/{kind}", str(maps)) for name, part in page.items()
        }  # fmt: skip
        if way == "files":
            until(lambda: DOMAIN in _text(maps / "domains"), 10, "the domains")
            until(lambda: GARDEN in _text(maps / "recipients"), 10, "the addresses")
            if kind == "postfix":
                until(lambda: f":{lmtp}" in _text(maps / "transport"), 10, "the transport")
                until((maps / "transport.db").exists, 10, "postmap")
        with peer(kind, lmtp, house.outside.port, port=port, documented=swapped) as front:
            yield house, front


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def answer(port: int, sender: str, *recipients: str) -> list[str]:
    """The replies to RCPT, as a stranger gets them: from an address of this machine that nobody listed."""
    said = []
    with smtplib.SMTP("127.0.0.1", port, timeout=60, source_address=("127.0.0.2", 0)) as server:
        server.ehlo("client.far.example")
        server.mail(sender)
        for recipient in recipients:
            code, text = server.rcpt(recipient)
            said.append(f"{code} {text.decode()}")
    return said


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_mail_server_in_front_knows_at_once_what_there_is(sqlite: Configuration, kind: str, way: str) -> None:
    with in_front(sqlite, kind, way) as (house, front, _):
        known, bounces, unknown, strange = answer(
            front.port, ANA, GARDEN, f"garden-bounces+ben=far.example@{DOMAIN}", f"nobody@{DOMAIN}", f"x@bees.{DOMAIN}"
        )
        assert known.startswith("250") and bounces.startswith("250"), front.log()
        assert unknown.startswith("550"), unknown + front.log()
        assert strange.startswith("5"), strange
        assert answer(front.port, ANA, f"bees@{DOMAIN}")[0].startswith("550")
        house.has_list(f"bees@{DOMAIN}")
        new = lambda: answer(front.port, ANA, f"bees@{DOMAIN}")[0]  # noqa: E731
        if way == "asking":
            assert new().startswith("250"), front.log()
        until(lambda: new().startswith("250"), 10, front.log())
        changing.remove(f"bees@{DOMAIN}")
        until(lambda: new().startswith("550"), 10, front.log())
        if way == "asking":
            [report] = answer(front.port, "", GARDEN)
            assert report.startswith("550") and f"garden-bounces@{DOMAIN}" in report, report
            changing.set_state(GARDEN, "closed")
            until(lambda: f"garden-owner@{DOMAIN}" in answer(front.port, ANA, GARDEN)[0], 10, "its own words")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_posting_comes_in_by_lmtp_and_its_copies_leave_the_way_they_came(
    sqlite: Configuration, kind: str, way: str
) -> None:
    with in_front(sqlite, kind, way) as (house, front, _):
        assert house.outside.sends(ANA, [GARDEN], LETTER, front.port).startswith("250"), front.log()
        assert house.outside.waits_for(2), front.log()
        [(return_path, copy)] = house.outside.copies_for(BEN)
        assert return_path == f"garden-bounces+ben=far.example@{DOMAIN}"
        received = copy.get_all("Received")
        assert len(received) == 3 and " with LMTP" in received[1], received
        assert front.name.lower() in received[0] + received[2]
        until(lambda: not bridge.fetch("SELECT id FROM queue_message LIMIT 1"), 20, "the queue is empty")


@pytest.mark.parametrize("kind", KINDS)
def test_lmtp_answers_each_recipient_and_who_sent_is_told_of_the_refused_one_alone(
    sqlite: Configuration, kind: str
) -> None:
    with in_front(sqlite, kind, "files") as (house, front, maps):
        bees = f"bees@{DOMAIN}"
        house.has_list(bees)
        until(lambda: bees in _text(maps / "recipients"), 10, "the addresses")
        until(lambda: answer(front.port, EVE, bees)[0].startswith("250"), 10, "the list is known")
        house.call(house.reception._service._keeper.stop())  # what follows is in no file
        with smtplib.SMTP("127.0.0.1", front.port, timeout=60) as server:
            server.ehlo("client.far.example")
            server.mail(EVE)
            assert server.rcpt(GARDEN)[0] == server.rcpt(bees)[0] == 250, front.log()
            changing.set_state(bees, "closed")
            assert server.data(LETTER)[0] == 250
        assert house.outside.waits_for(1), front.log()
        until(lambda: any(path == "" for path, _ in house.outside.copies_for(EVE)), 20, "the report")
        reports = [copy for path, copy in house.outside.copies_for(EVE) if path == "" and bees in copy.as_string()]
        assert len(reports) == 1
        assert GARDEN not in "".join(re.findall(r"Final-Recipient:.*", reports[0].as_string()))


@pytest.mark.parametrize("kind", KINDS)
def test_while_the_house_is_away_the_mail_server_in_front_defers(sqlite: Configuration, kind: str) -> None:
    with in_front(sqlite, kind, "asking") as (house, front, _):
        assert answer(front.port, ANA, GARDEN)[0].startswith("250"), front.log()
        house.call(house.reception._service.stop())
        said = answer(front.port, ANA, GARDEN, f"nobody@{DOMAIN}")
        assert all(one.startswith("45") for one in said), said
