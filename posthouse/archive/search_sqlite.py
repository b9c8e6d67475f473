"""Search on SQLite: FTS5, whose rows have the postings' ids: dates are ranges, newest first is its own order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from posthouse.archive.query import ANYWHERE, AUTHOR, RECIPIENTS, SUBJECT, Term, across
from posthouse.archive.rows import marks

if TYPE_CHECKING:
    from posthouse.archive.search import Text, Wanted

_COLUMNS = {ANYWHERE: "{subject author recipients body files}", AUTHOR: "author", RECIPIENTS: "recipients",
            SUBJECT: "subject"}  # fmt: skip
_ADDRESSES = {ANYWHERE: "{author_address recipient_addresses}", AUTHOR: "author_address",
              RECIPIENTS: "recipient_addresses"}  # fmt: skip


def add(cursor: Any, texts: Sequence[Text]) -> None:
    """Write texts; triggers index them. Ascending ids are written to the index in one go."""
    cursor.executemany(
        "INSERT INTO archive_text (posting_id, subject, author, recipients, body, files, scope, author_address, "
        "recipient_addresses) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            (
                one.posting, one.subject, one.author, one.recipients, one.body, one.files, one.scope,
                one.author_address, one.recipient_addresses,
            )
            for one in texts
        ],
    )  # fmt: skip


def settle(cursor: Any) -> None:
    """Merge what many small transactions left; bounded, since it holds the write lock (pages, about 4 MB)."""
    cursor.execute("INSERT INTO archive_search(archive_search, rank) VALUES('merge', 1000)")


def newest(cursor: Any, wanted: Wanted, most: int, skip: int) -> list[int]:
    """See `search.Engine`."""
    return _found(cursor, wanted, "rowid DESC", most, skip)


def best(cursor: Any, wanted: Wanted, most: int, skip: int) -> list[int]:
    """See `search.Engine`."""
    return _found(cursor, wanted, "rank", most, skip)


def _found(cursor: Any, wanted: Wanted, order: str, most: int, skip: int) -> list[int]:
    match = _match(wanted)
    if match is None:
        return _unindexed(cursor, wanted, most, skip)
    where = "archive_search MATCH %s"
    parameters: list[Any] = [match]
    for bound, relation in ((wanted.low, ">="), (wanted.high, "<")):
        if bound is not None:
            where += f" AND rowid {relation} %s"
            parameters.append(bound)
    if wanted.archives is not None:
        where += f" AND rowid IN (SELECT id FROM archive_posting WHERE archive_id IN ({marks(wanted.archives)}))"
        parameters += wanted.archives
    cursor.execute(
        f"SELECT rowid FROM archive_search WHERE {where} ORDER BY {order} LIMIT %s OFFSET %s",
        [*parameters, most, skip],
    )
    return [row[0] for row in cursor.fetchall()]


def _match(wanted: Wanted) -> str | None:
    """The query in FTS5's syntax; every word is a quoted string of folded letters and digits. None: no word in it."""
    parts = []
    if wanted.scopes:
        parts.append(_scope(wanted.scopes))
    if wanted.query.attachment:
        parts.append('(scope : "withfile")')
    for group in wanted.query.wanted:
        parts.append("(" + " OR ".join(_term(term, wanted.seen) for term in group) + ")")
    if not parts:
        return None
    refused = _refused(wanted)
    match = " AND ".join(parts)
    return f"({match}) NOT ({' OR '.join(refused)})" if refused else match


def _term(term: Term, seen: Sequence[str] | None) -> str:
    """What matches a term; in addresses only where they are seen: everywhere (None), or in the archives named."""
    sought = f'"{" ".join(term.words)}"{" *" if term.prefix else ""}'
    found = f"({_COLUMNS[term.field]} : {sought})"
    columns = _ADDRESSES.get(term.field)
    if columns is None or (seen is not None and not seen):
        return found
    inside = f"({columns} : {sought})"
    return f"({found} OR {inside})" if seen is None else f"({found} OR ({_scope(seen)} AND {inside}))"


def _scope(scopes: Sequence[str]) -> str:
    return "(scope : (" + " OR ".join(f'"{scope}"' for scope in scopes) + "))"


def _refused(wanted: Wanted) -> list[str]:
    """What must not match. Where addresses are hidden `search` refuses itself what might match across one."""
    refused = []
    for term in wanted.query.unwanted:
        if wanted.seen is None or not across(term):
            refused.append(_term(term, wanted.seen))
        elif wanted.seen:
            refused.append(f"({_scope(wanted.seen)} AND {_term(term, None)})")
    if wanted.query.attachment is False:
        refused.append('(scope : "withfile")')
    return refused


def _unindexed(cursor: Any, wanted: Wanted, most: int, skip: int) -> list[int]:
    """Postings by date alone, or without words: the table in the order of its ids, what is unwanted taken out."""
    where = "1 = 1"
    parameters: list[Any] = []
    for bound, relation in ((wanted.low, ">="), (wanted.high, "<")):
        if bound is not None:
            where += f" AND id {relation} %s"
            parameters.append(bound)
    if wanted.archives is not None:
        where += f" AND archive_id IN ({marks(wanted.archives)})"
        parameters += wanted.archives
    refused = _refused(wanted)
    if refused:
        where += " AND id NOT IN (SELECT rowid FROM archive_search WHERE archive_search MATCH %s)"
        parameters.append(" OR ".join(refused))
    cursor.execute(
        f"SELECT id FROM archive_posting WHERE {where} ORDER BY id DESC LIMIT %s OFFSET %s", [*parameters, most, skip]
    )
    return [row[0] for row in cursor.fetchall()]
