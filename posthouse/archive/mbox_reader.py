"""An mbox read and understood in a process of its own, so that its messages arrive ready to be filed.

Run as `python -m posthouse.archive.mbox_reader FILE OFFSET`, it writes frames (length, pickle) to standard output:
lists of messages, then the word why it ended. It touches no database, needs no settings, and ends when nobody reads on.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import pickle
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO, cast

from posthouse.message.headers import Fields
from posthouse.message.mbox import MboxError, messages
from posthouse.message.parsing import Attachment, Reading, read, received_date_of

MOST_MESSAGES = 500  # in one batch, which is one transaction
MOST_OCTETS = 8 * 1024 * 1024
_WORTH_A_PROCESS = 1024 * 1024  # octets of file
_LENGTH = struct.Struct("!Q")
_FIELDS = tuple(name for name in Reading.__dataclass_fields__ if name != "attachments")
_values = attrgetter(*_FIELDS)


@dataclass(frozen=True, slots=True)
class Letter:
    """One message of the file: from `offset` to `end`; `dated` (seconds) is when it arrived somewhere, or None."""

    offset: int
    end: int
    content: bytes
    digest: bytes
    dated: int | None
    reading: Reading


class Unreadable(Exception):
    """The file cannot be read on; the text says why in a sentence."""


def batches(path: Path, start: int, apart: bool | None = None) -> Iterator[list[Letter]]:
    """The messages of a file from an offset on, in batches; at the first trouble raises Unreadable, after the rest.

    `apart` says whether to read in a process of its own; None: when there is a second core and enough to read.
    """
    if apart is None:
        apart = len(os.sched_getaffinity(0)) > 1 and path.stat().st_size - start > _WORTH_A_PROCESS
    if not apart:
        yield from _batches(path, start)
        return
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([_home(), os.environ.get("PYTHONPATH", "")])}
    child = subprocess.Popen(  # noqa: S603 - our own module and a path, no shell
        [sys.executable, "-m", __name__, str(path), str(start)],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,  # a Ctrl-C is for us; the child ends when we stop reading
    )
    try:
        yield from _frames(cast(BinaryIO, child.stdout))
    finally:
        cast(BinaryIO, child.stdout).close()
        child.terminate()
        child.wait()


def _home() -> str:
    return str(Path(__file__).resolve().parent.parent.parent)


def _frames(pipe: BinaryIO) -> Iterator[list[Letter]]:
    while True:
        head = pipe.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            raise Unreadable("The process that reads the file ended unexpectedly.")
        frame: Any = pickle.loads(pipe.read(_LENGTH.unpack(head)[0]))  # noqa: S301 - written by our own child
        if isinstance(frame, str):
            if frame:
                raise Unreadable(frame)
            return
        yield [_unpacked(packed) for packed in frame]


def _packed(letter: Letter) -> tuple[Any, ...]:
    """Plain tuples, which cross the pipe several times faster than objects."""
    files = tuple((one.number, one.filename, one.content_type, one.size) for one in letter.reading.attachments)
    return (letter.offset, letter.end, letter.content, letter.digest, letter.dated, _values(letter.reading), files)


def _unpacked(packed: tuple[Any, ...]) -> Letter:
    offset, end, content, digest, dated, values, files = packed
    reading = Reading(**dict(zip(_FIELDS, values, strict=True)), attachments=tuple(Attachment(*one) for one in files))
    return Letter(offset, end, content, digest, dated, reading)


def _batches(path: Path, start: int) -> Iterator[list[Letter]]:
    batch: list[Letter] = []
    octets = 0
    trouble = ""
    try:
        with _opened(path) as file:
            for found in messages(file, start):
                reading = read(found.content)
                dated = None
                if reading.sent_at is None:
                    arrived = received_date_of(Fields(found.content)) or found.received_at
                    dated = arrived[0] if arrived else None
                digest = hashlib.sha256(found.content).digest()
                batch.append(Letter(found.offset, found.end, found.content, digest, dated, reading))
                octets += len(found.content)
                if len(batch) >= MOST_MESSAGES or octets >= MOST_OCTETS:
                    yield batch
                    batch, octets = [], 0
    except (OSError, EOFError, zlib.error) as error:
        trouble = f"The file {path.name} cannot be read on: {error}."
    except MboxError as error:
        trouble = f"{path.name}: {error}."
    if batch:
        yield batch
    if trouble:
        raise Unreadable(trouble)


def _opened(path: Path) -> BinaryIO:
    file = path.open("rb")
    if file.read(2) == b"\x1f\x8b":  # RFC 1952 §2.3.1
        file.close()
        return cast(BinaryIO, gzip.open(path, "rb"))
    file.seek(0)
    return file


def _write(frame: Any) -> None:
    octets = pickle.dumps(frame, 5)
    sys.stdout.buffer.write(_LENGTH.pack(len(octets)))
    sys.stdout.buffer.write(octets)
    sys.stdout.buffer.flush()


def main() -> None:
    """Read the file named on the command line and write its frames."""
    word = ""
    try:
        for batch in _batches(Path(sys.argv[1]), int(sys.argv[2])):
            _write([_packed(letter) for letter in batch])
    except Unreadable as error:
        word = str(error)
    except BrokenPipeError:
        os._exit(0)  # nobody reads on
    _write(word)


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        os._exit(0)
