"""Words in a row that match across the @ of a hidden address: what they find is looked at again, as its page shows it.

Names and addresses of authors and recipients are columns of their own, so the index keeps them apart. In subjects,
texts and names of files an address stands among other words; the page shows `ben at far.example`, and
`"ben far example"` must not tell more. The index cannot see that; so what such words found is looked at here: few
postings, and only those with an @.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from posthouse.archive.folding import composed, fold
from posthouse.archive.query import ANYWHERE, AUTHOR, RECIPIENTS, SUBJECT, Query, Term, across
from posthouse.archive.rows import marks
from posthouse.archive.snippets import pattern_of

LOOKED_AT = 200  # postings
_LONGEST = 100_000  # characters of a text
_COLUMNS = {ANYWHERE: (0, 1, 2, 3, 4), SUBJECT: (0,), AUTHOR: (1,), RECIPIENTS: (2,)}


def needed(query: Query) -> bool:
    """Whether anything in the query may be found across an address."""
    return any(across(term) for group in query.wanted for term in group) or any(map(across, query.unwanted))


def left(cursor: Any, ids: Sequence[int], query: Query, hidden: Collection[int]) -> list[int]:
    """Those of these postings, in their order, that also match as their pages show them; `hidden`: the archives (by
    number) whose addresses are hidden."""
    if not ids or not hidden:
        return list(ids)
    groups = [group for group in query.wanted if any(map(across, group))]
    refused = [term for term in query.unwanted if across(term)]
    cursor.execute(
        "SELECT x.posting_id, p.archive_id, x.subject, x.author, x.recipients, substr(x.body, 1, %s), x.files "
        "FROM archive_text x JOIN archive_posting p ON p.id = x.posting_id "
        f"WHERE x.posting_id IN ({marks(ids)})"
        + ("" if refused else " AND (x.body LIKE '%%@%%' OR x.subject LIKE '%%@%%' OR x.files LIKE '%%@%%')"),
        [_LONGEST, *ids],
    )
    gone = set()
    for number, archive, *columns in cursor.fetchall():
        if archive in hidden:
            texts = [composed(one) for one in columns]
            if not all(any(_matches(term, texts) for term in group) for group in groups) or any(
                _matches(term, texts) for term in refused
            ):
                gone.add(number)
    return [number for number in ids if number not in gone]


def _matches(term: Term, texts: Sequence[str]) -> bool:
    pattern = pattern_of([term])
    assert pattern is not None
    return any(
        "@" not in text[found.start() : found.end()]
        for text in (texts[column] for column in _COLUMNS[term.field])
        for found in pattern.finditer(fold(text))
    )
