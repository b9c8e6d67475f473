"""What the archive's pages show: plain, frozen, ready for a template. Times are seconds since 1970, UTC."""

from __future__ import annotations

from dataclasses import dataclass

from posthouse.archive.models import PUBLIC
from posthouse.archive.render import Block


@dataclass(frozen=True, slots=True)
class ArchiveFacts:
    """An archive; `version` grows with every change, so a page's ETag can be made of it."""

    id: int
    address: str
    display_name: str
    description: str
    policy: str
    postings: int
    last_at: int
    version: int
    obscure_addresses: bool = False
    rendering: str = "text"  # text markdown

    @property
    def obscured(self) -> bool:
        """Whether addresses are not to be read by machines: only where everybody may read."""
        return bool(self.obscure_addresses) and self.policy == PUBLIC


@dataclass(frozen=True, slots=True)
class MonthCount:
    """How many postings a month has."""

    year: int
    month: int
    postings: int


@dataclass(frozen=True, slots=True)
class ThreadLine:
    """A thread in a list of threads; `recent` counts its postings of the month that is listed (else all)."""

    key: str
    subject: str
    author_name: str
    author_address: str
    last_author: str
    started_at: int
    last_at: int
    postings: int
    recent: int


@dataclass(frozen=True, slots=True)
class ThreadsView:
    """A page of threads; `more` says whether another page follows."""

    archive: ArchiveFacts
    threads: tuple[ThreadLine, ...]
    page: int
    more: bool


@dataclass(frozen=True, slots=True)
class MonthView:
    """A page of the threads that were active in a month, and its neighbours that have postings."""

    archive: ArchiveFacts
    year: int
    month: int
    postings: int
    threads: tuple[ThreadLine, ...]
    total: int
    page: int
    pages: int
    earlier: MonthCount | None
    later: MonthCount | None


@dataclass(frozen=True, slots=True)
class AttachmentFacts:
    """An attachment of a posting; `size` in octets."""

    number: int
    filename: str
    content_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A posting or thread next to the one shown."""

    key: str
    subject: str
    author_name: str


@dataclass(frozen=True, slots=True)
class Posting:
    """One posting with its text taken apart; `cut` says that only the beginning of a very long text is here."""

    key: str
    message_id: str
    parent_key: str
    by_subject: bool
    variant: bool
    author_name: str
    author_address: str
    sent_at: int
    offset: int
    filed_at: int
    subject: str
    attachments: tuple[AttachmentFacts, ...]
    blocks: tuple[Block, ...]
    cut: bool


@dataclass(frozen=True, slots=True)
class ThreadEntry:
    """A line of a thread in reading order: a posting, or None where a message is not in this archive.

    `answers` is the posting it stands below, when that is in this archive; `message_id` is that of a missing message.
    """

    key: str
    depth: int
    posting: Posting | None
    answers: Neighbour | None
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class ThreadView:
    """A thread in reading order, one page of it; `key` is its permalink, also when it was asked for by another.

    `authors` is 0 where they were not counted: in a thread so long that it is shown by date.
    """

    archive: ArchiveFacts
    key: str
    subject: str
    started_at: int
    last_at: int
    postings: int
    authors: int
    entries: tuple[ThreadEntry, ...]
    page: int
    pages: int
    newer: Neighbour | None
    older: Neighbour | None


@dataclass(frozen=True, slots=True)
class PostingView:
    """One posting with what is around it: in its thread and by date in the archive."""

    archive: ArchiveFacts
    posting: Posting
    thread_key: str
    thread_subject: str
    thread_postings: int
    answers: Neighbour | None
    answered_by: tuple[Neighbour, ...]
    newer: Neighbour | None
    older: Neighbour | None


@dataclass(frozen=True, slots=True)
class FeedView:
    """The newest postings, newest first, each with its thread's key."""

    archive: ArchiveFacts
    subject: str
    entries: tuple[tuple[str, Posting], ...]
