"""The web role as a process: several share the sockets, and SIGTERM lets answers be finished."""

from __future__ import annotations

import dataclasses
import http.client
import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from waitress import wasyncore

from posthouse import database
from posthouse.configuration import Configuration
from tests.people import GARDEN
from tests.web.neighbourhood import Neighbourhood


@pytest.fixture
def listening() -> Iterator[list[socket.socket]]:
    """A listening socket on each of two free ports."""
    made = []
    for _ in range(2):
        one = socket.socket()
        one.bind(("127.0.0.1", 0))
        one.listen(50)
        made.append(one)
    yield made
    for one in made:
        one.close()


def start(chosen: Configuration, sockets: list[socket.socket]) -> int:
    """Fork a web process; its id."""
    from posthouse.web import server

    database.close()
    child = os.fork()  # its output goes nowhere: a child that outlives a failed test must not hold the test's pipes
    if child:
        return child
    status = 1
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    signal.alarm(60)
    try:
        server.serve(chosen, sockets)
        status = 0
    finally:
        os._exit(status)


def ask(one: socket.socket, path: str = "/health") -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection(*one.getsockname(), timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read(), dict(answer.getheaders())


def test_processes_share_the_sockets_and_stop_when_told(sqlite: Configuration, listening: list[socket.socket]) -> None:
    children = [start(sqlite, listening) for _ in range(2)]
    for one in listening * 3:
        status, body, headers = ask(one)
        assert (status, body) == (200, b"ok\n")
        assert "Server" not in headers
    os.kill(children[0], signal.SIGTERM)
    assert os.waitpid(children[0], 0)[1] == 0
    assert ask(listening[0])[0] == 200  # the other one answers
    os.kill(children[1], signal.SIGTERM)
    assert os.waitpid(children[1], 0)[1] == 0


def test_a_request_that_was_begun_is_answered_after_sigterm(
    sqlite: Configuration, listening: list[socket.socket]
) -> None:
    child = start(sqlite, listening)
    assert ask(listening[0])[0] == 200
    late = socket.create_connection(listening[0].getsockname(), timeout=60)
    late.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n")
    slow = http.client.HTTPConnection(*listening[0].getsockname(), timeout=60)
    slow.request("GET", "/health")
    assert slow.getresponse().read() == b"ok\n"
    slow.request("GET", "/")  # on a kept connection, so that this process has it
    os.kill(child, signal.SIGTERM)
    assert slow.getresponse().status == 200
    assert os.waitpid(child, 0)[1] == 0
    late.close()


def test_what_was_asked_while_the_answer_before_it_was_put_away_is_answered_too(
    sqlite: Configuration, listening: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    from waitress.channel import HTTPChannel
    from waitress.server import create_server

    from posthouse.web import server
    from posthouse.web.wsgi import application

    channels: dict[int, Any] = {}
    made = create_server(application, map=channels, sockets=listening, threads=1, asyncore_use_poll=True)
    client = http.client.HTTPConnection(*listening[0].getsockname(), timeout=60)
    client.connect()
    while not (guests := [one for one in channels.values() if isinstance(one, HTTPChannel)]):
        server._turn(channels, 60)
    guests[0].requests = ["the one before"]  # its answer has left, and its thread has yet to say so
    client.request("GET", "/health")
    turn, turns = server._turn, []

    def turning(channels: dict[int, Any], timeout: float) -> None:
        turn(channels, timeout)
        turns.append(timeout)
        if len(turns) == 3:
            guests[0].requests = []

    monkeypatch.setattr(server, "_turn", turning)
    try:
        server._finish(channels)
        assert len(turns) > 3 and client.getresponse().read() == b"ok\n"
        assert not [one for one in channels.values() if isinstance(one, HTTPChannel)]
    finally:
        made.task_dispatcher.shutdown(timeout=60)
        wasyncore.close_all(channels, ignore_all=True)
        client.close()


def test_head_and_odd_requests_keep_the_connection_in_step(
    sqlite: Configuration, listening: list[socket.socket]
) -> None:
    child = start(sqlite, listening)
    connection = http.client.HTTPConnection(*listening[0].getsockname(), timeout=60)
    for method, path, expected in (("HEAD", "/", 200), ("GET", "/health", 200), ("HEAD", "/nowhere", 404),
                                   ("OPTIONS", "/", 405), ("GET", "/", 200)):  # fmt: skip
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == expected
        assert (body == b"") is (method in ("HEAD", "OPTIONS"))
    os.kill(child, signal.SIGTERM)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(
    ("request_line", "status"),
    [(b"GET / HTTP/1.1\r\nno field\r\n\r\n", b"400"), (b"nonsense\r\n\r\n", b"400"),
     (b"GET /" + b"a" * (32 * 1024 - 5), b"431"), (b"POST / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n", b"413")],
)  # fmt: skip
def test_what_is_no_request_is_answered_too(
    sqlite: Configuration, listening: list[socket.socket], request_line: bytes, status: bytes
) -> None:
    child = start(sqlite, listening)
    with socket.create_connection(listening[0].getsockname(), timeout=60) as client:
        client.sendall(request_line)
        assert client.makefile("rb").readline().split()[1:2] == [status]
    os.kill(child, signal.SIGTERM)
    assert os.waitpid(child, 0)[1] == 0


def test_pages_do_not_wait_for_clients_that_download_and_do_not_read(
    sqlite: Configuration, listening: list[socket.socket]
) -> None:
    site = Neighbourhood(sqlite)
    for number in range(20):  # far more than what sockets hold
        site.letter(number, "Ripe at last, says the gardener.\r\n" * 30_000)
    web = dataclasses.replace(sqlite.web, threads=1)
    child = start(dataclasses.replace(sqlite, web=web), listening)
    held = []
    for _ in range(2):
        one = socket.create_connection(listening[0].getsockname(), timeout=60)
        one.sendall(f"GET /archives/{GARDEN}/mbox HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert one.recv(15) == b"HTTP/1.1 200 OK"  # it is under way, and will not be read further
        held.append(one)
    status, body, _ = ask(listening[0], f"/archives/{GARDEN}/")
    assert status == 200 and b"Tomatoes" in body
    status, _, headers = ask(listening[0], f"/archives/{GARDEN}/mbox")
    assert (status, headers["Retry-After"]) == (429, "60")
    for one in held:
        one.close()
    while (whole := ask(listening[0], f"/archives/{GARDEN}/mbox"))[0] == 429:
        pass  # until the server has noticed
    assert whole[0] == 200 and whole[1].count(b"\nMessage-ID:") == 20
    os.kill(child, signal.SIGTERM)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(
    ("waiting", "for_seconds", "sent", "silent", "stuck"),
    [
        (1, 30, 0, 30, False),  # give it a minute
        (1, 61, 0, 61, True),
        (0, 6_000, 0, 6_000, False),  # nothing is ready: we are slow
        (1, 100, 10_000_000, 61, True),
        (1, 100, 10_000_000, 5, False),
        (1, 1_000, 4_000, 5, True),  # a few octets now and then
        (1, 1_000, 5_000_000, 5, False),
    ],
)
def test_who_takes_nothing_or_next_to_nothing_is_stuck(
    waiting: int, for_seconds: float, sent: int, silent: float, stuck: bool
) -> None:
    from posthouse.web import server

    one = server._Channel.__new__(server._Channel)
    one.since, one.sent, one.total_outbufs_len, one.last_activity = 1_000.0, sent, waiting, 50_000 - silent
    assert one.is_stuck(1_000.0 + for_seconds, 50_000) is stuck
    one.since = None
    assert not one.is_stuck(1_000.0 + for_seconds, 50_000)
