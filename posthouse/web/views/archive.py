"""The front page, and an archive: its first page, its months, its conversations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.views.decorators.http import require_safe

from posthouse.archive import reading
from posthouse.archive.folding import topic
from posthouse.archive.views import MonthCount, Neighbour, ThreadEntry
from posthouse.lists.models import MailingList
from posthouse.web import links
from posthouse.web.access import Visitor, open_to, visitor
from posthouse.web.answers import page, unchanged, version_of
from posthouse.web.environment import when
from posthouse.web.places import Place, ThreadRow, all_places, newest_threads, place_of
from posthouse.web.postings import author_of, counted, outline, posting_shown, subject_of, thread_rows

FRONT_THREADS: Final = 10
HEATS: Final = 4  # shades of the calendar of months
DEEPEST_INDENT: Final = 5  # levels that the page shows by indenting
OUTLINE_FROM: Final = 3  # messages that a conversation needs to have an overview
THREAD_PAGE: Final = 100  # messages on one page of a conversation, by answers
FLAT_PAGE: Final = 500  # and by date, each page sorted for itself


def page_number(request: HttpRequest) -> int:
    """The page that is asked for, 1 for anything odd."""
    text = request.GET.get("page", "1")
    return max(1, int(text)) if text.isdecimal() and len(text) < 6 else 1


@require_safe
def site(request: HttpRequest) -> HttpResponse:
    """All lists this visitor may know of, and the newest conversations of the archives they may read."""
    who = visitor(request)
    places = all_places()
    allowed = set(open_to(who, places))
    readable = {place.address: place for place in places if place.address in allowed}
    cards = _cards(who, readable)
    etag = version_of(request, cards, sorted((place.address, place.version) for place in readable.values()))
    known = unchanged(request, etag)
    if known:
        return known
    newest = sorted(readable.values(), key=lambda place: -place.last_at)[:FRONT_THREADS]
    found = newest_threads([place.address for place in newest], FRONT_THREADS) if newest else []
    words = counted(one.postings for one in found)
    threads = [_front_row(one, readable[one.archive].name, words[one.postings]) for one in found]
    return page(request, "site.html", {"lists": cards, "threads": threads}, etag=etag)


def _cards(who: Visitor, readable: dict[str, Place]) -> list[dict[str, Any]]:
    rows = MailingList.objects.order_by("domain__name", "list_name").values_list(
        "list_name", "domain__name", "display_name", "description", "archive_policy", "advertised"
    )
    cards = []
    listed = set()
    for name, host, display_name, description, policy, advertised in rows:
        address = f"{name}@{host}"
        listed.add(address)
        if who.may_see(address, advertised):
            cards.append(_card(address, display_name or name, description, policy, readable.get(address)))
    for place in readable.values():  # archives that outlived their list
        if place.address not in listed:
            gone = _card(place.address, place.name, place.description, place.policy, place)
            cards.append({**gone, "about": ""})
    return sorted(cards, key=lambda card: (-card["last_at"], card["name"].casefold()))  # the liveliest first


def _card(address: str, name: str, description: str, policy: str, place: Place | None) -> dict[str, Any]:
    return {
        "address": address,
        "name": name,
        "description": description,
        "private": policy == "private",
        "readable": place is not None,
        "postings": place.postings if place else 0,
        "last_at": place.last_at if place else 0,
        "path": place.path if place else links.mailing_list(address),
        "about": links.mailing_list(address),
        "kept": policy != "never",
    }


def _front_row(row: ThreadRow, list_name: str, count: str) -> dict[str, Any]:
    return {
        "path": links.thread(row.archive, row.key),
        "subject": subject_of(row.subject, row.archive),
        "count": count,
        "people": "",
        "when": when(row.last_at),
        "list_name": list_name,
    }


@require_safe
def front(request: HttpRequest, address: str) -> HttpResponse:
    """An archive's first page: the newest conversations, and a calendar of its months."""
    place = place_of(request, address)
    etag = version_of(request, place)
    known = unchanged(request, etag)
    if known:
        return known
    found = reading.latest_threads(address, page_number(request))
    at = found.page
    context = {
        "archive": place,
        "canonical": links.absolute(place.path),
        "page": at,
        "threads": thread_rows(address, found.threads),
        "years": _calendar(address, reading.months(address)) if at == 1 else [],
        "newer": _paged(place.path, at - 1) if at > 1 else "",
        "older": _paged(place.path, at + 1) if found.more else "",
        "mbox": f"{place.path}mbox",
    }
    return page(request, "archive/list.html", context, etag=etag)


def _paged(path: str, number: int) -> str:
    return path if number == 1 else f"{path}{'&' if '?' in path else '?'}page={number}"


