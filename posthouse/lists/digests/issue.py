"""One issue of a digest: its number, its postings as they are read, and the texts around them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from string import Template
from urllib.parse import quote

from posthouse.content import keeping
from posthouse.content.errors import ContentError
from posthouse.lists import digest_words, notices
from posthouse.lists.arrived import joined
from posthouse.lists.digest_models import DigestPosting
from posthouse.lists.models import MailingList
from posthouse.lists.sentences import in_language
from posthouse.message.compose import with_crlf
from posthouse.message.dates import format_date
from posthouse.message.headers import Fields
from posthouse.message.parsing import Reading, read

_WIDTH = 70
_LONGEST_SUBJECT = 300
_NUMBERED = re.compile(r"%0?\d?d")
_LOST = "This posting could not be read when the digest was made."


@dataclass(frozen=True, slots=True)
class Entry:
    """One posting in a digest. `subject` is without the list's prefix; `permalink`: "" where nothing is archived."""

    number: int
    content: bytes
    fields: Fields
    reading: Reading
    subject: str
    message_id: str
    permalink: str
    gathered_at: int  # seconds since 1970
    unknown: str = "unknown"  # what is said where nobody is named

    @property
    def author(self) -> str:
        """Who wrote it, for people."""
        return self.reading.author_name or self.reading.author_address or self.unknown

    @property
    def date(self) -> str:
        """Its Date field, or when it came."""
        return (self.fields.first("date") or "").strip() or format_date(self.gathered_at)

    def attachment_url(self, number: int, name: str) -> str:
        """Where the archive gives this attachment out; only where there is a permalink."""
        return f"{self.permalink}attachment/{number}/{quote(name or 'attachment', safe='')[:600]}"


@dataclass(frozen=True, slots=True)
class Issue:
    """What all kinds of a digest share. Texts have LF line ends; header and footer are "" where the list has none."""

    mailing_list: MailingList
    volume: int
    number: int
    title: str
    masthead: str
    language: str  # of the words around the postings
    header: str
    footer: str
    entries: tuple[Entry, ...]

    def said(self, text: str) -> str:
        """A sentence of the house in the language of the digest."""
        return in_language(text, self.language)

    @property
    def topics(self) -> str:
        """The line above the table of contents."""
        count = len(self.entries)
        text = "Topics in this issue (1 message):" if count == 1 else f"Topics in this issue ({count} messages):"
        return self.said(text)

    @property
    def contents(self) -> str:
        """The table of contents: number, subject and author of each posting."""
        return f"{self.topics}\n\n" + "\n".join(_line(entry) for entry in self.entries) + "\n"


def make(mailing_list: MailingList, volume: int, number: int, rows: Sequence[DigestPosting]) -> Issue:
    """The issue with these postings; one whose content is lost stands there as a note, never in the way of others."""
    named = digest_words.named(mailing_list, volume, number)
    values = {**notices.placeholders(mailing_list), "volume": str(volume), "issue": str(number), "title": named.title}
    bodies = keeping.read_many(row.content_id for row in rows)
    entries = []
    for position, row in enumerate(rows, 1):
        entries.append(_entry(mailing_list, position, row, bodies.get(row.content_id), named.language))
    return Issue(
        mailing_list,
        volume,
        number,
        named.title,
        named.masthead.strip("\n") + "\n",
        named.language,
        _filled(mailing_list.digest_header, values),
        _filled(mailing_list.digest_footer, values),
        tuple(entries),
    )


def _entry(
    mailing_list: MailingList, number: int, row: DigestPosting, body: keeping.Body | None, language: str
) -> Entry:
    try:
        content = body.all() if body is not None else None
    except (ContentError, OSError):
        content = None
    if content is None:
        lost = in_language(_LOST, language)
        content = f"Content-Type: text/plain; charset=utf-8\r\nSubject: (lost)\r\n\r\n{lost}\r\n".encode()
    whole = with_crlf(joined(bytes(row.prefix), content))
    reading = read(whole)
    subject = _without_prefix(reading.subject, mailing_list.subject_prefix)
    return Entry(
        number=number,
        content=whole,
        fields=Fields(whole),
        reading=reading,
        subject=subject[:_LONGEST_SUBJECT] or in_language("(no subject)", language),
        message_id=row.message_id,
        permalink=row.permalink,
        gathered_at=int(row.gathered_at.timestamp()),
        unknown=in_language("unknown", language),
    )


def _without_prefix(subject: str, prefix: str) -> str:
    """The subject without the list's prefix, which would stand in every line of the contents."""
    words = [re.escape(word) for word in _NUMBERED.split(prefix.strip())]
    if not any(words):
        return subject
    return " ".join(re.sub(r"\d{0,12}".join(words), " ", subject, count=1, flags=re.IGNORECASE).split())


def _filled(text: str, values: dict[str, str]) -> str:
    filled = Template(text).safe_substitute(values).strip("\n")
    return f"{filled}\n" if filled.strip() else ""


def _line(entry: Entry) -> str:
    text = " ".join(f"{entry.subject} ({entry.author})".split())
    first = f"{entry.number:4}. "
    return textwrap.fill(
        text, _WIDTH, initial_indent=first, subsequent_indent=" " * len(first), break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
