"""Archives as pages show them: found by address, behind the gate of `access`, with their paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection
from django.http import HttpRequest

from posthouse.archive import reading
from posthouse.archive.errors import NoSuchArchive
from posthouse.archive.models import PRIVATE
from posthouse.archive.render import obscure
from posthouse.archive.views import ArchiveFacts
from posthouse.lists import addresses
from posthouse.web import links
from posthouse.web.access import Hidden, Moved, require_readable, visitor


@dataclass(frozen=True, slots=True)
class Place:
    """An archive; `last_at` in seconds since 1970; `version` grows with each change of it."""

    address: str
    display_name: str
    description: str
    policy: str
    postings: int
    last_at: int
    version: int
    obscured: bool = False

    @property
    def name(self) -> str:
        """What people call it."""
        return self.display_name or self.address.partition("@")[0]

    @property
    def private(self) -> bool:
        """Whether it is for members only."""
        return self.policy == PRIVATE

    @property
    def path(self) -> str:
        """Its first page."""
        return links.archive(self.address)

    @property
    def about(self) -> str:
        """The page about its list."""
        return links.mailing_list(self.address)

    @property
    def post(self) -> str:
        """Where a new message is sent to."""
        return links.mailto(self.address)


@dataclass(frozen=True, slots=True)
class ThreadRow:
    """A conversation as the front page shows it; times in seconds since 1970."""

    archive: str
    key: str
    subject: str
    postings: int
    last_at: int


def _place(facts: ArchiveFacts) -> Place:
    return Place(
        facts.address,
        facts.display_name,
        facts.description,
        facts.policy,
        facts.postings,
        facts.last_at,
        facts.version,
        facts.obscured,
    )


def newest_threads(addresses: Sequence[str], most: int) -> list[ThreadRow]:
    """The conversations with the latest activity in these few archives; one question, answered from an index."""
    one = (
        "SELECT * FROM (SELECT a.address, t.key, t.subject, t.postings, t.last_at, "
        "a.obscure_addresses AND a.policy = 'public' FROM archive_thread t "
        "JOIN archive_archive a ON a.id = t.archive_id WHERE a.address = %s ORDER BY t.last_at DESC LIMIT %s) AS s"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            " UNION ALL ".join([one] * len(addresses)) + " ORDER BY 5 DESC LIMIT %s",
            [*(value for address in addresses for value in (address, most)), most],
        )
        return [
            ThreadRow(address, key, obscure(subject) if hidden else subject, postings, last_at)
            for address, key, subject, postings, last_at, hidden in cursor.fetchall()
        ]


def all_places() -> list[Place]:
    """Every archive, the most lately active first; one question to the database."""
    return [_place(facts) for facts in reading.archives()]


def place_of(request: HttpRequest, address: str) -> Place:
    """The archive with this address, for this visitor. Raises Hidden when it is not there or not for them."""
    try:
        place = _place(reading.archive(address))
    except NoSuchArchive:
        raise _moved(request, address) from None
    require_readable(visitor(request), place)
    return place


def _moved(request: HttpRequest, address: str) -> Exception:
    """Where the archive of a renamed list is now, for those who may read it; else it is hidden."""
    new = addresses.moved(address)
    if new is None:
        return Hidden()
    try:
        require_readable(visitor(request), _place(reading.archive(new)))
    except (NoSuchArchive, Hidden):
        return Hidden()
    return Moved(address, new)
