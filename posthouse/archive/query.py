"""The language of the search box, read into plain data; it never fails, it says what it could not understand.

    fresh tomatoes          both words            "late blight"    these words in this order
    tomat*                  words beginning so    -courgettes      without this word (or -"..." or -from:...)
    ripe OR green           one of them           from:ana to:     in the author's or recipients' names and addresses
    subject:"next release"  in the subject        list:garden      in this list's archive
    after:2024-05           from this day on      before:2025      up to the day before it
    has:attachment          with attachments

Nothing of what a person typed reaches a database's own query syntax: `words` are folded letters and digits only.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass

from posthouse.archive.folding import words

MAX_LENGTH = 1_000  # characters read of a query
MAX_TERMS = 32
MAX_WORDS = 64  # in all terms together
MIN_PREFIX = 3  # letters before the star; other scripts say more with one

ANYWHERE, AUTHOR, RECIPIENTS, SUBJECT = "", "author", "recipients", "subject"
_FIELDS = {"from": AUTHOR, "to": RECIPIENTS, "cc": RECIPIENTS, "subject": SUBJECT}
_DATES = ("after", "before")

_TOKEN = re.compile(
    r'(?P<minus>-?)(?:(?P<field>[A-Za-z]{2,10}):(?=[^\s:]))?(?:"(?P<quoted>[^"]*)(?P<end>"?)|(?P<bare>\S+))'
)
_DATE = re.compile(r"(\d{4})(?:[-/.](\d{1,2})(?:[-/.](\d{1,2}))?)?\Z")


@dataclass(frozen=True, slots=True)
class Term:
    """Words that stand one behind the other, perhaps in one field only; `prefix`: the last one may go on."""

    words: tuple[str, ...]
    field: str = ANYWHERE
    prefix: bool = False


def across(term: Term) -> bool:
    """Whether a term may match across the @ of an address in a text: several words, where texts are looked at."""
    return len(term.words) > 1 and term.field in (ANYWHERE, SUBJECT)


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched: of each group of `wanted` at least one term, none of `unwanted`; times in seconds, UTC."""

    wanted: tuple[tuple[Term, ...], ...] = ()
    unwanted: tuple[Term, ...] = ()
    lists: tuple[str, ...] = ()  # parts of the addresses of lists, folded to lower case
    without_lists: tuple[str, ...] = ()
    after: int | None = None  # sent at or after
    before: int | None = None  # sent before
    attachment: bool | None = None
    complaints: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing at all is asked for."""
        return not (
            self.wanted or self.unwanted or self.lists or self.without_lists
            or self.after is not None or self.before is not None or self.attachment is not None
        )  # fmt: skip


def parse(text: str) -> Query:
    """Read what a person typed. Never raises; what is not understood is searched as words and told in `complaints`."""
    return _Parser().read(text)


class _Parser:
    def __init__(self) -> None:
        self.wanted: list[list[Term]] = []
        self.unwanted: list[Term] = []
        self.lists: list[str] = []
        self.without_lists: list[str] = []
        self.after: int | None = None
        self.before: int | None = None
        self.attachment: bool | None = None
        self.complaints: list[str] = []
        self._either = False  # the word before was OR
        self._joinable = False  # an OR here would stand behind a wanted term
        self._words = 0

    def read(self, text: str) -> Query:
        if len(text) > MAX_LENGTH:
            self._complain(f"Only the first {MAX_LENGTH:,} characters were searched for.")
            text = text[:MAX_LENGTH]
        for found in _TOKEN.finditer(text.replace("\0", " ")):
            self._token(found)
        if self._either:
            self._complain("OR needs a word on either side.")
        return Query(
            tuple(tuple(group) for group in self.wanted), tuple(self.unwanted), tuple(self.lists),
            tuple(self.without_lists), self.after, self.before, self.attachment, tuple(self.complaints),
        )  # fmt: skip

    def _complain(self, sentence: str) -> None:
        if sentence not in self.complaints and len(self.complaints) < 8:
            self.complaints.append(sentence)

    def _token(self, found: re.Match[str]) -> None:
        minus, field, quoted, bare = (
            found["minus"] == "-",
            (found["field"] or "").lower(),
            found["quoted"],
            found["bare"],
        )
        value = quoted if quoted is not None else bare
        if quoted is not None and not found["end"]:
            self._complain("A quotation mark was not closed; everything behind it was taken as the phrase.")
        if bare == "OR" and not field and not minus:
            if self._joinable:
                self._either = True
            else:
                self._complain("OR needs a word on either side.")
            return
        if bare == "AND" and not field and not minus:
            return  # all words are wanted anyway
        if (field in _DATES and self._date(field, value, minus)) or (field == "has" and self._has(value, minus)):
            self._other()
        elif field == "list":
            (self.without_lists if minus else self.lists).append(value.lower())
            self._other()
        else:
            self._term(field, value, quoted is not None, minus)

    def _other(self) -> None:
        """Something that OR cannot join was read."""
        if self._either:
            self._complain("OR joins words only; dates, lists and has: always hold for all that is found.")
        self._either = self._joinable = False

    def _date(self, field: str, value: str, minus: bool) -> bool:
        day = day_of(value)
        if day is None or minus:
            self._complain(f"{field}: wants a date like 2024, 2024-05 or 2024-05-31; it was searched for as words.")
            return False
        if field == "after":
            self.after = day if self.after is None else max(day, self.after)
        else:
            self.before = day if self.before is None else min(day, self.before)
        return True

    def _has(self, value: str, minus: bool) -> bool:
        if value.lower() not in ("attachment", "attachments", "file", "files"):
            self._complain("has: knows only has:attachment; it was searched for as words.")
            return False
        self.attachment = not minus
        return True

    def _term(self, field: str, value: str, quoted: bool, minus: bool) -> None:
        if field and field not in _FIELDS:
            value = f"{field} {value}"  # `https://...`, `Python:`: a word with a colon is no wish
        prefix = not quoted and value.endswith("*")
        found = words(value)
        if not found:
            self._complain(f"Nothing can be searched for in {value[:40]!r}: it holds no letters or digits.")
            return
        if prefix and len(found[-1]) < MIN_PREFIX and found[-1].isascii():
            self._complain(
                f"At least {MIN_PREFIX} letters must stand before a *; {found[-1]} was searched for as a word."
            )
            prefix = False
        if len(self.unwanted) + sum(map(len, self.wanted)) >= MAX_TERMS or self._words + len(found) > MAX_WORDS:
            self._complain(
                f"At most {MAX_TERMS} terms of {MAX_WORDS} words together are searched for; the rest was left out."
            )
            return
        self._words += len(found)
        term = Term(tuple(found), _FIELDS.get(field, ANYWHERE), prefix)
        if minus:
            if self._either:
                self._complain("A word with a minus cannot stand beside OR; it was left out of all that is found.")
            self.unwanted.append(term)
            self._either = self._joinable = False
            return
        if self._either:
            self.wanted[-1].append(term)
        else:
            self.wanted.append([term])
        self._either, self._joinable = False, True


def day_of(text: str) -> int | None:
    """The first second (UTC) of a year, month or day written YYYY, YYYY-MM or YYYY-MM-DD, or None."""
    found = _DATE.match(text)
    if not found or not text.isascii():
        return None
    year, month, day = int(found[1]), int(found[2] or 1), int(found[3] or 1)
    if not (year >= 1970 and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]):
        return None
    return calendar.timegm((year, month, day, 0, 0, 0))
