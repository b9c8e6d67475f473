"""Bringing an mbox in: every batch of messages and the place behind it in the file are one transaction.

So an import that is stopped, or killed at any moment, goes on where its last commit left it when it is started again
with the same file, and nothing is there twice. An import of a file that was imported whole reads it all again and adds
what is not kept yet: nothing, or what was refused the first time.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from posthouse.archive import mbox_reader, search
from posthouse.archive.errors import ArchiveError, NoSuchArchive
from posthouse.archive.filing import Filed, Item, file_many, judge
from posthouse.archive.mbox_reader import Letter, Unreadable
from posthouse.archive.models import Archive, ImportRun
from posthouse.content import keeping
from posthouse.content.spool import Spooled
from posthouse.database import transaction

MOST_ODD = 1_000  # odd messages the report names; `odd` hears of all
_BEGINNING = 1024 * 1024


@dataclass(frozen=True, slots=True)
class OddMessage:
    """A message that was not as it should be, and what was done: where it stands in the file and sentences."""

    offset: int
    message_id: str
    oddities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is: octets (unpacked) of about `size` (0: unknown), and messages."""

    offset: int
    size: int
    read: int
    added: int


@dataclass(slots=True)
class ImportReport:
    """What an import did, all its runs together. `finished` is false when it was stopped: run it again to go on."""

    read: int = 0
    added: int = 0
    known: int = 0
    variants: int = 0
    deleted: int = 0
    odd: int = 0
    offset: int = 0
    resumed_at: int = 0
    finished: bool = False
    odd_messages: list[OddMessage] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """The counts that survive from run to run."""
        return {name: getattr(self, name) for name in ("read", "added", "known", "variants", "deleted", "odd")}


class ImportFailed(ArchiveError):
    """The file cannot be read (on); what came before is kept, and `report` tells how much that was."""

    def __init__(self, sentence: str, report: ImportReport) -> None:
        super().__init__(sentence)
        self.report = report


def import_mbox(
    address: str,
    path: Path,
    *,
    now: int,
    progress: Callable[[Progress], None] = lambda _: None,
    dry_run: bool = False,
    stop: Callable[[], bool] = lambda: False,
    odd: Callable[[OddMessage], None] = lambda _: None,
    apart: bool | None = None,
) -> ImportReport:
    """File every message of an mbox (plain or gzip) in the archive of `address`; `now` in seconds since 1970.

    `progress` is called after each batch, `stop` asked before each, `odd` told of every odd message. A dry run reads
    and judges all of it and keeps nothing. Raises NoSuchArchive, and ImportFailed when the file cannot be read.
    """
    report = ImportReport()
    archive = _archive(address)
    try:
        digest, size = _digest(path), _size(path)
    except OSError as error:
        raise ImportFailed(f"The file {path} cannot be read: {error.strerror}.", report) from None
    run = None if dry_run else ImportRun.objects.filter(archive_id=archive, digest=digest).first()
    if run is not None:
        report = ImportReport(**json.loads(run.report), offset=run.offset, resumed_at=run.offset)
    seen: dict[str, int] = {}
    try:
        for batch in mbox_reader.batches(path, report.offset, apart):
            if stop():
                return report
            if dry_run:
                filed = judge(address, [(one.reading, one.digest) for one in batch], seen)
                _count(report, batch, filed)
            else:
                filed = _keep(address, archive, digest, batch, now, report)
            for message in _odd(batch, filed):
                if len(report.odd_messages) < MOST_ODD:
                    report.odd_messages.append(message)
                odd(message)
            progress(Progress(report.offset, size, report.read, report.added))
    except Unreadable as error:
        raise ImportFailed(str(error), report) from None
    if not dry_run:
        with transaction():
            ImportRun.objects.filter(archive_id=archive, digest=digest).delete()
        if report.added:
            search.settle()
    report.finished = True
    return report


def _archive(address: str) -> int:
    number = Archive.objects.filter(address=address).values_list("pk", flat=True).first()
    if number is None:
        raise NoSuchArchive(address)
    return number


def _keep(
    address: str, archive: int, digest: str, batch: Sequence[Letter], now: int, report: ImportReport
) -> list[Filed]:
    """One batch and the place behind it, in one transaction."""
    with transaction():
        contents = keeping.keep_many([Spooled(len(one.content), one.digest, one.content) for one in batch])
        filed = file_many(address, _items(batch, contents, now))
        keeping.release([content for content, one in zip(contents, filed, strict=True) if not one.new])
        then = replace(report)
        _count(then, batch, filed)
        ImportRun.objects.update_or_create(
            archive_id=archive, digest=digest, defaults={"offset": then.offset, "report": json.dumps(then.counts())}
        )
    _count(report, batch, filed)
    return filed


def _items(batch: Sequence[Letter], contents: Sequence[int], now: int) -> list[Item]:
    return [
        Item(content, one.digest, one.reading, now, one.dated) for one, content in zip(batch, contents, strict=True)
    ]


def _count(report: ImportReport, batch: Sequence[Letter], filed: Sequence[Filed]) -> None:
    report.read += len(batch)
    report.added += sum(one.new for one in filed)
    report.variants += sum(one.new and one.variant for one in filed)
    report.deleted += sum(one.deleted for one in filed)
    report.known += sum(not one.new and not one.deleted for one in filed)
    report.odd += sum(1 for _ in _odd(batch, filed))
    report.offset = batch[-1].end


def _odd(batch: Sequence[Letter], filed: Sequence[Filed]) -> Iterator[OddMessage]:
    for letter, one in zip(batch, filed, strict=True):
        oddities = letter.reading.oddities
        if one.new and one.variant:
            oddities += ("another message with its Message-ID is kept already; both are",)
        if one.deleted:
            oddities += ("it was deleted from this archive and is left out",)
        if oddities:
            yield OddMessage(letter.offset, letter.reading.message_id or "", oddities)


def _digest(path: Path) -> str:
    """What tells this file from others: its beginning and its size (an mbox only ever grows at its end)."""
    with path.open("rb") as file:
        beginning = file.read(_BEGINNING)
    return hashlib.sha256(beginning + str(path.stat().st_size).encode()).hexdigest()


def _size(path: Path) -> int:
    """The octets of the unpacked file, as far as known without unpacking it."""
    with path.open("rb") as file:
        if file.read(2) != b"\x1f\x8b":
            return path.stat().st_size
        file.seek(max(-4, -path.stat().st_size), 2)
        tail = file.read(4)
    return int(struct.unpack("<I", tail)[0]) if len(tail) == 4 else 0  # RFC 1952 §2.3.1: ISIZE
