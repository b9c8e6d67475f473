"""Reception and delivery are killed again and again under load: what got its 250 reaches everyone it is for.

POSTHOUSE_KILLS sets how many kills (100 on SQLite, a quarter of it on PostgreSQL).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from posthouse import database as bridge
from posthouse.configuration import Configuration
from posthouse.delivery.dialling import WINDOW
from posthouse.directory import domains
from posthouse.lists import creation, roster
from tests.outside import Outside
from tests.people import ANA, BEN, CLEO, DOMAIN, EVE, GARDEN, OWEN
from tests.running_house import BACKED_UP
from tests.serving import Program, Sender, environment, nameserver, until, written

KILLS = int(os.environ.get("POSTHOUSE_KILLS", "100"))
MEMBERS = (ANA, BEN, CLEO, EVE)
CONNECTIONS = 4  # to one destination
SENDERS = 8


def one_of_ours(chance: random.Random) -> list[str]:
    """Mostly single messages to pass on, some with several recipients, some postings."""
    dice = chance.random()
    if dice < 0.2:
        return [GARDEN]
    count = 1 if dice < 0.8 else 4
    return [f"person{chance.randrange(1000)}@{BACKED_UP}" for _ in range(count)]


def kill_some(program: Program, senders: list[Sender], chance: random.Random, count: int) -> Counter[str]:
    """SIGKILL reception, delivery or both at random moments; waits for each to be back. Gives how often each died.

    Now and then mail is accepted in between, however long that takes.
    """
    died: Counter[str] = Counter()
    waiting = threading.Event()
    while sum(died.values()) < count:
        waiting.wait(chance.uniform(0.05, 0.6))
        if chance.random() < 0.25:
            before = accepted(senders)
            until(lambda before=before: accepted(senders) > before, 20, "mail is accepted")
        wanted = chance.choice([["post:reception"], ["post:delivery"], ["post:reception", "post:delivery"]])
        victims = [(pid, name) for pid, name in program.children().items() if name in wanted]
        for pid, name in victims:
            os.kill(pid, signal.SIGKILL)
            died[name] += 1
        gone = {pid for pid, _ in victims}
        until(lambda gone=gone: not gone & set(program.children()), 10, "the killed are buried")
        until(lambda: len(program.children()) == 2, 10, "both roles run again")
    return died


def accepted(senders: list[Sender]) -> int:
    """How many messages got their 250."""
    return sum(len(sender.accepted) for sender in senders)


def expected(senders: list[Sender]) -> dict[tuple[str, str], str]:
    """(subject without the list's prefix, recipient) of every copy that was promised."""
    return {
        (subject, person): recipient
        for sender in senders
        for subject, recipients in sender.accepted.items()
        for recipient in recipients
        for person in (MEMBERS if recipient == GARDEN else [recipient])
    }


def arrived(outside: Outside) -> Counter[tuple[str, str]]:
    with outside.lock:
        return Counter(
            (one.subject.removeprefix("[Garden] "), recipient) for one in outside.taken for recipient in one.recipients
        )


def queue_empties(config: Path, outside: Outside, promised: set[tuple[str, str]], seconds: float) -> None:
    """Wait for what was promised; what waits for its next attempt is made due, as an operator would."""
    end = time.monotonic() + seconds
    asked = threading.Event()
    while promised - set(arrived(outside)) and time.monotonic() < end:
        subprocess.run(
            [sys.executable, "-m", "posthouse", "queue", "retry"],
            env=environment(POSTHOUSE_CONFIG=str(config)), check=True, capture_output=True,
        )  # fmt: skip
        asked.wait(1.0)


def test_what_was_accepted_arrives_whatever_is_killed(database: Configuration, tmp_path: Path) -> None:
    on_postgresql = database.database_url.startswith("postgres")
    kills = max(1, KILLS // 4) if on_postgresql else KILLS
    domains.add(DOMAIN)
    creation.create(GARDEN, [OWEN])
    roster.add_many(GARDEN, [("", member) for member in MEMBERS])
    outside = Outside()
    outside.start()
    with nameserver() as names:
        config, port = written(database, names, outside.port, f"connections_per_destination = {CONNECTIONS}")
        program = Program(tmp_path, "serve", "--only", "reception", "--only", "delivery", config=config)
        senders = [Sender(f"sender{number}", port, one_of_ours, 0.02) for number in range(SENDERS)]
        try:
            program.listens(port)
            until(lambda: len(program.children()) == 2, 10, "both roles run")
            for sender in senders:
                sender.start()
            died = kill_some(program, senders, random.Random(7), kills)
            for sender in senders:
                sender.stopped.set()
            for sender in senders:
                sender.join(120)
            promised = set(expected(senders))
            queue_empties(config, outside, promised, 180)
            came = arrived(outside)
            program.stop()
        finally:
            program.kill()
            outside.stop()
    repeated = sum(count - 1 for count in came.values())
    places = 4  # far, near and elsewhere.example and the domain that is passed on
    bound = died["post:delivery"] * places * CONNECTIONS * WINDOW
    print(
        f"\n{'PostgreSQL' if on_postgresql else 'SQLite'}: {died['post:reception']} receptions and "
        f"{died['post:delivery']} deliveries killed; {accepted(senders)} messages accepted, "
        f"{len(promised)} copies promised, {len(promised - set(came))} lost, {repeated} repeated "
        f"(at most {bound} could be)"
    )
    assert promised - set(came) == set()
    assert accepted(senders) > kills // 8, "there was no load"
    assert repeated <= bound
    assert [refusal for sender in senders for refusal in sender.refused if not refusal.startswith("4")] == []


def test_what_a_killed_process_had_under_way_is_sent_by_the_next_at_once(sqlite: Configuration, tmp_path: Path) -> None:
    outside = Outside()
    outside.start()
    with nameserver() as names:
        config, port = written(sqlite, names, outside.port)
        program = Program(tmp_path, "serve", "--only", "reception", "--only", "delivery", config=config)
        try:
            program.listens(port)
            outside.answers.clear()
            assert outside.sends(ANA, [f"dan@{BACKED_UP}"], b"Subject: Hello\r\n\r\n", port).startswith("250")
            assert outside.asked.wait(60)
            [delivery] = [pid for pid, name in program.children().items() if name == "post:delivery"]
            os.kill(delivery, signal.SIGKILL)
            until(lambda: delivery not in program.children(), 10, "it is buried")
            bridge.run("UPDATE queue_claimant SET alive_until = alive_until + 3600000")  # its lease helps nobody here
            outside.answers.set()  # of the first attempt nothing is left: its connection ended before the reply
            assert outside.waits_for(1), "the claims of the dead come back only with their lease"
            program.stop()
        finally:
            program.kill()
            outside.stop()
    assert [one.subject for one in outside.taken] == ["Hello"]


def test_a_kill_counts_an_attempt_for_what_had_begun_and_not_for_what_was_only_claimed(
    database: Configuration, tmp_path: Path
) -> None:
    def rows() -> list[tuple[int | None, int]]:
        """(claimant, attempts) of all that is in the queue."""
        return [(row[0], row[1]) for row in bridge.fetch("SELECT claimant, attempts FROM queue_delivery")]

    outside = Outside()
    outside.start()
    with nameserver() as names:
        config, port = written(database, names, outside.port, "connections_per_destination = 1")
        program = Program(tmp_path, "serve", "--only", "reception", "--only", "delivery", config=config)
        try:
            program.listens(port)
            outside.answers.clear()
            assert outside.sends(ANA, [f"dan@{BACKED_UP}"], b"Subject: Hello\r\n\r\n", port).startswith("250")
            assert outside.asked.wait(60)
            others = [f"person{number}@{BACKED_UP}" for number in range(60)]
            for person in others:  # a message for each, so that they wait for the one connection
                assert outside.sends(ANA, [person], b"Subject: Hello\r\n\r\n", port).startswith("250")
            until(lambda: len(rows()) == 61 and all(claimant for claimant, _ in rows()), 10, "all are claimed")
            [(claimant, _), *_] = rows()
            [delivery] = [pid for pid, name in program.children().items() if name == "post:delivery"]
            os.kill(delivery, signal.SIGKILL)
            until(lambda: all(who and who != claimant for who, _ in rows()), 10, "the next process has claimed them")
            attempts = Counter(count for _, count in rows())
            outside.answers.set()
            assert outside.waits_for(61)
            program.stop()
        finally:
            program.kill()
            outside.stop()
    assert set(attempts) == {1, 2} and 1 <= attempts[2] <= WINDOW, attempts
    assert not list((database.data / "run" / "begun").iterdir()), "what ends in order leaves no notes"
