"""Whatever happens in whatever order: every accepted recipient is delivered, failed and reported, or still waiting."""

from __future__ import annotations

import itertools
import os
from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from posthouse import database as bridge
from posthouse.configuration import Configuration
from posthouse.content import files, keeping
from posthouse.content.spool import Spool, Spooled, spooled_from
from posthouse.message.envelope import Envelope, Recipient
from posthouse.queue import suspension
from posthouse.queue.claim import Claimed, claim, register, retire
from posthouse.queue.enqueue import Arrival, enqueue_many, enqueue_selected
from posthouse.queue.errors import ClaimantGone
from posthouse.queue.identity import new_queue_id
from posthouse.queue.operator import return_now
from posthouse.queue.outcome import DEFERRED, DELIVERED, FAILED, Outcome, record_outcomes
from posthouse.queue.returning import warn_delayed, write_reports
from posthouse.queue.sweep import sweep
from tests.queue.arrivals import NOW

HOST = "mx.lists.example"
PEOPLE = [f"{name}@{domain}.example" for name in ("ana", "ben", "cleo") for domain in ("far", "lists")]
RESULTS = st.sampled_from([DELIVERED, DEFERRED, FAILED])
Key = tuple[int, str]


class AnyOrder(RuleBasedStateMachine):
    """The queue, with what was promised and what was told written down beside it."""

    house: Configuration

    @initialize()
    def begin(self) -> None:
        with bridge.transaction():
            for table in ("message", "delivery", "claimant", "event", "destination"):
                bridge.run(f"DELETE FROM queue_{table}")
            bridge.run("DELETE FROM content_content")
        bridge.use(self.house)  # what the process remembers of destinations is void
        self.now = NOW
        self.names = itertools.count(1)
        self.accepted: set[Key] = set()
        self.told: dict[str, set[Key]] = {DELIVERED: set(), DEFERRED: set(), FAILED: set()}
        self.given_up: set[int] = set()
        self.held: dict[int, dict[int, Claimed]] = {}
        self.stale: list[Claimed] = []
        self.outcomes: list[Outcome] = []
        self.null_paths: set[int] = set()
        self.silent: set[Key] = set()

    def content(self, number: int) -> Spooled:
        if number < 3:
            return spooled_from(b"Subject: %d\r\n\r\nRipe.\r\n" % number)
        sink = Spool(files.incoming(self.house.data), 10)
        sink.write(b"Subject: %d\r\n\r\n" % number + b"large " * 100)
        return sink.finish()

    def promise(self, item: int, recipients: list[str], return_path: str, notify: str = "") -> None:
        self.accepted |= {(item, one) for one in recipients}
        if not return_path:
            self.null_paths.add(item)
        if notify == "NEVER":
            self.silent |= {(item, one) for one in recipients}

    @rule(
        batch=st.lists(
            st.tuples(
                st.sets(st.sampled_from(PEOPLE), min_size=1, max_size=3),
                st.integers(0, 4),
                st.sampled_from(["owen@lists.example", ""]),
                st.sampled_from(["", "NEVER", "SUCCESS,FAILURE"]),
            ),
            min_size=1,
            max_size=3,
        )
    )
    def enqueue(self, batch: list[tuple[set[str], int, str, str]]) -> None:
        arrivals = []
        for recipients, number, return_path, notify in batch:
            envelope = Envelope(return_path, tuple(Recipient(one, notify) for one in sorted(recipients)))
            item = new_queue_id(self.now * 1000)
            arrivals.append(Arrival(item, self.content(number), b"", envelope, "transfer", self.now))
        enqueue_many(arrivals)
        for arrival, (recipients, _, return_path, notify) in zip(arrivals, batch, strict=True):
            self.promise(arrival.item, sorted(recipients), return_path, notify)

    @rule(recipients=st.sets(st.sampled_from(PEOPLE), max_size=4), number=st.integers(0, 4))
    def post_to_a_list(self, recipients: set[str], number: int) -> None:
        item = new_queue_id(self.now * 1000)
        rows = " UNION ALL ".join(["SELECT %s AS recipient, %s AS domain"] * len(recipients))
        parameters = [part for one in sorted(recipients) for part in (one, one.split("@")[1])]
        none = "SELECT '' AS recipient, '' AS domain WHERE 1 = 0"
        with bridge.transaction():
            content_id = keeping.keep(self.content(number))
            count = enqueue_selected(
                item=item, content_id=content_id, prefix=b"", return_path="garden-bounces@lists.example",
                origin="list", received_at=self.now, list_id=1, because=0, body8=False, smtputf8=False,
                select=rows or none, parameters=parameters,
            )  # fmt: skip
            keeping.release([content_id])
        assert count == len(recipients)
        self.promise(item, sorted(recipients), "garden-bounces@lists.example")

    @rule()
    def a_claimant_comes(self) -> None:
        self.held[register(f"here:{next(self.names)}", self.now)] = {}

    def live(self, data: st.DataObject) -> int | None:
        return data.draw(st.sampled_from(sorted(self.held))) if self.held else None

    @rule(data=st.data(), most=st.integers(1, 6), each=st.integers(1, 3))
    def take(self, data: st.DataObject, most: int, each: int) -> None:
        me = self.live(data)
        if me is None:
            return
        try:
            taken = claim(me, self.now, most, each)
        except ClaimantGone:
            self.stale += self.held.pop(me).values()
            return
        assert len(taken) <= most
        assert max(Counter(one.destination for one in taken).values(), default=0) <= each
        self.held[me] |= {one.id: one for one in taken}

    def tell(self, outcomes: list[Outcome]) -> None:
        record_outcomes(outcomes, self.now)
        self.outcomes += outcomes
        for one in outcomes:
            self.told[one.result].add((one.claimed.message.item, one.claimed.recipient))

    @rule(data=st.data(), results=st.lists(RESULTS, min_size=1, max_size=4), wait=st.integers(0, 100_000))
    def outcome(self, data: st.DataObject, results: list[str], wait: int) -> None:
        me = self.live(data)
        if me is None:
            return
        chosen = list(self.held[me].values())[: len(results)]
        due = self.now + wait
        self.tell([Outcome(one, result, "mx.far.example", "said so", next_attempt=due)
                   for one, result in zip(chosen, results, strict=False)])  # fmt: skip
        for one in chosen:
            del self.held[me][one.id]

    @rule(data=st.data())
    def the_same_outcome_again(self, data: st.DataObject) -> None:
        if self.outcomes:
            record_outcomes([data.draw(st.sampled_from(self.outcomes[-5:]))], self.now)

    @rule(data=st.data(), result=RESULTS)
    def a_dead_claimant_speaks(self, data: st.DataObject, result: str) -> None:
        if self.stale:
            one = data.draw(st.sampled_from(self.stale[-5:]))
            self.tell([Outcome(one, result, "mx.far.example", "said late", next_attempt=self.now)])

    @rule(data=st.data())
    def a_claimant_is_killed(self, data: st.DataObject) -> None:
        me = self.live(data)
        if me is not None:
            self.stale += self.held.pop(me).values()

    @rule(data=st.data())
    def a_claimant_stops(self, data: st.DataObject) -> None:
        me = self.live(data)
        if me is not None:
            retire(me)
            self.stale += self.held.pop(me).values()

    @rule(seconds=st.sampled_from([1, 40, 4_000, 20_000]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * 1000

    @rule()
    def the_sweep_comes(self) -> None:
        sweep(self.now, 10_000)

    @rule()
    def reports_are_written(self) -> None:
        write_reports(self.now, HOST)
        warn_delayed(self.now, HOST, 3600)

    @rule(name=st.sampled_from(["far.example", "lists.example"]), go_on=st.booleans())
    def a_destination_is_suspended_or_resumed(self, name: str, go_on: bool) -> None:
        if go_on:
            suspension.resume(name, self.now)
        else:
            suspension.suspend_by_name(name, "the operator said so", self.now)

    @rule(data=st.data())
    def the_operator_gives_up(self, data: st.DataObject) -> None:
        waiting = sorted({item for item, _ in self.accepted})[-4:]
        if waiting:
            item = data.draw(st.sampled_from(waiting))
            if return_now(item, self.now, HOST):
                self.given_up.add(item)

    @invariant()
    def nobody_is_forgotten(self) -> None:
        if not hasattr(self, "accepted"):
            return
        for item, recipient in bridge.fetch(
            "SELECT m.id, d.recipient FROM queue_message m JOIN queue_delivery d ON d.message_id = m.id "
            "WHERE m.origin IN ('report', 'bounce')"
        ):
            self.promise(item, [recipient], "")
        there = {tuple(row) for row in bridge.fetch("SELECT message_id, recipient FROM queue_delivery")}
        assert there <= self.accepted
        reported = {row[0] for row in bridge.fetch("SELECT item FROM queue_event WHERE kind = 'returned'")}
        for item, recipient in self.accepted - there:
            key = (item, recipient)
            failed = key in self.told[FAILED] or item in self.given_up
            assert key in self.told[DELIVERED] or failed, f"{key} is gone and nobody knows why"
            if key not in self.told[DELIVERED] and item not in self.null_paths and key not in self.silent:
                assert item in reported, f"{key} failed and nobody was told"
        assert not there & self.told[DELIVERED], "a delivered recipient would get it again"

    @invariant()
    def content_is_there_for_those_who_need_it(self) -> None:
        needed = bridge.fetch("SELECT content_id, count(*) FROM queue_message GROUP BY content_id ORDER BY content_id")
        assert bridge.fetch("SELECT id, uses FROM content_content ORDER BY id") == needed
        for body in keeping.read_many(row[0] for row in needed).values():
            assert len(body.all()) == body.size

    @invariant()
    def messages_and_deliveries_belong_together(self) -> None:
        messages = {row[0] for row in bridge.fetch("SELECT id FROM queue_message")}
        assert messages == {row[0] for row in bridge.fetch("SELECT DISTINCT message_id FROM queue_delivery")}

    @invariant()
    def a_claim_has_one_holder(self) -> None:
        if not hasattr(self, "held"):
            return
        rows = dict(bridge.fetch("SELECT id, claimant FROM queue_delivery WHERE claimant IS NOT NULL"))
        known = {row[0] for row in bridge.fetch("SELECT id FROM queue_claimant")}
        assert set(rows.values()) <= known
        for me, held in self.held.items():
            assert {one for one, holder in rows.items() if holder == me} <= set(held)


def run(house: Configuration, examples: int) -> None:
    AnyOrder.house = house
    chosen = settings(
        max_examples=examples, stateful_step_count=30, deadline=None, database=None,
        suppress_health_check=list(HealthCheck), print_blob=True,
    )  # fmt: skip
    run_state_machine_as_test(AnyOrder, settings=chosen)


def test_any_order_of_events_keeps_every_promise_on_sqlite(sqlite: Configuration) -> None:
    bridge.run("PRAGMA synchronous=OFF")
    run(sqlite, int(os.environ.get("QUEUE_EXAMPLES", "40")))


def test_any_order_of_events_keeps_every_promise_on_postgresql(postgresql: Configuration) -> None:
    run(postgresql, int(os.environ.get("QUEUE_EXAMPLES", "8")))
