"""The few words around a hit, with the matches marked, as plain data for a template to escape."""

from __future__ import annotations

import re
from collections.abc import Sequence

from posthouse.archive.folding import composed, fold
from posthouse.archive.query import Term

LENGTH = 220  # characters shown
_BEFORE = 60
LOOKED_THROUGH = 60_000  # characters of a text in which a match is sought for showing

Segments = tuple[tuple[str, bool], ...]

_SPACE = re.compile(r"\s+")


def snippet(body: str, terms: Sequence[Term]) -> Segments:
    """(text, is a match) pieces of the body around the first match, or its beginning when the match is elsewhere."""
    text = composed(body[:LOOKED_THROUGH])
    found = pattern_of(terms)
    first = found.search(fold(text)) if found else None
    start = 0
    if first is not None and first.start() > _BEFORE:
        start = first.start() - _BEFORE
        space = text.find(" ", start, first.start())
        start = space + 1 if space >= 0 else start
    window = _SPACE.sub(" ", text[start : start + 2 * LENGTH]).strip()
    cut = len(window) > LENGTH or start + 2 * LENGTH < len(text)
    window = window[:LENGTH]
    pieces: list[tuple[str, bool]] = []
    done = 0
    for match in found.finditer(fold(window)) if found else ():
        if match.start() > done:
            pieces.append((window[done : match.start()], False))
        pieces.append((window[match.start() : match.end()], True))
        done = match.end()
    pieces.append((window[done:] + ("…" if cut else ""), False))
    if start:
        pieces.insert(0, ("…", False))
    return tuple(piece for piece in pieces if piece[0])


def pattern_of(terms: Sequence[Term]) -> re.Pattern[str] | None:
    """What finds these terms in a text that was composed and folded; None for no terms."""
    if not terms:
        return None
    ways = []
    for term in sorted(terms, key=lambda term: -len(term.words)):
        words = r"[\W_]+".join(re.escape(word) for word in term.words)
        ways.append(words + (r"[^\W_]*" if term.prefix else ""))
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(ways)})(?![^\W_])")
