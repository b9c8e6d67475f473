"""Large content as files: where each lies, how it gets there durably, how it goes when nobody needs it.

<data>/content/incoming/    bytes on their way in, each file fsynced before it is handed over
<data>/content/ab/ab12...   kept, named by the SHA-256 of its bytes

A crash leaves a file without a row (removed by `sweep` after a day), never a row without a file.
"""

from __future__ import annotations

import os
from pathlib import Path

from posthouse import belonging, configuration, database
from posthouse.content.errors import ContentLost

DAY = 86_400


def folder() -> Path:
    """Where content files live in this process's data directory."""
    return configuration.active().data / "content"


def incoming(data: Path) -> Path:
    """Where a Spool of this data directory writes; on the same file system as the kept files."""
    return data / "content" / "incoming"


def path_of(digest: bytes) -> Path:
    """Where the content with this digest lies when it is a file."""
    name = digest.hex()
    return folder() / name[:2] / name


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def take_in(path: Path, digest: bytes) -> None:
    """Move a spooled, fsynced file to its place, durably. Call it inside the transaction that makes its row.

    Safe to repeat: when the transaction failed and is tried again the file has its place already.
    Raises ContentLost when it is in neither place, OSError when the disk refuses.
    """
    lock(digest)
    target = path_of(digest)
    fresh = not target.parent.is_dir()
    if fresh:
        belonging.make_folder(target.parent)
        sync_folder(target.parent.parent)
    try:
        os.replace(path, target)
    except FileNotFoundError:
        if not target.is_file():
            raise ContentLost(f"The file {path} of a message on its way in is gone.") from None
        os.utime(target)  # so that no sweep takes it for an old leftover
    sync_folder(target.parent)


def lock(digest: bytes) -> None:
    """Nobody else takes in or removes this content until the transaction ends (SQLite has one writer anyway)."""
    if not database.is_sqlite():
        database.fetch("SELECT pg_advisory_xact_lock(%s)", (int.from_bytes(digest[:8], "big", signed=True),))


def remove_unneeded(digests: list[bytes]) -> None:
    """Remove files whose rows are gone. Looks again under the lock: the same bytes may have come again."""
    with database.transaction():
        for digest in sorted(digests):
            lock(digest)
            if not database.fetch("SELECT 1 FROM content_content WHERE digest = %s AND octets IS NULL", (digest,)):
                path_of(digest).unlink(missing_ok=True)


def sweep(now: float, most: int = 1000) -> int:
    """Remove at most `most` files that are older than a day and have no row; `now` in seconds. Returns how many."""
    removed = 0
    for path in incoming(configuration.active().data).glob("*"):
        if _age(path, now) > DAY and removed < most:
            path.unlink(missing_ok=True)
            removed += 1
    for path in folder().glob("??/*"):
        if removed >= most:
            break
        if len(path.name) != 64 or _age(path, now) <= DAY:
            continue
        digest = bytes.fromhex(path.name)
        if not database.fetch("SELECT 1 FROM content_content WHERE digest = %s", (digest,)):
            remove_unneeded([digest])
            removed += not path.exists()
    return removed


def _age(path: Path, now: float) -> float:
    try:
        return now - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
