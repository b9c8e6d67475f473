"""Several delivery processes work one queue: every copy leaves exactly once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from posthouse import database as bridge
from posthouse.configuration import Configuration
from posthouse.directory import domains
from posthouse.lists import creation, roster
from tests.outside import Outside
from tests.people import ANA, DOMAIN, GARDEN, OWEN
from tests.serving import Program, nameserver, until, written

HOSTS = ("far.example", "near.example", "elsewhere.example")
MEMBERS = [f"member{number}@{HOSTS[number % 3]}" for number in range(240)]
POSTINGS = 3


def test_each_copy_leaves_exactly_once(database: Configuration, tmp_path: Path) -> None:
    domains.add(DOMAIN)
    creation.create(GARDEN, [OWEN])
    roster.add(GARDEN, ANA)
    roster.add_many(GARDEN, [("", member) for member in MEMBERS])
    outside = Outside()
    outside.start()
    with nameserver() as names:
        config, port = written(database, names, outside.port, "[processes]\ndelivery = 2")
        program = Program(tmp_path, "serve", "--only", "reception", "--only", "delivery", config=config)
        try:
            program.listens(port)
            until(lambda: len(bridge.fetch("SELECT id FROM queue_claimant")) == 2, 20, "two delivery processes")
            for number in range(POSTINGS):
                header = f"From: {ANA}\r\nTo: {GARDEN}\r\nSubject: {number}\r\nMessage-ID: <{number}@far.example>\r\n"
                content = f"{header}\r\nHello.\r\n"
                assert outside.sends(ANA, [GARDEN], content.encode(), port).startswith("250")
            assert outside.waits_for(POSTINGS * (len(MEMBERS) + 1), 60)
            until(lambda: not bridge.fetch("SELECT id FROM queue_message LIMIT 1"), 20, "the queue is empty")
            program.stop()
        finally:
            program.kill()
            outside.stop()
    came = Counter((one.subject, recipient) for one in outside.taken for recipient in one.recipients)
    assert set(came.values()) == {1} and len(came) == POSTINGS * (len(MEMBERS) + 1)
    assert bridge.fetch("SELECT id FROM queue_claimant") == []  # both said goodbye
