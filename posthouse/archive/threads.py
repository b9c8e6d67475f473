"""Which conversation a message belongs to: all of References and In-Reply-To, missing messages included.

Every Message-ID that a posting has or mentions is a `KnownId` of exactly one thread. A new posting joins the thread
of any id it has or mentions; where these lead to several threads, it is the missing link and they become one. A
thread's own key is always a known id, so old addresses of a merged thread lead to the one it became.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from posthouse.archive.folding import topic
from posthouse.archive.rows import clean, select_in
from posthouse.message.identity import message_id_hash

REACH_BY_SUBJECT = 28 * 86_400  # an answer without references joins a thread of its subject that was active so lately
MAX_REFERENCES = 50

hash_of = lru_cache(16_384)(message_id_hash)  # answers name the same ids again and again


@dataclass(slots=True, eq=False)
class Thread:
    """A thread while a batch is filed; `id` is None until it is written, `into` is set when it was merged."""

    id: int | None
    key: str
    subject: str
    topic: str
    started_at: int
    last_at: int
    postings: int
    changed: bool = False
    into: Thread | None = None

    @property
    def final(self) -> Thread:
        """The thread this one became part of, or itself."""
        thread = self
        while thread.into is not None:
            thread = thread.into
        return thread


@dataclass(slots=True)
class Known:
    """A Message-ID's place while a batch is filed."""

    thread: Thread
    parent_key: str
    message_id: str
    stored: bool
    changed: bool = False


