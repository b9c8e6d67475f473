"""Search on PostgreSQL: a tsvector made of the same folded words as elsewhere, with a GIN index.

Weights say where a word stands: A subject, B author, C recipients, D text and names of files. The posting's scope
(its archive, whether it has attachments) stands in capitals, which no folded word has. Words of addresses begin with
an @ (weights as names): who may not see addresses does not ask for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from posthouse.archive.folding import address_words, indexed
from posthouse.archive.query import ANYWHERE, AUTHOR, RECIPIENTS, SUBJECT, Term, across
from posthouse.archive.rows import marks

if TYPE_CHECKING:
    from posthouse.archive.search import Text, Wanted

_WEIGHTS = {ANYWHERE: "", SUBJECT: "A", AUTHOR: "B", RECIPIENTS: "C"}
_LAST_POSITION = 16_000  # of a word in a tsvector that says where it stands
_LONGEST_WORD = 2_000  # octets; PostgreSQL refuses a tsquery with a longer one, and has none in its index
_VECTOR = (
    "setweight(to_tsvector('simple', %s), 'A') || setweight(to_tsvector('simple', %s), 'B') || "
    "setweight(to_tsvector('simple', %s), 'C') || to_tsvector('simple', %s) || array_to_tsvector(%s) || "
    "%s::tsvector"
)
Sought = tuple[str, list[Any]]  # a tsquery in SQL, and its parameters


def add(cursor: Any, texts: Sequence[Text]) -> None:
    """Write texts with their index."""
    cursor.executemany(
        "INSERT INTO archive_text (posting_id, subject, author, recipients, body, files, scope, author_address, "
        f"recipient_addresses, search) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, {_VECTOR})",
        [
            (
                one.posting, one.subject, one.author, one.recipients, one.body, one.files, one.scope,
                one.author_address, one.recipient_addresses, *_vector(one),
            )
            for one in texts
        ],
    )  # fmt: skip


def _vector(one: Text) -> tuple[Any, ...]:
    """The parameters of _VECTOR."""
    return (
        indexed(one.subject), indexed(one.author), indexed(one.recipients, 20_000),
        f"{indexed(one.body, 150_000)} {indexed(one.files, 20_000)}", one.scope.upper().split(),
        _addresses(one),
    )  # fmt: skip


def _addresses(one: Text) -> str:
    """A tsvector of the words of addresses; they are letters and digits, so that nothing needs quoting."""
    placed = [(word, "B") for word in address_words(one.author_address)]
    placed += [(word, "C") for word in address_words(one.recipient_addresses)]
    return " ".join(f"'@{word}':{at}{weight}" for at, (word, weight) in enumerate(placed[:_LAST_POSITION], 1))


def settle(cursor: Any) -> None:
    """Move new entries from the index's waiting list to their places, and count anew what the planner goes by."""
    cursor.execute("SELECT gin_clean_pending_list('archive_text_search')")
    cursor.execute("ANALYZE archive_text, archive_posting, archive_thread, archive_knownid")


def newest(cursor: Any, wanted: Wanted, most: int, skip: int) -> list[int]:
    """See `search.Engine`."""
    return _found(cursor, wanted, "", [], most, skip)


def best(cursor: Any, wanted: Wanted, most: int, skip: int) -> list[int]:
    """See `search.Engine`."""
    sought, parameters = _groups(wanted)
    order = f"ts_rank('{{0.1, 0.2, 0.5, 1.0}}', x.search, {sought}, 1) DESC, " if sought else ""
    return _found(cursor, wanted, order, parameters, most, skip)


def _found(cursor: Any, wanted: Wanted, order: str, ordered: list[Any], most: int, skip: int) -> list[int]:
    sought, parameters = _sought(wanted)
    source, where = "archive_text x", f"x.search @@ ({sought})" if sought else "1 = 1"
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


def _sought(wanted: Wanted) -> Sought:
    """All that a posting must match."""
    parts: list[Sought] = []
    if wanted.scopes:
        parts.append(_scope(wanted.scopes))
    if wanted.query.attachment is not None:
        parts.append(("%s::tsquery", ["'WITHFILE'" if wanted.query.attachment else "!'WITHFILE'"]))
    if wanted.query.wanted:
        parts.append(_groups(wanted))
    for term in wanted.query.unwanted:
        if wanted.seen is None or not across(term):
            sought, parameters = _term(term, wanted.seen)
        elif wanted.seen:  # elsewhere `search` refuses itself what might match across a hidden address
            sought, parameters = _joined(" && ", [_scope(wanted.seen), _term(term, None)])
        else:
            continue
        parts.append((f"!! {sought}", parameters))
    return _joined(" && ", parts)


def _groups(wanted: Wanted) -> Sought:
    """Of each group of words at least one."""
    return _joined(
        " && ", [_joined(" || ", [_term(term, wanted.seen) for term in group]) for group in wanted.query.wanted]
    )


def _joined(operator: str, parts: Sequence[Sought]) -> Sought:
    if not parts:
        return "", []
    return f"({operator.join(sought for sought, _ in parts)})", [one for _, values in parts for one in values]


def _scope(scopes: Sequence[str]) -> Sought:
    return "%s::tsquery", [" | ".join(f"'{scope.upper()}'" for scope in scopes)]


def _term(term: Term, seen: Sequence[str] | None) -> Sought:
    """What matches a term; in addresses only where they are seen: everywhere (None), or in the archives named.

    The text's own parser reads the words too, so that both sides split what it would split; those of addresses are
    taken as they are on both sides.
    """
    found: Sought = ("to_tsquery('simple', %s)", [_phrase(term, "")])
    if term.field == SUBJECT or (seen is not None and not seen):
        return found
    inside: Sought = ("%s::tsquery", [_phrase(term, "@")])
    if seen is not None:
        inside = _joined(" && ", [_scope(seen), inside])
    return _joined(" || ", [found, inside])


def _phrase(term: Term, before: str) -> str:
    """The words of a term, each with `before` in front; every word is a quoted string of folded letters and digits."""
    weight = _WEIGHTS[term.field]
    marks = [f":{weight}" if weight else ""] * len(term.words)
    if term.prefix:
        marks[-1] = f":*{weight}"
    words = (word.encode()[:_LONGEST_WORD].decode(errors="ignore") for word in term.words)
    return " <-> ".join(f"'{before}{word}'{mark}" for word, mark in zip(words, marks, strict=True))
