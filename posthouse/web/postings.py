"""Postings and conversations as templates take them: names, paths and safe HTML instead of facts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from markupsafe import Markup, escape

from posthouse.archive.views import Posting, ThreadEntry, ThreadLine
from posthouse.web import links
from posthouse.web.body import body_of
from posthouse.web.environment import when

_TAGGED = re.compile(r"((?:[A-Za-z]{2,3}:\s*+)*+)\[([^\[\]]{1,60}+)\]\s*+")
DEEPEST_OUTLINE = 12  # levels that the overview of a conversation nests


def author_of(name: str, address: str = "") -> str:
    """Who wrote it, for people: the name, or the first half of the address."""
    return name or address.partition("@")[0] or _("(nobody)")


def subject_of(subject: str, address: str = "") -> str:
    """The subject without the [tag] of the list that posts to `address`, or a word for its absence."""
    if address and "]" in subject:
        found = _TAGGED.match(subject)
        if found and found[2].casefold() == address.partition("@")[0]:
            subject = found[1] + subject[found.end() :]
    return subject or _("(no subject)")


def answer_link(address: str, posting: Posting) -> str:
    """A mailto: link that answers a posting in its thread (RFC 6068 §2: In-Reply-To is a safe field)."""
    subject = posting.subject if posting.subject[:3].lower() == "re:" else f"Re: {posting.subject}"
    return links.mailto(address, Subject=subject[:250], In_Reply_To=f"<{posting.message_id}>")


def posting_shown(address: str, posting: Posting) -> dict[str, Any]:
    """One posting; `address` is its archive's."""
    return {
        "key": posting.key,
        "path": links.message(address, posting.key),
        "author": author_of(posting.author_name, posting.author_address),
        "address": posting.author_address,
        "title": subject_of(posting.subject, address),
        "when": when(posting.sent_at, posting.offset),
        "message_id": posting.message_id,
        "by_subject": posting.by_subject,
        "variant": posting.variant,
        "reply": answer_link(address, posting),
        "body": body_of(posting.blocks, posting.cut),
        "files": [
            {
                "path": links.attachment(address, posting.key, one.number, one.filename),
                "name": one.filename or _("(no name)"),
                "media_type": one.content_type,
                "size": one.size,
            }
            for one in posting.attachments
        ],
    }


def counted(numbers: Iterable[int]) -> dict[int, str]:
    """How many messages, in words, for each of these numbers: asked once for each, since a list has many rows."""
    return {one: ngettext("%(n)d message", "%(n)d messages", one) % {"n": one} for one in set(numbers)}


def thread_rows(address: str, lines: Sequence[ThreadLine]) -> list[dict[str, Any]]:
    """Conversations in a list of conversations."""
    words = counted(line.postings for line in lines)
    base = f"{links.archive(address)}thread/"
    return [_thread_row(address, line, base, words[line.postings]) for line in lines]


def _thread_row(address: str, line: ThreadLine, base: str, count: str) -> dict[str, Any]:
    first = author_of(line.author_name, line.author_address)
    last = line.last_author.partition("@")[0]
    return {
        "path": f"{base}{line.key}/",
        "subject": subject_of(line.subject, address),
        "count": count,
        "people": first if line.postings < 2 or last in (first, "") else f"{first} … {last}",
        "when": when(line.last_at),
    }


def outline(entries: Sequence[ThreadEntry]) -> Markup:
    """The conversation as a nested list of its authors: who answers whom, at a glance."""
    out: list[str] = []
    at = -1
    lost = escape(_("a message that is not in this archive"))
    for entry in entries:
        depth = min(entry.depth, DEEPEST_OUTLINE, at + 1)
        if depth > at:
            out.append("<ol>")
        else:
            out.append("</li>" + "</ol></li>" * (at - depth))
        at = depth
        if entry.posting is None:
            out.append(f"<li>{lost}")
        else:
            name = escape(author_of(entry.posting.author_name, entry.posting.author_address))
            moment = when(entry.posting.sent_at, entry.posting.offset)
            out.append(f'<li><a href="#{entry.key}">{name}</a> <span class="meta">{moment}</span>')
    if at >= 0:
        out.append("</li></ol>" * (at + 1))
    return Markup("".join(out))  # noqa: S704  # names are escaped; keys are letters and digits
