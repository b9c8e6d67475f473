"""Several delivery processes work one queue: no delivery is held by two, and nothing is lost with one that dies."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from posthouse import database as bridge
from posthouse.configuration import Configuration
from posthouse.queue.claim import claim, next_due, register, release_dead, renew
from posthouse.queue.enqueue import enqueue, enqueue_many
from posthouse.queue.errors import ClaimantGone
from posthouse.queue.outcome import DEFERRED, DELIVERED, FAILED, Outcome, record_outcomes
from posthouse.queue.sweep import sweep
from tests.queue.arrivals import NOW, arrival, count

LATER = NOW + 31_000  # a lease of 30 seconds has ended

_CLAIMS = """
import sys
from pathlib import Path
from posthouse import database
from tests import databases
from posthouse.queue.claim import claim, register
database.use(databases.configured(Path(sys.argv[1]), sys.argv[2]))
me = register("other", int(sys.argv[3]))
print("ready", flush=True)
sys.stdin.readline()
empty = 0
while empty < 3:
    mine = claim(me, int(sys.argv[3]), 7, 1000)
    empty = 0 if mine else empty + 1
    for one in mine:
        print(one.id, flush=True)
print("done", flush=True)
sys.stdin.readline()
"""


def claimant_process(house: Configuration) -> subprocess.Popen[str]:
    """A process that claims everything it can get, prints the ids, and holds them until it is killed."""
    started = subprocess.Popen(
        [sys.executable, "-c", _CLAIMS, str(house.data), house.database_url, str(NOW)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert started.stdout is not None and started.stdout.readline() == "ready\n"
    return started


def claimed_by(process: subprocess.Popen[str]) -> list[int]:
    assert process.stdout is not None
    return [int(line) for line in iter(process.stdout.readline, "done\n")]


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def test_two_processes_never_hold_the_same_delivery(database: Configuration) -> None:
    enqueue_many([arrival(f"member{n}@d{n % 5}.example") for n in range(300)])
    processes = [claimant_process(database), claimant_process(database)]
    try:
        for process in processes:
            go(process)
        first, second = (claimed_by(process) for process in processes)
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert set(first) & set(second) == set()
    assert len(first) + len(second) == len({*first, *second}) == 300


def test_the_claims_of_a_killed_process_come_back_when_its_lease_ends(database: Configuration) -> None:
    enqueue(arrival("ana@far.example", "ben@far.example"))
    process = claimant_process(database)
    go(process)
    assert len(claimed_by(process)) == 2
    process.kill()
    process.communicate()
    me = register("here:2", NOW)
    assert claim(me, NOW + 29_000, 10, 10) == []
    again = claim(me, LATER, 10, 10)
    assert [one.attempts for one in again] == [2, 2]  # the attempt was recorded before it was made


def test_a_claimant_that_renews_keeps_its_claims(database: Configuration) -> None:
    enqueue(arrival("ana@far.example"))
    me, other = register("here:1", NOW), register("here:2", NOW)
    assert len(claim(me, NOW, 10, 10)) == 1
    renew(me, NOW + 20_000)
    assert claim(other, NOW + 40_000, 10, 10) == []
    assert len(claim(other, NOW + 51_000, 10, 10)) == 1
    for act in (lambda: renew(me, NOW + 52_000), lambda: claim(me, NOW + 52_000, 10, 10)):
        with pytest.raises(ClaimantGone):
            act()


def test_a_late_word_of_a_claimant_thought_dead_does_no_harm(database: Configuration) -> None:
    enqueue(arrival("ana@far.example", "ben@far.example", "cleo@far.example"))
    me, other = register("here:1", NOW), register("here:2", NOW)
    ana, ben, cleo = claim(me, NOW, 10, 10)
    newer = {one.recipient: one for one in claim(other, LATER, 10, 10)}
    late = [
        Outcome(ana, DELIVERED, "mx", "250 Ok"),
        Outcome(ben, DEFERRED, "mx", "451 later", next_attempt=LATER + 999_999),
        Outcome(cleo, FAILED, "mx", "550 no"),
    ]
    record_outcomes(late, LATER)
    assert claim(register("here:3", LATER), LATER, 10, 10) == []
    # ana has it, so nobody tries again; ben and cleo are the business of whoever holds them now
    record_outcomes([Outcome(newer["ben@far.example"], DELIVERED, "mx", "250 Ok")], LATER)
    record_outcomes([Outcome(newer["ana@far.example"], DELIVERED, "mx", "250 Ok")], LATER)
    record_outcomes([Outcome(newer["cleo@far.example"], DELIVERED, "mx", "250 Ok")], LATER)
    assert count("queue_delivery") == count("queue_message") == count("content_content") == 0
    told = bridge.fetch("SELECT address FROM queue_event WHERE kind <> 'accepted' ORDER BY id")
    assert sorted(told) == [("ana@far.example",), ("ben@far.example",), ("cleo@far.example",)]


@pytest.mark.parametrize("result", [DELIVERED, DEFERRED, FAILED])
def test_an_outcome_told_twice_is_one_outcome(database: Configuration, result: str) -> None:
    enqueue(arrival("ana@far.example", notify="SUCCESS,FAILURE"))
    me = register("here:1", NOW)
    [one] = claim(me, NOW, 10, 10)
    outcome = Outcome(one, result, "mx", "said", next_attempt=NOW + 1)
    record_outcomes([outcome, outcome], NOW)
    before = [count("queue_event"), count("queue_delivery"), count("content_content")]
    record_outcomes([outcome], NOW)
    assert [count("queue_event"), count("queue_delivery"), count("content_content")] == before


@pytest.mark.parametrize("first", [DELIVERED, DEFERRED])
def test_of_two_words_about_one_delivery_the_fact_counts(database: Configuration, first: str) -> None:
    enqueue(arrival("ana@far.example"))
    [one] = claim(register("here:1", NOW), NOW, 10, 10)
    second = DEFERRED if first == DELIVERED else DELIVERED
    record_outcomes([Outcome(one, result, "mx", "said", next_attempt=NOW + 1) for result in (first, second)], NOW)
    assert count("queue_delivery") == count("content_content") == 0


def test_what_takes_its_deliverer_down_is_tried_less_and_less(database: Configuration) -> None:
    enqueue(arrival("ana@far.example"))
    now, waits = NOW, []
    for number in range(5):
        me = register(f"here:{number}", now)
        assert len(claim(me, now, 10, 10)) == 1
        now += 31_000
        assert release_dead(now) == 1
        due = next_due(now)
        assert due is not None
        waits.append(max(0, due - now) // 60_000)
        now = max(due, now)
    assert waits == [0, 0, 3, 4, 5]


def test_the_sweep_gives_back_claims_of_claimants_nobody_knows(database: Configuration) -> None:
    enqueue(arrival("ana@far.example"))
    bridge.run("UPDATE queue_delivery SET claimant = 4711")
    assert sweep(NOW, 30).released == 1
    assert next_due(NOW) == NOW


_ENQUEUES = """
import os, sys
from pathlib import Path
from posthouse import database
from posthouse.content import files
from posthouse.content.spool import Spool
from tests import databases
from tests.queue.arrivals import arrival
from posthouse.queue.enqueue import enqueue_many
import dataclasses
house = databases.configured(Path(sys.argv[1]), sys.argv[2])
database.use(house)
while True:
    batch = []
    for size in (100, 5000, 400_000):
        sink = Spool(files.incoming(house.data))
        sink.write(os.urandom(size))
        sink.write(b"end")
        batch.append(dataclasses.replace(arrival("ana@far.example", "ben@far.example"), content=sink.finish()))
    print(*enqueue_many(batch), flush=True)
