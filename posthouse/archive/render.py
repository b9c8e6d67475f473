"""The text of a message as blocks a page can show: quotes by depth, signatures, diffs, links.

Plain data: a template escapes every `text` as it does any string; `url` is only ever an http, https or ftp address.
Only where an archive shows Markdown there are blocks with `html`, which is safe as it is (`archive.markdown`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from posthouse.archive import markdown
from posthouse.archive.runs import Run, links

MAX_DEPTH = 20  # quotes in quotes beyond this look like this deep
MAX_LINES = 20_000
_SIGNATURE_LINES = 25  # what follows a "-- " and is longer than this is no signature

Kind = Literal["text", "quote", "signature", "diff", "markdown"]
TEXT, MARKDOWN = "text", "markdown"  # how an archive shows its postings

_QUOTE = re.compile(r"(?:>[ \t]?){1,200}")
_DIFF_BEGINS = re.compile(r"diff --git |Index: \S|--- \S")
_IN_DIFF = re.compile(
    r"[ +\-@\\]|index [0-9a-f]|(?:new|deleted) file mode |(?:old|new) mode |similarity index|(?:rename|copy) |"
    r"diff |Binary files |GIT binary patch|Index: |={20,}"
)
_MARKS = {"+": "added", "-": "removed", "@": "place"}


_ADDRESS = re.compile(r"\b([\w.+-]{1,64}+)@((?:[\w-]{1,63}+\.){1,8}[^\W\d_]{2,24}+)\b")


def obscure(text: str) -> str:
    """The text with `ana at far.example` for each address: read by people, not by machines that collect them."""
    return _ADDRESS.sub(r"\1 at \2", text) if "@" in text else text


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that belong together; `depth` counts the quote marks, which are taken off. Line ends stay in the text.

    Of the kind `markdown` the text is `html`, safe as it is; `depth` is how many lines a quote has, 0 for other text.
    """

    kind: Kind
    depth: int
    runs: tuple[Run, ...]
    html: str = ""

    @property
    def text(self) -> str:
        """The block's text without its links."""
        return "".join(run.text for run in self.runs)


def blocks(text: str, rendering: str = TEXT) -> tuple[Block, ...]:
    """Take a message's text apart; linear in its length, for any text. `rendering`: TEXT or MARKDOWN."""
    lines = text.rstrip().split("\n")
    if len(lines) > MAX_LINES:
        lines = [*lines[:MAX_LINES], "…"]
    end = _signature(lines)
    if rendering == MARKDOWN and (pieces := markdown.pieces("\n".join(lines[:end]))) is not None:
        written = [Block("markdown", quoted, (), html) for quoted, html in pieces]
        return (*written, *_ending(lines, end))
    found: list[Block] = []
    group: list[str] = []
    depth = 0
    place = 0
    while place < end:
        line = lines[place]
        first = line[:1]
        if first == ">":
            marks = _QUOTE.match(line)
            here = min(line.count(">", 0, marks.end()), MAX_DEPTH) if marks else 0
            line = line[marks.end() :] if marks else line
        else:
            here = 0
            if first in ("d", "I", "-") and _begins_diff(lines, place, end):
                _close(found, group, depth)
                group, stop = [], _end_of_diff(lines, place, end)
                found.append(Block("diff", 0, tuple(_diff_run(one) for one in lines[place:stop])))
                place = stop
                continue
        if here != depth:
            _close(found, group, depth)
            group, depth = [], here
        group.append(line)
        place += 1
    _close(found, group, depth)
    return (*found, *_ending(lines, end))


def _ending(lines: list[str], end: int) -> list[Block]:
    return [Block("signature", 0, links("\n".join(lines[end:])))] if end < len(lines) else []


def _close(found: list[Block], group: list[str], depth: int) -> None:
    text = "\n".join(group)
    if text.strip():
        found.append(Block("quote" if depth else "text", depth, links(text.strip("\n"))))


def _signature(lines: list[str]) -> int:
    """Where the signature begins (RFC 3676 §4.3: a line of "-- "), or the number of lines."""
    for place in range(len(lines) - 1, max(-1, len(lines) - 2 - _SIGNATURE_LINES), -1):
        if lines[place] in ("-- ", "--"):
            return place
    return len(lines)


def _begins_diff(lines: list[str], place: int, end: int) -> bool:
    line = lines[place]
    if not _DIFF_BEGINS.match(line):
        return False
    if line.startswith("--- "):
        return place + 1 < end and lines[place + 1].startswith("+++ ")
    ahead = lines[place + 1 : min(place + 6, end)]
    return any(one.startswith(("--- ", "index ", "new file", "deleted file", "rename ", "====")) for one in ahead)


def _end_of_diff(lines: list[str], place: int, end: int) -> int:
    last = place
    while place < end:
        line = lines[place]
        if not line:  # a context line whose blank was lost, if the diff goes on behind it
            if place + 1 >= end or not _IN_DIFF.match(lines[place + 1]):
                break
        elif not _IN_DIFF.match(line):
            break
        place += 1
    return max(place, last + 1)


def _diff_run(line: str) -> Run:
    if line.startswith(("+++ ", "--- ")):
        return Run(line + "\n", "", "place")
    return Run(line + "\n", "", _MARKS.get(line[:1], ""))


__all__ = ["MARKDOWN", "MAX_DEPTH", "MAX_LINES", "TEXT", "Block", "Kind", "Run", "blocks", "links", "obscure"]
