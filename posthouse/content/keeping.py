"""Keep content once however many need it: keep, use, read, release.

Every act belongs to a transaction (it opens one where there is none), so content and what needs it are durable
together; `uses` counts the needs. Files are on the disk before the row that speaks of them is committed, and go after
the row is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from posthouse import database
from posthouse.content import files
from posthouse.content.errors import ContentLost, NoSuchContent
from posthouse.content.spool import LARGE, Spooled

_PER_STATEMENT = 200  # rows of one INSERT


@dataclass(frozen=True, slots=True)
class Body:
    """Kept bytes: in memory, or in a file that must not be changed."""

    size: int
    octets: bytes | None
    path: Path | None = None

    def all(self) -> bytes:
        """All bytes, in memory."""
        return self.octets if self.octets is not None else self._read(-1)

    def head(self, count: int) -> bytes:
        """The first `count` bytes."""
        return self.octets[:count] if self.octets is not None else self._read(count)

    def open(self) -> BinaryIO:
        """The bytes as a file to read. Raises ContentLost."""
        if self.octets is not None:
            return BytesIO(self.octets)
        assert self.path is not None
        try:
            return self.path.open("rb")
        except FileNotFoundError:
            raise ContentLost(f"The content {self.path.name} is not on the disk any more.") from None

    def _read(self, count: int) -> bytes:
        with self.open() as file:
            return file.read(count)


def keep(spooled: Spooled) -> int:
    """Keep a message's bytes; one use more. Returns the content's id."""
    return keep_many([spooled])[0]


def keep_many(batch: Sequence[Spooled]) -> list[int]:
    """Keep many at once, one use more for each item; equal bytes get the same id. Returns the ids in order.

    In order of digests, so that two processes that keep the same bytes wait for each other and never in a circle.
    """
    wanted: dict[bytes, list[object]] = {}
    for spooled in batch:
        row = wanted.get(spooled.digest)
        if row is None:
            wanted[spooled.digest] = [spooled.digest, spooled.size, 1, spooled.octets]
        else:
            row[2] += 1  # type: ignore[operator]
    ids: dict[bytes, int] = {}
    with database.transaction():
        for spooled in batch:
            if spooled.path is not None:
                files.take_in(spooled.path, spooled.digest)
        rows = [wanted[digest] for digest in sorted(wanted)]
        for start in range(0, len(rows), _PER_STATEMENT):
            _insert(rows[start : start + _PER_STATEMENT], ids)
    return [ids[spooled.digest] for spooled in batch]


def _insert(rows: Sequence[Sequence[object]], ids: dict[bytes, int]) -> None:
    values = ",".join(["(%s,%s,%s,%s)"] * len(rows))
    made = database.fetch(
        f"INSERT INTO content_content (digest, size, uses, octets) VALUES {values} "
        "ON CONFLICT (digest) DO UPDATE SET uses = content_content.uses + excluded.uses RETURNING digest, id",
        [value for row in rows for value in row],
    )
    for digest, content_id in made:
        ids[bytes(digest)] = content_id


def use(content_id: int, times: int = 1) -> None:
    """Note that `times` more need this content. Raises NoSuchContent."""
    with database.transaction():
        if not database.run("UPDATE content_content SET uses = uses + %s WHERE id = %s", (times, content_id)):
            raise NoSuchContent(f"There is no content {content_id}.")


def release(content_ids: Iterable[int]) -> None:
    """One need less for each id (an id may come several times); what nobody needs goes, its file after the commit.

    An id without a row is passed over. A crash between commit and removal leaves a file for the sweep.
    """
    times = Counter(content_ids)
    if not times:
        return
    groups: dict[int, list[int]] = {}
    for content_id, count in times.items():
        groups.setdefault(count, []).append(content_id)
    with database.transaction():
        gone: list[bytes] = []
        for count, ids in sorted(groups.items()):
            condition, parameter = database.among("id", sorted(ids))
            removed = database.fetch(
                f"DELETE FROM content_content WHERE {condition} AND uses <= %s RETURNING digest, length(octets)",
                (parameter, count),
            )
            if len(removed) < len(ids):
                database.run(f"UPDATE content_content SET uses = uses - %s WHERE {condition}", (count, parameter))
            # (`octets IS NULL` would say it plainer, but SQLite 3.40 answers it wrongly in RETURNING)
            gone += [bytes(digest) for digest, length in removed if length is None]
        if gone:
            database.after_commit(lambda: _remove(gone))


def _remove(digests: list[bytes]) -> None:
    try:
        files.remove_unneeded(digests)
    except Exception:  # the commit is done and must be reported as done; what is left the sweep removes
        return


def read(content_id: int) -> Body:
    """The bytes of a content. Raises NoSuchContent."""
    found = read_many([content_id])
    if content_id not in found:
        raise NoSuchContent(f"There is no content {content_id}.")
    return found[content_id]


def read_many(content_ids: Iterable[int]) -> dict[int, Body]:
    """The bytes of many, by id; those that are gone are left out."""
    condition, parameter = database.among("id", set(content_ids))
    rows = database.fetch(f"SELECT id, size, octets, digest FROM content_content WHERE {condition}", (parameter,))
    return {
        content_id: Body(size, None, files.path_of(bytes(digest))) if octets is None else Body(size, bytes(octets))
        for content_id, size, octets, digest in rows
    }


__all__ = ["LARGE", "Body", "keep", "keep_many", "read", "read_many", "release", "use"]
