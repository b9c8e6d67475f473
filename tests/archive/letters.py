"""Letters and archives for the tests of this room."""

from __future__ import annotations

import hashlib

from posthouse.archive import filing
from posthouse.archive.filing import Filed
from posthouse.content import keeping
from posthouse.content.spool import spooled_from
from posthouse.message.dates import format_date
from posthouse.message.parsing import read

GARDEN = "garden@lists.example"
ANA, BEN = "Ana Sommer <ana@far.example>", "Ben Winter <ben@far.example>"
NOON = 1_717_243_200  # 2024-06-01 12:00 UTC


def letter(
    number: int = 1,
    subject: str = "Tomatoes",
    text: str = "Ripe at last.",
    author: str = ANA,
    at: int | None = NOON,
    message_id: str | None = "",
    answers: str | int = "",
    references: str = "",
    to: str = GARDEN,
    more: str = "",
) -> bytes:
    """A message; `message_id` None leaves the field out; `answers` a number or an id."""
    if isinstance(answers, int):
        answers = f"<m{answers}@far.example>"
    header = [f"From: {author}", f"To: {to}", f"Subject: {subject}", 'Content-Type: text/plain; charset="utf-8"']
    if at is not None:
        header.append(f"Date: {format_date(at)}")
    if message_id is not None:
        header.append(f"Message-ID: <{message_id or f'm{number}@far.example'}>")
    if answers:
        header.append(f"In-Reply-To: {answers}")
    if references:
        header.append(f"References: {references}")
    if more:
        header.append(more)
    return ("\r\n".join(header) + "\r\n\r\n" + text.replace("\n", "\r\n") + "\r\n").encode()


def files(content: bytes, archive: str = GARDEN, at: int = NOON + 60) -> Filed:
    """File one message as a list does; the queue's own use of the content goes afterwards."""
    kept = keeping.keep(spooled_from(content))
    filed = filing.file(archive, kept, read(content), at)
    keeping.release([kept])
    return filed


def digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
