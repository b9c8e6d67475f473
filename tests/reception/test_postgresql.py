"""Reception on PostgreSQL: the same mail, words of a change from other hosts, and a server that is restarted."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from django.db import connection

from posthouse import configuration
from posthouse.configuration import Configuration
from posthouse.directory import domains
from tests.reception.conftest import Opener, furnish
from tests.reception.station import LETTER, Station, Talker, events, queued, until

GARDEN = "garden@lists.example"


@pytest.fixture
def ana(postgresql: Configuration, pair: tuple[Path, Path], opens: Opener, monkeypatch: pytest.MonkeyPatch) -> Talker:
    """A far host that said EHLO to a house on PostgreSQL, where only a word of a change makes reception look again."""
    monkeypatch.setattr("posthouse.routing.router.FRESH_SECONDS", 1e9)
    station: Station = opens(furnish(postgresql, pair))
    talker = Talker(station.place())
    talker.says("EHLO mail.far.example", 250)
    return talker


def test_a_posting_and_a_refusal_are_kept(ana: Talker) -> None:
    ana.says("MAIL FROM:<ana@far.example>", 250)
    ana.says("RCPT TO:<nobody@lists.example>", "550 5.1.1")
    ana.says(f"RCPT TO:<{GARDEN}>", 250)
    ana.content(LETTER)
    [message] = queued()
    assert message["octets"] == LETTER and message["recipients"] == [GARDEN]
    assert message["prefix"].startswith(b"Received: from mail.far.example")
    until(lambda: len(events("refused")) == 1 and len(events("accepted")) == 1)


def test_large_content_is_a_file_and_its_row_is_in_the_database(ana: Talker, postgresql: Configuration) -> None:
    letter = LETTER + (b"y" * 998 + b"\r\n") * 400
    ana.envelope(GARDEN)
    ana.content(letter)
    [kept] = [path for path in (postgresql.data / "content").rglob("*") if path.is_file()]
    assert kept.read_bytes() == letter and queued()[0]["octets"] is None


def test_a_domain_added_on_another_host_is_ours_at_once(ana: Talker, postgresql: Configuration, tmp_path: Path) -> None:
    ana.says("MAIL FROM:<ana@far.example>", 250)
    ana.says("RCPT TO:<garden@new.example>", "550 5.7.1")
    used = configuration.active()
    configuration.activate(dataclasses.replace(postgresql, data_directory=str(tmp_path / "another-host")))
    domains.add("new.example")
    configuration.activate(used)
    until(lambda: ana.says("RCPT TO:<garden@new.example>").startswith("550 5.1.1"))


def test_a_server_that_cuts_its_connections_costs_at_most_one_451_at_the_end_of_a_message(ana: Talker) -> None:
    ana.envelope(GARDEN)
    ana.content(LETTER)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    ana.says("MAIL FROM:<ana@far.example>", 250)
    for _ in range(3):  # each reading thread had a connection, and asks again over a new one
        ana.says("RCPT TO:<nobody@lists.example>", "550 5.1.1")
    ana.says(f"RCPT TO:<{GARDEN}>", 250)
    reply = ana.content(LETTER, None)
    if not reply.startswith("250"):
        assert reply.startswith("451 4.3.0")
        ana.says("MAIL FROM:<ana@far.example>", 250)
        ana.says(f"RCPT TO:<{GARDEN}>", 250)
        ana.content(LETTER)
    assert len(queued()) == 2
