"""Rows for any number of values, with one statement for each thousand of them."""

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
