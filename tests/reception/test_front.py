"""What other mail servers may ask: every map in every protocol, always current, bounded, and files that keep up."""

from __future__ import annotations

import dataclasses
import json
import os
import pwd
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from posthouse.configuration import Configuration, ConfigurationError, Service, load
from posthouse.database import Bridge
from posthouse.directory import aliases, domains
from posthouse.lists import changing, creation
from posthouse.operations.supervisor import holder_of
from posthouse.reception.front.conversation import MOST_OCTETS, split
from posthouse.reception.front.sockets import ServiceError, bind_unix
from tests.reception.station import Station
from tests.serving import until

GARDEN = "garden@lists.example"
TRANSPORT = "lmtp:inet:127.0.0.1:8024"
SERVICE = {"listen": ["127.0.0.1:0"], "transport": TRANSPORT}


class Asker:
    """A mail server that asks."""

    def __init__(self, place: tuple[str, int] | str) -> None:
        if isinstance(place, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(60)
            self.socket.connect(place)
        else:
            self.socket = socket.create_connection(place, 60)
        self.file = self.socket.makefile("rb")

    def map(self, text: str) -> str:
        """Postfix's socketmap."""
        self.socket.sendall(b"%d:%b," % (len(text.encode()), text.encode()))
        return self.netstring()

    def netstring(self) -> str:
        length = b""
        while (octet := self.file.read(1)) != b":":
            assert octet.isdigit(), octet
            length += octet
        answer = self.file.read(int(length))
        assert self.file.read(1) == b","
        return answer.decode()

    def policy(self, **attributes: str) -> str:
        """Postfix's policy delegation."""
        lines = {"request": "smtpd_access_policy", "protocol_state": "RCPT", **attributes}
        self.socket.sendall("".join(f"{name}={value}\n" for name, value in lines.items()).encode() + b"\n")
        line = self.file.readline().decode()
        assert self.file.readline() == b"\n"
        return line.removeprefix("action=").rstrip("\n")

    def plain(self, text: str) -> str:
        """Exim's ${readsocket}: a line, the end of what it says, and the answer."""
        self.socket.sendall(text.encode())
        self.socket.shutdown(socket.SHUT_WR)
        return self.file.read().decode()

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@pytest.fixture
def asks(opens: Callable[..., Station]) -> Iterator[Callable[[], Asker]]:
    station = opens(service=SERVICE, reception={"relay_domains": ["backup.example"]})
    made: list[Asker] = []

    def ask() -> Asker:
        made.append(Asker(station.place("service")))
        return made[-1]

    yield ask
    for asker in made:
        asker.close()


SAID = [
    ("recipients garden@lists.example", "OK OK"),
    ("recipients Garden@Lists.Example", "OK OK"),
    ("recipients garden-bounces+ben=far.example@lists.example", "OK OK"),
    ("recipients nobody@lists.example", "NOTFOUND "),
    ("recipients ana@far.example", "NOTFOUND "),
    ("recipients dan@backup.example", "OK OK"),
    ("recipients @lists.example", "NOTFOUND "),
    ("recipients not an address", "NOTFOUND "),
    ("recipients a b@lists.example", "NOTFOUND "),
    ("domains lists.example", "OK lists.example"),
    ("domains far.example", "NOTFOUND "),
    ("domains backup.example", "NOTFOUND "),
    ("domains .example", "NOTFOUND "),
    ("domains example", "NOTFOUND "),
    ("transport garden@lists.example", f"OK {TRANSPORT}"),
    ("transport nobody@lists.example", "NOTFOUND "),
    ("transport lists.example", f"OK {TRANSPORT}"),
    ("transport far.example", "NOTFOUND "),
    ("transport *", "NOTFOUND "),
    ("addresses garden-request@lists.example", f"OK {TRANSPORT}"),
    ("addresses lists.example", "NOTFOUND "),
    ("aliases postmaster@lists.example", "OK owen@far.example"),
    ("aliases garden@lists.example", "NOTFOUND "),
    ("replies nobody@lists.example ana@far.example", "OK 550 5.1.1 "),
    ("replies garden@lists.example <>", "OK 550 5.7.1 "),
    ("replies garden@lists.example ana@far.example", "NOTFOUND "),
    ("replies ana@far.example ana@far.example", "NOTFOUND "),
    ("passwords owen@far.example", "PERM there is no map"),
    ("recipients ", "NOTFOUND "),
    ("", "PERM there is no map"),
]


def test_the_maps_say_what_routing_says(asks: Callable[[], Asker]) -> None:
    asker = asks()
    for question, answer in SAID:
        said = asker.map(question)
        assert said == answer or (answer[-1:] in " p" and len(answer) > 9 and said.startswith(answer)), (question, said)
        if question:
            assert asks().plain(f"{question}\n") == f"{said.rstrip()}\n"


def test_a_list_made_a_moment_ago_is_known_and_a_removed_one_is_not(asks: Callable[[], Asker]) -> None:
    asker = asks()
    assert asker.map("recipients bees@lists.example") == "NOTFOUND "
    creation.create("bees@lists.example", ["owen@far.example"])
    assert asker.map("recipients bees@lists.example") == "OK OK"
    changing.remove("bees@lists.example")
    until(lambda: asker.map("recipients bees@lists.example") == "NOTFOUND ", 5, "the removed list is forgotten")


def test_what_cannot_be_decided_now_is_a_temporary_answer(asks: Callable[[], Asker]) -> None:
    aliases.add("later@lists.example", ":defer: we are moving")
    asker = asks()
    assert asker.map("recipients later@lists.example").startswith("TEMP 4")
    assert "we are moving" in asker.policy(recipient="later@lists.example")
    assert asker.policy(recipient="later@lists.example").startswith("4")


def test_policy_delegation_speaks_for_our_addresses_alone(asks: Callable[[], Asker]) -> None:
    asker = asks()
    assert asker.policy(sender="ana@far.example", recipient=GARDEN) == "DUNNO"
    assert asker.policy(sender="ana@far.example", recipient="nobody@lists.example").startswith("550 5.1.1 ")
    assert asker.policy(sender="", recipient=GARDEN).startswith("550 5.7.1 ")
    assert "garden-bounces@lists.example" in asker.policy(sender="", recipient=GARDEN)
    assert asker.policy(sender="", recipient="garden-bounces@lists.example") == "DUNNO"
    assert asker.policy(sender="ana@far.example", recipient="ben@far.example") == "DUNNO"
    assert asker.policy(protocol_state="DATA", recipient="nobody@lists.example") == "DUNNO"
    assert asker.policy(request="something_else", recipient="nobody@lists.example") == "DUNNO"
    assert asker.policy(recipient="") == "DUNNO"


def test_a_paused_list_is_refused_in_its_own_words(asks: Callable[[], Asker]) -> None:
    changing.set_state(GARDEN, "paused")
    asker = asks()
    until(lambda: asker.policy(recipient=GARDEN) != "DUNNO", 5, "the pause is known")
    assert "garden-owner@lists.example" in asker.policy(recipient=GARDEN)


def test_all_three_protocols_share_a_connection_and_many_questions_are_answered_in_order(
    asks: Callable[[], Asker],
) -> None:
    asker = asks()
    many = [f"recipients {name}@lists.example" for name in ("garden", "x", "garden-owner", "y")] * 50
    sent = b"".join(b"%d:%b," % (len(text), text.encode()) for text in many)
    threading.Thread(target=asker.socket.sendall, args=(sent,)).start()
    assert [asker.netstring() for _ in many] == ["OK OK", "NOTFOUND ", "OK OK", "NOTFOUND "] * 50
    assert asker.policy(recipient="nobody@lists.example").startswith("550")
    assert asker.plain("domains lists.example") == "OK lists.example\n"


@pytest.mark.parametrize(
    "nonsense",
    [b"99999:", b"123456:x", b"5:abcdefgh", b"1" * 100, b"a=b\n" * 10_000, b"x" * (MOST_OCTETS + 2), b"0x:,"],
)
def test_what_is_no_question_is_hung_up_on(asks: Callable[[], Asker], nonsense: bytes) -> None:
    asker = asks()
    try:
        asker.socket.sendall(nonsense)
        assert asker.socket.recv(10) == b""
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert asks().map("recipients garden@lists.example") == "OK OK"


@pytest.mark.parametrize(
    "whole", [b"18:recipients a@b.org,", b"request=x\nrecipient=y\n\n", b"recipients a@b.org\n", b"domains x\r\n"]
)
def test_a_question_is_the_same_however_it_is_cut(whole: bytes) -> None:
    for at in range(len(whole)):
        question, rest = split(whole[:at], False)
        assert question is None and rest == whole[:at], at
    question, rest = split(whole + b"more", False)
    assert question is not None and rest == b"more"


def test_empty_lines_ask_nothing_however_many_there_are(asks: Callable[[], Asker]) -> None:
    assert asks().plain("\n\r\n" * 10_000 + "domains lists.example\n") == "OK lists.example\n"


def test_strangers_are_hung_up_on_and_there_is_room_for_so_many(opens: Callable[..., Station]) -> None:
    station = opens(service={**SERVICE, "networks": ["192.0.2.0/24"]})
    asker = Asker(station.place("service"))
    with pytest.raises((ConnectionError, AssertionError)):
        asker.map("domains lists.example")
    asker.close()
    small = opens(service={**SERVICE, "connections": 1})
    first, second = Asker(small.place("service")), Asker(small.place("service"))
    assert first.map("domains lists.example") == "OK lists.example"
    with pytest.raises((ConnectionError, AssertionError)):
        second.map("domains lists.example")
    first.close()
    second.close()


def test_who_is_silent_for_too_long_is_hung_up_on(opens: Callable[..., Station]) -> None:
    station = opens(service={**SERVICE, "idle_seconds": 0.05})
    asker = Asker(station.place("service"))
    assert asker.socket.recv(10) == b""
    asker.close()


def test_the_service_is_off_until_it_is_asked_for(opens: Callable[..., Station]) -> None:
    assert "service" not in opens().reception.endpoints()


def test_a_unix_socket_has_its_mode_and_replaces_one_that_nobody_holds(
    opens: Callable[..., Station], tmp_path: Path
) -> None:
    path = str(tmp_path / "service")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    opens(service={"listen": [path], "transport": TRANSPORT, "socket_mode": "0640"})
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
    asker = Asker(path)
    assert asker.map("transport lists.example") == f"OK {TRANSPORT}"
    asker.close()
    from posthouse.reception.listeners import ListenError

    with pytest.raises(ListenError, match="another program listens"):
        opens(service={"listen": [path]})
    (tmp_path / "file").write_text("")
    with pytest.raises(ListenError, match="is no socket"):
        opens(service={"listen": [str(tmp_path / "file")]})


def test_a_unix_socket_is_the_services_users_and_its_holder_is_named(tmp_path: Path) -> None:
    path, nobody = str(tmp_path / "service"), pwd.getpwuid(65534)
    service = Service(listen=[path])
    [bound] = bind_unix(Configuration(user=nobody.pw_name, service=service))
    try:
        if os.geteuid() == 0:
            assert (os.stat(path).st_uid, os.stat(path).st_gid) == (nobody.pw_uid, nobody.pw_gid)
        assert f"(process {os.getpid()})" in holder_of(path)
    finally:
        bound.close()
    assert holder_of(path) == ""
    with pytest.raises(ServiceError, match="there is no group 'no-such-group', see socket_group"):
        bind_unix(Configuration(service=dataclasses.replace(service, socket_group="no-such-group")))


def test_a_database_that_is_away_is_a_temporary_answer_in_every_protocol(
    opens: Callable[..., Station], monkeypatch: pytest.MonkeyPatch
) -> None:
    station = opens(service=SERVICE)
    from posthouse import database
    from posthouse.routing import precedence

    def away(*_: object) -> None:
        raise database.Unavailable("gone")

    monkeypatch.setattr(precedence, "route", away)
    station.reception._router.forget()
    asker = Asker(station.place("service"))
    assert asker.map("recipients garden@lists.example").startswith("TEMP ")
    assert asker.map("domains lists.example").startswith("TEMP ")
    assert asker.policy(recipient=GARDEN).startswith("DEFER_IF_PERMIT 4.3.0 ")
    assert asker.plain("recipients garden@lists.example\n").startswith("TEMP ")
    asker.close()


def test_the_files_for_postfix_and_exim_follow_every_change(opens: Callable[..., Station], tmp_path: Path) -> None:
    made = tmp_path / "made"
    script = tmp_path / "postmap"
    script.write_text(f'#!/bin/sh\n[ -e {tmp_path}/broken ] && exit 1\necho "$1" >>{made}\n')
    script.chmod(0o755)
    folders = {"postfix_maps": str(tmp_path / "postfix"), "exim_maps": str(tmp_path / "exim")}
    opens(service={"transport": TRANSPORT, "postmap": [str(script), "lmdb:%s"], **folders})
    postfix, exim = tmp_path / "postfix", tmp_path / "exim"
    until((exim / "recipients").exists, 10, "the files are written")
    text = (postfix / "recipients").read_text()
    for name in ("garden", "garden-bounces", "garden-subscribe", "postmaster"):
        assert f"\n{name}@lists.example OK\n" in text
    assert (postfix / "transport").read_text().endswith(f"\nlists.example {TRANSPORT}\n")
    assert (postfix / "domains").read_text().endswith("\nlists.example OK\n")
    assert "\ngarden-bounces@lists.example: OK\n" in (exim / "recipients").read_text()
    assert (exim / "domains").read_text().endswith("\nlists.example\n")
    assert stat.S_IMODE(os.stat(exim / "recipients").st_mode) == 0o644
    assert set(made.read_text().split()) == {
        f"lmdb:{postfix / name}" for name in ("domains", "recipients", "transport")
    }
    (tmp_path / "broken").touch()
    domains.add("owed.example")
    until(lambda: "owed.example" in (postfix / "domains").read_text(), 10, "the text is written")
    (tmp_path / "broken").unlink()
    made.unlink()
    untouched = os.stat(postfix / "domains").st_mtime_ns
    domains.add("other.example")
    domains.stand_for("other.example", "lists.example")
    creation.create("bees@lists.example", ["owen@far.example"])
    until(lambda: "\nbees-join@other.example OK\n" in (postfix / "recipients").read_text(), 10, "the change is written")
    until(lambda: made.exists() and "domains" in made.read_text(), 10, "what postmap owed is made up for")
    changing.remove("garden@lists.example")
    until(lambda: "garden" not in (exim / "recipients").read_text(), 10, "the removed list is gone")
    assert os.stat(postfix / "domains").st_mtime_ns > untouched
    until(lambda: not [name for name in os.listdir(postfix) if name.startswith(".")], 10, "nothing is left over")


def test_the_command_writes_the_same_files_and_asks_as_the_others_do(house: Configuration, tmp_path: Path) -> None:
    from posthouse.operations.cli import maps

    ran = CliRunner().invoke(maps.maps, ["write", "exim", str(tmp_path / "x"), "--json"])
    assert json.loads(ran.output)["changed"] == ["domains", "recipients"], ran.output
    assert (tmp_path / "x/domains").read_text().endswith("lists.example\n")
    again = CliRunner().invoke(maps.maps, ["write", "exim", str(tmp_path / "x")])
    assert "nothing changed" in again.output
    asked = CliRunner().invoke(maps.maps, ["ask", "recipients", GARDEN])
    assert (asked.output, asked.exit_code) == ("OK OK\n", 0)
    nobody = CliRunner().invoke(maps.maps, ["ask", "recipients", "nobody@lists.example"])
    assert (nobody.output, nobody.exit_code) == ("NOTFOUND\n", 3)
    assert CliRunner().invoke(maps.maps, ["ask", "recipient", GARDEN]).exit_code == 2


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('listen = ["nowhere"]', "or the /path of a UNIX socket"),
        ('socket_mode = "rw"', "must be a mode in octal"),
        (f'listen = ["/{"x" * 120}"]', "107 bytes"),
    ],
)
def test_what_the_service_cannot_be_is_said_when_the_file_is_read(tmp_path: Path, text: str, rule: str) -> None:
    (tmp_path / "posthouse.toml").write_text(f"[service]\n{text}\n")
    with pytest.raises(ConfigurationError, match="line 2") as caught:
        load(tmp_path / "posthouse.toml")
    assert rule in str(caught.value)


def test_answers_come_from_memory(asks: Callable[[], Asker], monkeypatch: pytest.MonkeyPatch) -> None:
    asker = asks()
    asker.map("recipients garden@lists.example")
    read, asked = Bridge.read, []

    def counted(bridge: Bridge, act: Any, *arguments: Any) -> Any:
        asked.append(act)
        return read(bridge, act, *arguments)

    monkeypatch.setattr(Bridge, "read", counted)
    for _ in range(500):
        assert asker.map("recipients garden@lists.example") == "OK OK"
    assert len(asked) <= 50, "every few seconds it looks whether what it knows still holds"
