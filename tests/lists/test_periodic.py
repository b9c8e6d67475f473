"""Periodic work: on time, once, whatever the number of processes, and again after a failure or a crash."""

from __future__ import annotations

import threading

import pytest

from posthouse import database
from posthouse.directory.moments import moment
from posthouse.lists import digests, periodic, roster, vacation
from posthouse.lists.digest_models import PeriodicJob
from posthouse.lists.errors import ListError
from posthouse.lists.models import MailingList, Notified
from posthouse.lists.periodic import DAY, HOUR, MINUTE, Job
from tests.lists.scene import NOW, has_list, posts, waiting
from tests.people import ANA, BEN, GARDEN

both = pytest.mark.usefixtures("database")
sqlite = pytest.mark.usefixtures("sqlite")

MIDNIGHT = NOW - NOW % DAY
NOON = MIDNIGHT + DAY + 12 * HOUR


def gathered() -> None:
    has_list(members=[ANA])
    roster.add(GARDEN, BEN)
    roster.set_preferences(GARDEN, BEN, delivery_mode="mime_digests")
    periodic.run(NOON - 20 * HOUR)
    posts(ANA, now=NOON - 10 * HOUR)


@both
def test_the_daily_digest_goes_out_at_noon_and_once() -> None:
    gathered()
    periodic.run(NOON - MINUTE)
    assert not waiting("digest")
    assert ("digests", 1) in periodic.run(NOON).jobs
    posts(ANA, "Beans", GARDEN, "Beans", NOON, "Message-ID: <beans@far.example>")
    assert "digests" not in dict(periodic.run(NOON + MINUTE).jobs)
    assert len(waiting("digest")) == 1
    assert dict(periodic.run(NOON + DAY).jobs)["digests"] == 1


@both
def test_of_many_processes_that_see_a_job_due_one_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[int] = []

    def counts(now: int) -> int:
        times.append(now)
        return 1

    monkeypatch.setattr(periodic, "JOBS", (Job("counts", "Counts.", counts, DAY, 12 * HOUR),))
    periodic.run(NOON - HOUR)
    looked, done = threading.Barrier(4), []
    standing = periodic._standing

    def looks(now: int) -> dict[str, PeriodicJob]:
        rows = standing(now)
        looked.wait(30)  # nobody takes it before all have seen that it is due
        return rows

    def works() -> None:
        try:
            done.append(periodic.run(NOON).jobs)
        finally:
            database.close()

    monkeypatch.setattr(periodic, "_standing", looks)
    threads = [threading.Thread(target=works) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert times == [NOON]
    assert sorted(done) == [(), (), (), (("counts", 1),)]


@sqlite
def test_a_job_whose_process_died_is_begun_by_another_after_its_time() -> None:
    gathered()
    PeriodicJob.objects.filter(name="digests").update(taken_until=NOON + periodic.TAKEN_FOR)
    assert "digests" not in dict(periodic.run(NOON + MINUTE).jobs)
    assert dict(periodic.run(NOON + periodic.TAKEN_FOR).jobs)["digests"] == 1


@sqlite
def test_a_job_that_fails_is_tried_again_and_keeps_no_other_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    has_list(members=[BEN])

    def breaks(now: int) -> int:
        raise RuntimeError("no luck")

    jobs = (Job("broken", "Breaks.", breaks, DAY, 12 * HOUR), *periodic.JOBS)
    monkeypatch.setattr(periodic, "JOBS", jobs)
    periodic.run(NOON - HOUR)
    vacation.begin(GARDEN, BEN, moment(NOON), "web", NOON - HOUR)

    done = periodic.run(NOON)
    assert done.failed == ("broken",)
    assert dict(done.jobs)["vacations"] == 1
    assert "no luck" in next(one.said for one in periodic.standing(NOON) if one.name == "broken")
    assert not periodic.run(NOON + MINUTE).failed
    assert periodic.run(NOON + periodic.RETRY_AFTER).failed == ("broken",)


@sqlite
def test_after_a_long_outage_every_job_is_done_once_and_its_timetable_goes_on() -> None:
    periodic.run(NOON)
    done = periodic.run(NOON + 30 * DAY + HOUR)
    assert [name for name, _ in done.jobs] == [job.name for job in periodic.JOBS]
    assert next(one.next_due for one in periodic.standing(NOON) if one.name == "digests") == NOON + DAY


@sqlite
def test_a_clock_that_was_wrong_delays_no_job_for_good() -> None:
    periodic.run(NOON + 1000 * DAY)
    periodic.run(NOON - MINUTE)
    assert "digests" in dict(periodic.run(NOON).jobs)


@sqlite
def test_a_job_is_done_by_hand_though_it_is_not_due() -> None:
    gathered()
    assert periodic.run_now("digests", NOON - HOUR).jobs == (("digests", 1),)
    with pytest.raises(ListError, match="known are vacations, bounces"):
        periodic.run_now("nothing", NOON)


@sqlite
def test_counts_and_confirmations_that_are_over_go() -> None:
    pk = has_list()
    Notified.objects.create(mailing_list_id=pk, address=ANA, kind="help", at=moment(NOON - 3 * DAY))
    assert dict(periodic.run_now("clean-up", NOON).jobs)["clean-up"] == 1


@sqlite
def test_a_new_month_begins_a_volume_by_itself() -> None:
    gathered()
    digests.send(GARDEN, NOON)
    periodic.run(NOON)
    periodic.run(NOON + 40 * DAY)
    row = MailingList.objects.get()
    assert (row.volume, row.next_digest_number) == (2, 1)
