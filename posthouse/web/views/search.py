"""Search pages, in one archive or in all that the visitor may read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe
from markupsafe import Markup, escape

from posthouse.archive.search import Hit, Results, search
from posthouse.web import links
from posthouse.web.access import open_to, visitor
from posthouse.web.answers import page, unchanged, version_of
from posthouse.web.environment import when
from posthouse.web.guard import SEARCH, costly
from posthouse.web.places import Place, all_places, place_of
from posthouse.web.postings import author_of, subject_of

PAGE = 25  # hits on one page
LONGEST = 1000  # characters of a query


@require_safe
@costly(SEARCH)
def everywhere(request: HttpRequest) -> HttpResponse:
    """Search all archives that are open to the visitor."""
    places = all_places()
    allowed = open_to(visitor(request), places)
    return _answer(request, None, [place for place in places if place.address in allowed])


@require_safe
@costly(SEARCH)
def one_archive(request: HttpRequest, address: str) -> HttpResponse:
    """Search one archive."""
    place = place_of(request, address)
    return _answer(request, place, [place])


def _answer(request: HttpRequest, place: Place | None, places: Sequence[Place]) -> HttpResponse:
    etag = version_of(request, [(one.address, one.version, one.name) for one in places])
    known = unchanged(request, etag)
    if known:
        return known
    text = request.GET.get("q", "")[:LONGEST].replace("\0", "").strip()
    sort = "rank" if request.GET.get("sort") == "rank" else "date"
    number = request.GET.get("page", "1")
    at = int(number) if number.isdecimal() and 0 < len(number) < 6 else 1
    sees = visitor(request).sees_addresses
    allowed = [one.address for one in places]
    results = search(text, allowed, sort=sort, page=at, size=PAGE, sees=sees) if text else None
    address = place.address if place else ""
    hidden = "@" in text and any(one.obscured and not sees(one.address) for one in places)
    context: dict[str, Any] = {
        "q": text,
        "sort": sort,
        "archive": place,
        "hits": [],
        "complaints": (*results.complaints, *([_hidden(place)] if hidden else [])) if results else (),
        "summary": _summary(results) if results else "",
        "by_date": links.search(address, q=text),
        "by_rank": links.search(address, q=text, sort="rank"),
        "everywhere": links.search("", q=text),
        "newer": "",
        "older": "",
        "help": _help(),
    }
    if results:
        names = {one.address: one.name for one in places}
        context["hits"] = [_shown(hit, names, text) for hit in results.hits]
        kept = "rank" if sort == "rank" else ""
        if results.page > 1:
            context["newer"] = links.search(address, q=text, sort=kept, page=results.page - 1)
        if results.page < results.pages or (results.more and len(results.hits) == PAGE):
            context["older"] = links.search(address, q=text, sort=kept, page=results.page + 1)
    return page(request, "archive/search.html", context, etag=etag)


def _hidden(place: Place | None) -> str:
    if place:
        return _("This archive is not searched by addresses: only people on its list see them. Try a name.")
    return _("Archives whose addresses are hidden from you are not searched by them. Try a name.")


def _summary(results: Results) -> str:
    if not results.total:
        return _("Nothing was found.")
    if results.more:
        return _("More than %(n)d messages found.") % {"n": results.total}
    return ngettext("%(n)d message found.", "%(n)d messages found.", results.total) % {"n": results.total}


def _shown(hit: Hit, names: dict[str, str], text: str) -> dict[str, Any]:
    snippet = "".join(
        f"<mark>{escape(words)}</mark>" if match else str(escape(words)) for words, match in hit.snippet
    )  # fmt: skip
    return {
        "path": links.message(hit.archive, hit.key),
        "subject": subject_of(hit.subject, hit.archive),
        "author": author_of(hit.author_name, hit.author_address),
        "when": when(hit.sent_at, hit.offset),
        "snippet": Markup(snippet),  # noqa: S704  # every piece is escaped above
        "list_name": names.get(hit.archive, hit.archive),
        "only": links.search(hit.archive, q=text),
    }


def _help() -> list[tuple[str, str]]:
    """The operators, by example."""
    return [
        ("fresh tomatoes", _("both words, anywhere in the message")),
        ('"late blight"', _("these words in this order")),
        ("ripe OR green", _("one of the words")),
        ("tomato -ketchup", _("the first word without the second")),
        ("tomat*", _("words that begin like this")),
        ("from:ana", _("in the name of the author, or the address where you may see it")),
        ("to:ben", _("in the names of the recipients, or the addresses where you may see them")),
        ("subject:release", _("in the subject")),
        ("after:2025-03 before:2026", _("sent from March 2025 up to the end of 2025")),
        ("list:garden", _("in the archives of lists with this in their address")),
        ("has:attachment", _("messages with attachments")),
    ]