"""


def test_a_kill_at_any_moment_leaves_all_of_a_message_or_nothing(database: Configuration) -> None:
    promised: set[int] = set()
    for round_ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", _ENQUEUES, str(database.data), database.database_url],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        for _ in range(1 + 3 * round_):
            promised.update(int(word) for word in process.stdout.readline().split())
        os.kill(process.pid, signal.SIGKILL)
        rest, _ = process.communicate()
        promised.update(int(word) for line in rest.splitlines(keepends=True) if line.endswith("\n")
                        for word in line.split())  # fmt: skip
    kept = {row[0] for row in bridge.fetch("SELECT id FROM queue_message")}
    assert promised <= kept
    assert bridge.fetch(
        "SELECT message_id FROM queue_delivery GROUP BY message_id HAVING count(*) <> 2"
    ) == []  # fmt: skip
    assert count("queue_delivery") == 2 * len(kept)
    uses = bridge.fetch("SELECT content_id, count(*) FROM queue_message GROUP BY content_id ORDER BY 1")
    assert bridge.fetch("SELECT id, uses FROM content_content ORDER BY id") == uses
    from posthouse.content import keeping

    for body in keeping.read_many(row[0] for row in uses).values():
        assert len(body.all()) == body.size
    before = sum(1 for path in Path(database.data, "content").glob("**/*") if path.is_file())
    sweep(NOW + 400 * 86_400_000, 100_000)
    after = sum(1 for path in Path(database.data, "content").glob("**/*") if path.is_file())
    large = bridge.fetch("SELECT count(*) FROM content_content WHERE octets IS NULL")[0][0]
    assert after == large <= before