def _calendar(address: str, months: Sequence[MonthCount]) -> list[tuple[int, list[dict[str, Any]]]]:
    """Years, newest first, each with twelve months; busier months are shaded darker."""
    most = max((one.postings for one in months), default=0)
    counts = {(one.year, one.month): one.postings for one in months}
    base = links.archive(address)
    return [
        (
            year,
            [
                {
                    "label": f"{month:02d}",
                    "count": counts.get((year, month), 0),
                    "heat": -(-HEATS * counts.get((year, month), 0) // most),
                    "path": f"{base}{year:04d}/{month:02d}/",
                }
                for month in range(1, 13)
            ],
        )
        for year in sorted({one.year for one in months}, reverse=True)
    ]


@require_safe
def month(request: HttpRequest, address: str, year: int, number: int) -> HttpResponse:
    """The conversations of a month, the latest first."""
    place = place_of(request, address)
    etag = version_of(request, place)
    known = unchanged(request, etag)
    if known:
        return known
    found = reading.month(address, year, number, page_number(request))
    path = links.month(address, year, number)
    context = {
        "archive": place,
        "label": f"{year:04d}-{number:02d}",
        "total": found.postings,
        "threads": thread_rows(address, found.threads),
        "before": _beside(address, found.earlier),
        "after": _beside(address, found.later),
        "newer": _paged(path, found.page - 1) if found.page > 1 else "",
        "older": _paged(path, found.page + 1) if found.page < found.pages else "",
    }
    return page(request, "archive/month.html", context, etag=etag)


def _beside(address: str, found: MonthCount | None) -> dict[str, str] | None:
    if found is None:
        return None
    return {"label": f"{found.year:04d}-{found.month:02d}", "path": links.month(address, found.year, found.month)}


@require_safe
def thread(request: HttpRequest, address: str, key: str) -> HttpResponse:
    """A conversation: answers below what they answer, or (`?sort=date`) by date, FLAT_PAGE of them at a time."""
    place = place_of(request, address)
    etag = version_of(request, place)
    known = unchanged(request, etag)
    if known:
        return known
    flat = request.GET.get("sort") == "date"
    fixed = "fixed" in request.GET
    found = reading.thread(address, key, page_number(request), FLAT_PAGE if flat else THREAD_PAGE)
    path = links.thread(address, found.key)
    if found.key != key:
        return HttpResponsePermanentRedirect(f"{path}#{key}")
    entries = list(found.entries)
    if flat:
        entries = [one for one in entries if one.posting]
        entries.sort(key=lambda one: one.posting.sent_at if one.posting else 0)
    query = "&".join((["sort=date"] if flat else []) + (["fixed=1"] if fixed else []))
    here = f"{path}?{query}" if query else path
    context = {
        "archive": place,
        "canonical": links.absolute(path),
        "path": path,
        "subject": subject_of(found.subject, address),
        "total": found.postings,
        "flat": flat,
        "fixed": fixed,
        "fixed_path": path + ("?sort=date" if flat and fixed else "?sort=date&fixed=1" if flat else "" if fixed else
                              "?fixed=1"),
        "outline": outline(entries) if not flat and len(entries) >= OUTLINE_FROM else "",
        "posts": _entries(address, entries, found.subject, flat),
        "newer": _paged(here, found.page - 1) if found.page > 1 else "",
        "older": _paged(here, found.page + 1) if found.page < found.pages else "",
        "newer_thread": _other(address, found.newer),
        "older_thread": _other(address, found.older),
    }  # fmt: skip
    return page(request, "archive/thread.html", context, etag=etag)


def _other(address: str, found: Neighbour | None) -> dict[str, str] | None:
    if found is None:
        return None
    return {"path": links.thread(address, found.key), "subject": subject_of(found.subject, address)}


def _entries(address: str, entries: Sequence[ThreadEntry], subject: str, flat: bool) -> list[dict[str, Any]]:
    here = {entry.key for entry in entries}
    theme = topic(subject)[0]
    seen = {subject: ""}  # subjects of this page, and what is shown of each: only a changed theme is
    posts = []
    for entry in entries:
        indent = 0 if flat else min(entry.depth, DEEPEST_INDENT)
        if entry.posting is None:
            posts.append({"missing": True, "key": entry.key, "indent": indent})
            continue
        shown = posting_shown(address, entry.posting)
        written = entry.posting.subject
        if written not in seen:
            seen[written] = shown["title"] if topic(written)[0] != theme else ""
        shown["missing"], shown["indent"], shown["subject"], shown["answers"] = False, indent, seen[written], None
        if entry.answers:
            up = entry.answers
            path = f"#{up.key}" if up.key in here else links.message(address, up.key)
            shown["answers"] = {"path": path, "author": author_of(up.author_name)}
        posts.append(shown)
    return posts
