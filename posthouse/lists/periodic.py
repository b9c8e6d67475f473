"""Periodic work: what lists do by the clock, each job on time and once, whatever the number of processes.

Every job has a row that says when it is due; who takes it (one UPDATE, which only one wins) has it for a while. A
process that dies over a job leaves it to the next when that while is over. Every job works in short transactions that
are safe to repeat, so that nothing is done twice then, and nothing is left out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from posthouse.database import is_outage, transaction
from posthouse.database import run as execute
from posthouse.directory.moments import moment
from posthouse.lists import autoresponses, bounces, changing, digests, vacation, waiting
from posthouse.lists.digest_models import PeriodicJob
from posthouse.lists.errors import ListError
from posthouse.lists.models import Notified, Pending
from posthouse.lists.news import visits
from posthouse.lists.people_models import JoinAttempt

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
TAKEN_FOR = 10 * MINUTE  # a job that is not done by then may be begun by another process
RETRY_AFTER = 5 * MINUTE  # after a failure
_LONGEST_SAID = 500

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A job: what it does (giving how much it did), every how many ms, and at what ms after midnight UTC it begins."""

    name: str
    doc: str
    act: Callable[[int], int]
    every: int
    at: int = 0

    def next_after(self, now: int) -> int:
        """The first moment of its timetable after `now`; both in milliseconds since 1970 UTC."""
        return now - (now - self.at) % self.every + self.every


@dataclass(frozen=True, slots=True)
class Done:
    """What one call of `run` did: (job, how much) pairs in order, and the jobs that failed."""

    jobs: tuple[tuple[str, int], ...] = ()
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Due:
    """A job and where it stands. Times in milliseconds since 1970 UTC, 0: never yet."""

    name: str
    doc: str
    next_due: int
    ended_at: int
    said: str


def _expire(now: int) -> int:
    """All that is too old, in calls that are short each."""
    expired = 0
    while done := waiting.expire(now) + waiting.forget_discarded(now):
        expired += done
    return expired


def _clean(now: int) -> int:
    """Rows that count or wait for nothing any more."""
    at = moment(now)
    with transaction():
        gone = Notified.objects.filter(at__lt=at - timedelta(days=2)).delete()[0]
        gone += Pending.objects.filter(expires_at__lte=at).delete()[0]
        gone += JoinAttempt.objects.filter(at__lt=at - timedelta(days=2)).delete()[0]
        return gone + autoresponses.forget(now)


JOBS: tuple[Job, ...] = (
    Job("vacations", "Delivery begins again for members whose vacation is over.", vacation.resume_due, 10 * MINUTE),
    Job("bounces", "Whose delivery stopped after bounces is warned, or removed.", bounces.periodic, 5 * MINUTE),
    Job("volumes", "Digests of a new period begin a new volume.", digests.bump_due, DAY),
    Job("digests", "What was gathered for digests goes out.", digests.send_due, DAY, 12 * HOUR),
    Job("expiry", "Held postings that waited too long are discarded, discarded ones are forgotten.", _expire, HOUR),
    Job("reminders", "Moderators are reminded of what waits for them.", waiting.summary, DAY, 8 * HOUR),
    Job("purge", "Lists that were removed 30 days ago go for good.", changing.purge, DAY, 3 * HOUR),
    Job("clean-up", "Confirmations that ended and counts of yesterday are forgotten.", _clean, HOUR),
    # The last, since it waits for a server.
    Job("news", "Postings go to their newsgroups, articles come from there.", visits.visit, 2 * MINUTE),
)


def run(now: int) -> Done:
    """Do every job that is due; any number of processes may call it as often as they like. `now` in milliseconds.

    A job that fails is logged and tried again later; the others are not kept waiting.
    """
    rows = _standing(now)
    done: list[tuple[str, int]] = []
    failed: list[str] = []
    for job in JOBS:
        if rows[job.name].next_due > now or rows[job.name].taken_until > now or not _taken(job, now):
            continue
        _perform(job, now, done, failed)
    return Done(tuple(done), tuple(failed))


def run_now(name: str, now: int) -> Done:
    """Do one job at once, due or not; its timetable goes on from here. Raises ListError for an unknown name."""
    job = next((job for job in JOBS if job.name == name), None)
    if job is None:
        raise ListError(f"{name!r} is no periodic job; known are {', '.join(job.name for job in JOBS)}")
    _standing(now)
    with transaction():
        PeriodicJob.objects.filter(name=name).update(next_due=now)
    done: list[tuple[str, int]] = []
    failed: list[str] = []
    if _taken(job, now):
        _perform(job, now, done, failed)
    return Done(tuple(done), tuple(failed))


def standing(now: int) -> list[Due]:
    """Every job with when it is due. `now` in milliseconds."""
    rows = _standing(now)
    found = [(job, rows[job.name]) for job in JOBS]
    return [Due(job.name, job.doc, row.next_due, row.ended_at, row.said) for job, row in found]


def _standing(now: int) -> dict[str, PeriodicJob]:
    """The rows by name. New ones begin with the next moment of the timetable; none may lie beyond it.

    A clock that was wrong may have put it there.
    """
    rows = {row.name: row for row in PeriodicJob.objects.all()}
    fresh = [PeriodicJob(name=job.name, next_due=job.next_after(now)) for job in JOBS if job.name not in rows]
    if fresh:
        with transaction():
            PeriodicJob.objects.bulk_create(fresh, ignore_conflicts=True)
        rows = {row.name: row for row in PeriodicJob.objects.all()}
    for job in JOBS:
        latest, row = job.next_after(now), rows[job.name]
        if row.next_due > latest or row.taken_until > now + TAKEN_FOR:
            with transaction():
                PeriodicJob.objects.filter(pk=row.pk, next_due=row.next_due).update(next_due=latest, taken_until=0)
            row.next_due, row.taken_until = latest, 0
    return rows


def _taken(job: Job, now: int) -> bool:
    """Whether this process has the job now: of many that try, one."""
    with transaction():
        return bool(
            execute(
                "UPDATE lists_periodicjob SET taken_until = %s "
                "WHERE name = %s AND next_due <= %s AND taken_until <= %s",
                (now + TAKEN_FOR, job.name, now, now),
            )
        )


def _perform(job: Job, now: int, done: list[tuple[str, int]], failed: list[str]) -> None:
    try:
        number = job.act(now)
    except Exception as error:
        if is_outage(error):
            raise  # the database is away; the job is due again when we have had it for its time
        log.exception("the periodic job %s failed; it is tried again in a few minutes", job.name)
        failed.append(job.name)
        _record(job, now, now + RETRY_AFTER, f"failed: {type(error).__name__}: {error}")
        return
    done.append((job.name, number))
    _record(job, now, job.next_after(now), f"did {number}")


def _record(job: Job, now: int, due: int, said: str) -> None:
    with transaction():
        PeriodicJob.objects.filter(name=job.name).update(
            next_due=due, taken_until=0, ended_at=now, said=said[:_LONGEST_SAID]
        )


__all__ = ["JOBS", "Done", "Due", "Job", "run", "run_now", "standing"]
