"""Sentences that rules, requests and acts answer in English, said in the language of who reads them.

They are written in English where they arise, kept so in the database and the log, and translated as they are shown:
`translations/<language>/*.txt` hold blocks of two lines, English and translation, in which `{0}` stands for whatever
is filled in. What has no translation stays as it is, so that people's own words do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "translations"
LONGEST: Final = 2000  # letters of a text that is looked at
_DEEPEST: Final = 3  # sentences filled into sentences
_PLACE = re.compile(r"\{(\d)\}")
_RULE = re.compile(r"[a-z][a-z-]+")
_ENDS = re.compile(r"(?<=[.!?]) (?=[^\s])")


@dataclass(frozen=True, slots=True)
class _Table:
    """`exact`: whole sentences; `patterns`: those with something filled in, the most telling first."""

    exact: Mapping[str, str]
    patterns: tuple[tuple[re.Pattern[str], str], ...]


def entries(language: str) -> dict[str, str]:
    """Every English sentence that has a translation into this language, with it."""
    found: dict[str, str] = {}
    for path in sorted((FOLDER / language).glob("*.txt")):
        for block in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")):
            lines = [line.strip() for line in block.splitlines() if line.strip() and not line.startswith("#")]
            if len(lines) == 2:
                found[lines[0]] = lines[1]
            elif lines:
                raise ValueError(f"{path}: a block has two lines: {lines[0]}")
    return found


@cache
def _table(language: str) -> _Table:
    exact: dict[str, str] = {}
    patterns = []
    for english, said in entries(language).items():
        pieces = _PLACE.split(english)
        if len(pieces) == 1:
            exact[english] = said
            continue
        written = "".join(
            re.escape(piece) if number % 2 == 0 else f"(?P<p{piece}>.{{1,600}}?)" for number, piece in enumerate(pieces)
        )
        patterns.append((len(_PLACE.sub("", english)), re.compile(written, re.DOTALL), said))
    patterns.sort(key=lambda one: -one[0])
    return _Table(exact, tuple((pattern, said) for _, pattern, said in patterns))


def in_language(text: str, language: str) -> str:
    """The text with every sentence that is known in the other language; line by line, sentence by sentence."""
    if not text or len(text) > LONGEST or not (FOLDER / language).is_dir():
        return text
    return _said(text, language)


@lru_cache(maxsize=4096)
def _said(text: str, language: str) -> str:
    table = _table(language)
    return "\n".join(_line(line, table) for line in text.split("\n"))


def _line(line: str, table: _Table) -> str:
    core = line.strip()
    if not core:
        return line
    pieces = _ENDS.split(core)
    said = [_whole(one, table, 0) for one in pieces]
    found = " ".join(one or piece for one, piece in zip(said, pieces, strict=True))
    if not all(said):
        name, _, rest = core.partition(": ")
        reason = _whole(rest, table, 0) if _RULE.fullmatch(name) else None  # what a rule found, behind its name
        found = _whole(core, table, 0) or (f"{name}: {reason}" if reason else found)
    return line.replace(core, found, 1)


def _whole(text: str, table: _Table, depth: int) -> str | None:
    """The translation of one whole sentence, or None."""
    if text in table.exact:
        return table.exact[text]
    if depth >= _DEEPEST:
        return None
    for pattern, said in table.patterns:
        match = pattern.fullmatch(text)
        if match:
            given = {name: _whole(word, table, depth + 1) or word for name, word in match.groupdict().items()}
            return _PLACE.sub(lambda place, given=given: given.get(f"p{place[1]}", ""), said)  # type: ignore[misc]
    return None
