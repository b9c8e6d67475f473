"""The summary: what was written, by whom, and where to read it; only for lists whose archive has every posting."""

from __future__ import annotations

import textwrap

from posthouse.lists.digests.issue import Issue
from posthouse.message.compose import text_part


def body(issue: Issue) -> bytes:
    """The digest's content from its Content-Type on."""
    lines = []
    for entry in issue.entries:
        subject = textwrap.fill(
            " ".join(entry.subject.split()), 70, initial_indent=f"{entry.number:4}. ", subsequent_indent=" " * 6,
            break_long_words=False,
        )  # fmt: skip
        files = len(entry.reading.attachments)
        more = f", {files} {issue.said('attachments' if files != 1 else 'attachment')}" if files else ""
        lines.append(f"{subject}\n      {' '.join(entry.author.split())}, {entry.date}{more}\n      {entry.permalink}")
    pieces = [issue.masthead, issue.header, issue.topics, *lines, issue.footer]
    return text_part("\n\n".join(piece.strip("\n") for piece in pieces if piece.strip()) + "\n")
