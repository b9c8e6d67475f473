"""Text with its web addresses set apart."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINK = re.compile(r"\b(?:https?|ftp)://[^\s<>\"\x00-\x20\x7f]{3,2000}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Run:
    """Some text: a link where `url` is not empty; in a diff `mark` is "added", "removed", "place" or ""."""

    text: str
    url: str = ""
    mark: str = ""


def links(text: str) -> tuple[Run, ...]:
    """The text with its web addresses set apart."""
    if "://" not in text:
        return (Run(text),)
    runs: list[Run] = []
    done = 0
    for found in _LINK.finditer(text):
        url = _trimmed(found[0])
        if found.start() > done:
            runs.append(Run(text[done : found.start()]))
        runs.append(Run(url, url))
        done = found.start() + len(url)
    if done < len(text):
        runs.append(Run(text[done:]))
    return tuple(runs)


def _trimmed(url: str) -> str:
    """Without the punctuation of the sentence around it; a bracket stays when it was opened inside."""
    while url:
        last = url[-1]
        if last in ".,;:!?'*_~|" or (last in ")]}" and url.count("([{"[")]}".index(last)]) < url.count(last)):
            url = url[:-1]
        else:
            break
    return url
