"""What a digest is called: worded by its masthead's template, whose subject is its own, and how to know it again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Template

from posthouse.lists import languages, texts
from posthouse.lists.models import MailingList

KIND = "digest-masthead"
_COUNTED = {"volume", "issue"}
_QUOTED = r"^[>|\s]{0,20}"
_NEAR = 1000  # letters between the title and the list's address in a masthead that is quoted whole


@dataclass(frozen=True, slots=True)
class Named:
    """A digest's title, masthead and the language of both."""

    title: str
    masthead: str
    language: str


def named(row: MailingList, volume: int, issue: int) -> Named:
    """What this issue is called, in the language of the list.

    `$title` in the text is what the subject says; in a subject of the list's own it is what the house says.
    """
    counted = {"volume": str(volume), "issue": str(issue)}
    wanted = languages.chain(languages.spoken(row, [])[1])
    language = texts.wording(row, KIND, wanted).language
    values = {**texts.placeholders(row, language), **counted}
    house = Template(_house(language)).safe_substitute(values)
    title, _, _ = texts.rendered(row, KIND, {**counted, "title": " ".join(house.split())}, wanted)
    _, masthead, language = texts.rendered(row, KIND, {**counted, "title": title}, wanted)
    return Named(title, masthead, language)


def titles(row: MailingList) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """(what finds the title of any of the list's digests in a subject, what finds a quoted masthead in a text)."""
    found = texts.wording(row, KIND, languages.chain(languages.spoken(row, [])[1]))
    written = found.subject.replace("${title}", "$title").replace("$title", _house(found.language))
    kinds = {_pattern(row, one) for one in (written, _house(languages.ENGLISH)) if _is_telling(one)}
    either = "|".join(sorted(kinds, key=len, reverse=True))
    quoted = rf"{_QUOTED}(?:{either})\s*$(?s:.){{0,{_NEAR}}}?{re.escape(row.address)}"
    return re.compile(either, re.IGNORECASE), re.compile(quoted, re.IGNORECASE | re.MULTILINE)


def _house(language: str) -> str:
    known = language if language in languages.complete() else languages.ENGLISH
    return texts.built_in(KIND, known)[0]


def _is_telling(subject: str) -> bool:
    """Whether it counts: without a number any subject that names the list would be a digest's."""
    return bool(_COUNTED & set(Template(subject).get_identifiers()))


def _pattern(row: MailingList, subject: str) -> str:
    marks = {name: f"\0{name}\0" for name in _COUNTED}
    filled = Template(subject).safe_substitute({**texts.placeholders(row), **marks})
    pieces = re.split("\0(?:volume|issue)\0", " ".join(filled.split()))
    return r"\d{1,6}".join(re.escape(piece) for piece in pieces)
