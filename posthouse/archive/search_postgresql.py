"""Search on PostgreSQL: a tsvector made of the same folded words as elsewhere, with a GIN index.

Weights say where a word stands: A subject, B author, C recipients, D text and names of files. The posting's scope
(its archive, whether it has attachments) stands in capitals, which no folded word has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from posthouse.archive.folding import indexed
from posthouse.archive.query import Term
from posthouse.archive.rows import marks

if TYPE_CHECKING:
    from posthouse.archive.search import Text, Wanted

_WEIGHTS = {"": "", "subject": "A", "author": "B", "recipients": "C"}
_VECTOR = (
    "setweight(to_tsvector('simple', %s), 'A') || setweight(to_tsvector('simple', %s), 'B') || "
    "setweight(to_tsvector('simple', %s), 'C') || to_tsvector('simple', %s) || array_to_tsvector(%s)"
)
# The text's own parser reads the words too, so that both sides split what it would split
_QUERY = "%s::tsquery && to_tsquery('simple', %s)"


def add(cursor: Any, texts: Sequence[Text]) -> None:
    """Write texts with their index."""
    cursor.executemany(
        "INSERT INTO archive_text (posting_id, subject, author, recipients, body, files, scope, search) "
        f"VALUES (%s, %s, %s, %s, %s, %s, %s, {_VECTOR})",
        [
            (
                one.posting, one.subject, one.author, one.recipients, one.body, one.files, one.scope,
                indexed(one.subject), indexed(one.author), indexed(one.recipients, 20_000),
                f"{indexed(one.body, 150_000)} {indexed(one.files, 20_000)}", one.scope.upper().split(),
            )
            for one in texts
        ],
    )  # fmt: skip


def settle(cursor: Any) -> None:
    """Move new entries from the index's waiting list to their places, and count anew what the planner goes by."""
    cursor.execute("SELECT gin_clean_pending_list('archive_text_search')")
    cursor.execute("ANALYZE archive_text, archive_posting, archive_thread, archive_knownid")


def newest(cursor: Any, wanted: Wanted, most: int, skip: int) -> list[int]:
    """See `search.Engine`."""
    return _found(cursor, wanted, "", [], most, skip)


def best(cursor: Any, wanted: Wanted, most: int, skip: int) -> list[int]:
    """See `search.Engine`."""
    order = f"ts_rank('{{0.1, 0.2, 0.5, 1.0}}', x.search, {_QUERY}, 1) DESC, "
    return _found(cursor, wanted, order, ["", _wanted_words(wanted)], most, skip)


def _found(cursor: Any, wanted: Wanted, order: str, ordered: list[Any], most: int, skip: int) -> list[int]:
    scope, sought = _scope(wanted), _sought(wanted)
    source, where = "archive_text x", "1 = 1"
    parameters: list[Any] = []
    if scope or sought:
        where += f" AND x.search @@ ({_QUERY})"
        parameters += [scope, sought]
    for bound, relation in ((wanted.low, ">="), (wanted.high, "<")):
        if bound is not None:
            where += f" AND x.posting_id {relation} %s"
            parameters.append(bound)
    if wanted.archives is not None:
        source += " JOIN archive_posting p ON p.id = x.posting_id"
        where += f" AND p.archive_id IN ({marks(wanted.archives)})"
        parameters += wanted.archives
    cursor.execute(
        f"SELECT x.posting_id FROM {source} WHERE {where} ORDER BY {order}x.posting_id DESC LIMIT %s OFFSET %s",
        [*parameters, *ordered, most, skip],
    )
    return [row[0] for row in cursor.fetchall()]


def _scope(wanted: Wanted) -> str:
    """Where to look, as a tsquery of words that are ours."""
    parts = []
    if wanted.scopes:
        parts.append("(" + " | ".join(f"'{scope.upper()}'" for scope in wanted.scopes) + ")")
    if wanted.query.attachment is not None:
        parts.append("'WITHFILE'" if wanted.query.attachment else "!'WITHFILE'")
    return " & ".join(parts)


def _sought(wanted: Wanted) -> str:
    """What to look for; every word is a quoted string of folded letters and digits."""
    parts = [_wanted_words(wanted)] if wanted.query.wanted else []
    return " & ".join(parts + [f"!{_term(term)}" for term in wanted.query.unwanted])


def _wanted_words(wanted: Wanted) -> str:
    return " & ".join("(" + " | ".join(_term(term) for term in group) + ")" for group in wanted.query.wanted)


def _term(term: Term) -> str:
    weight = _WEIGHTS[term.field]
    marks = [f":{weight}" if weight else ""] * len(term.words)
    if term.prefix:
        marks[-1] = f":*{weight}"
    return "(" + " <-> ".join(f"'{word}'{mark}" for word, mark in zip(term.words, marks, strict=True)) + ")"
