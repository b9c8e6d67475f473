"""Rows for any number of values, one statement for each thousand of them, and text that every database takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

_CHUNK = 1_000


def marks(values: Sequence[object]) -> str:
    """As many placeholders as there are values."""
    return ", ".join(["%s"] * len(values))


def select_in(
    cursor: Any,
    statement: str,
    parameters: Sequence[Any],
    values: Iterable[Any],
    rest: str = "",
    more: Sequence[Any] = (),
) -> list[tuple[Any, ...]]:
    """The rows of `statement ... IN (values) rest`; `statement` ends with IN, `more` are the parameters of `rest`."""
    wanted = list(values)
    rows: list[tuple[Any, ...]] = []
    for start in range(0, len(wanted), _CHUNK):
        some = wanted[start : start + _CHUNK]
        cursor.execute(f"{statement} ({marks(some)}) {rest}", [*parameters, *some, *more])
        rows += cursor.fetchall()
    return rows


def clean(text: str, most: int | None = None) -> str:
    """Text that every database takes: no NUL, no half characters, at most so many of them."""
    text = text[:most]
    if text.isascii():
        return text.replace("\0", "") if "\0" in text else text
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