@dataclass(slots=True)
class Board:
    """All that a batch must know of one archive's threads, read once, changed in memory, written once."""

    archive: int
    known: dict[str, Known] = field(default_factory=dict)
    threads: dict[int, Thread] = field(default_factory=dict)
    by_topic: dict[str, list[Thread]] = field(default_factory=dict)
    created: list[Thread] = field(default_factory=list)
    merged: list[Thread] = field(default_factory=list)

    def load(self, cursor: Any, keys: Iterable[str], topics: Iterable[str], earliest: int) -> None:
        """Read the threads of these Message-ID-Hashes, and those of these topics that were active since `earliest`.

        A few statements for any number.
        """
        rows = select_in(
            cursor,
            "SELECT key, parent_key, message_id, thread_id FROM archive_knownid WHERE archive_id = %s AND key IN",
            [self.archive],
            keys,
        )
        self._read_threads(cursor, "id", {row[3] for row in rows})
        for key, parent_key, message_id, thread in rows:
            self.known[key] = Known(self.threads[thread], parent_key, message_id, True)
        self._read_threads(cursor, "topic", {name for name in topics if name}, earliest - REACH_BY_SUBJECT)
        for found in self.threads.values():
            if found.topic:
                self.by_topic.setdefault(found.topic, []).append(found)

    def _read_threads(self, cursor: Any, column: str, values: Iterable[int | str], since: int = 0) -> None:
        rows = select_in(
            cursor,
            "SELECT id, key, subject, topic, started_at, last_at, postings FROM archive_thread "
            f"WHERE archive_id = %s AND {column} IN",
            [self.archive],
            values,
            "AND last_at >= %s",
            [since],
        )
        for row in rows:
            self.threads.setdefault(row[0], Thread(*row))

    def place(
        self, key: str, subject: str, sent_at: int, chain: Sequence[tuple[str, str]], beside: str = ""
    ) -> tuple[Thread, bool]:
        """Put a posting in its thread: (the thread, whether its subject alone decided).

        `chain` is what it answers, eldest first, as (Message-ID-Hash, Message-ID); `beside` is the key of a posting
        that came with the same Message-ID.
        """
        threads: list[Thread] = []
        for reference in (key, beside, *(reference for reference, _ in chain)):
            found = self.known.get(reference)
            if found is not None and found.thread.final not in threads:
                threads.append(found.thread.final)
        by_subject = False
        name, answer = topic(subject)
        if not threads and answer and not chain:
            similar = self._of_topic(name, sent_at)
            if similar is not None:
                threads, by_subject = [similar], True
        if threads:
            thread = self._merge(threads)
        else:
            thread = Thread(None, key, subject, name, sent_at, sent_at, 0)
            self.created.append(thread)
            if name:
                self.by_topic.setdefault(name, []).append(thread)
        self._count(thread, subject, name, sent_at)
        self._remember(key, thread, chain)
        return thread, by_subject

    def _of_topic(self, name: str, sent_at: int) -> Thread | None:
        """The thread of this topic that was active last before `sent_at`, at most some weeks earlier."""
        near = [
            thread
            for thread in (found.final for found in self.by_topic.get(name, ()))
            if thread.started_at <= sent_at <= thread.last_at + REACH_BY_SUBJECT
        ]
        return max(near, key=lambda thread: thread.last_at, default=None)

    def _merge(self, threads: list[Thread]) -> Thread:
        """One thread of several: the one that began first keeps its key."""
        if len(threads) == 1:
            return threads[0]
        stays = min(threads, key=lambda thread: (thread.started_at, thread.key))
        for other in threads:
            if other is not stays:
                other.into = stays
                stays.last_at = max(stays.last_at, other.last_at)
                stays.postings += other.postings
                self.merged.append(other)
        stays.changed = True
        return stays

    def _count(self, thread: Thread, subject: str, name: str, sent_at: int) -> None:
        thread.postings += 1
        if sent_at < thread.started_at:  # a late parent: it says what the thread is about
            thread.started_at = sent_at
            thread.subject, thread.topic = subject, name
            if name:
                self.by_topic.setdefault(name, []).append(thread)
        thread.last_at = max(thread.last_at, sent_at)
        thread.changed = True

    def _remember(self, key: str, thread: Thread, chain: Sequence[tuple[str, str]]) -> None:
        above = ""
        for reference, message_id in chain:
            self._know(reference, thread, above, message_id)
            above = reference
        mine = self.known.get(key)
        if mine is None:
            self.known[key] = Known(thread, above, "", False)
            return
        if mine.message_id or (above and mine.parent_key != above):  # it is here now: no id to show, its own parent
            mine.message_id, mine.parent_key, mine.changed = "", above or mine.parent_key, True

    def _know(self, key: str, thread: Thread, parent_key: str, message_id: str) -> None:
        known = self.known.get(key)
        if known is None:
            self.known[key] = Known(thread, parent_key, message_id, False)
        elif parent_key and not known.parent_key:
            known.parent_key, known.changed = parent_key, True

    def write(self, cursor: Any) -> None:
        """Write what changed: new threads get their ids, merged ones hand over what they had and go."""
        from posthouse.archive import models

        new = [thread for thread in self.created if thread.into is None]
        rows = models.Thread.objects.bulk_create(
            models.Thread(
                archive_id=self.archive, key=thread.key, subject=thread.subject, topic=thread.topic,
                started_at=thread.started_at, last_at=thread.last_at, postings=thread.postings,
            )
            for thread in new
        )  # fmt: skip
        for thread, row in zip(new, rows, strict=True):
            thread.id = row.pk
        cursor.executemany(
            "UPDATE archive_thread SET subject = %s, topic = %s, started_at = %s, last_at = %s, postings = %s "
            "WHERE id = %s",
            [
                (thread.subject, thread.topic, thread.started_at, thread.last_at, thread.postings, thread.id)
                for thread in self.threads.values()
                if thread.changed and thread.into is None
            ],
        )
        for thread in self.merged:
            if thread.id is not None and thread not in new:
                target = thread.final.id
                cursor.execute("UPDATE archive_posting SET thread_id = %s WHERE thread_id = %s", [target, thread.id])
                cursor.execute("UPDATE archive_knownid SET thread_id = %s WHERE thread_id = %s", [target, thread.id])
                cursor.execute("DELETE FROM archive_thread WHERE id = %s", [thread.id])
        self._write_known(cursor)

    def _write_known(self, cursor: Any) -> None:
        cursor.executemany(
            "INSERT INTO archive_knownid (archive_id, key, thread_id, message_id, parent_key) "
            "VALUES (%s, %s, %s, %s, %s)",
            [
                (self.archive, key, known.thread.final.id, clean(known.message_id), known.parent_key)
                for key, known in self.known.items()
                if not known.stored
            ],
        )
        cursor.executemany(
            "UPDATE archive_knownid SET parent_key = %s, message_id = %s WHERE archive_id = %s AND key = %s",
            [
                (known.parent_key, clean(known.message_id), self.archive, key)
                for key, known in self.known.items()
                if known.stored and known.changed
            ],
        )


def chain_of(own_key: str, references: Sequence[str], in_reply_to: str | None) -> list[tuple[str, str]]:
    """What a message answers, eldest first, its direct parent last, as (Message-ID-Hash, Message-ID); never itself."""
    ids = [message_id for message_id in references if message_id != in_reply_to]
    if in_reply_to:
        ids.append(in_reply_to)
    chain: dict[str, str] = {}
    for message_id in ids[-MAX_REFERENCES:]:
        key = hash_of(message_id)
        if key != own_key:
            chain.setdefault(key, message_id)
    return list(chain.items())
