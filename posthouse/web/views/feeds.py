"""Feeds (RFC 4287) of an archive and of a conversation; an archive and a conversation as an mbox."""

from __future__ import annotations

import re
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe
from markupsafe import escape

from posthouse.archive import exporting, reading
from posthouse.archive.views import FeedView
from posthouse.lists.errors import NoSuchList
from posthouse.lists.facts import row_of
from posthouse.web import downloads, links
from posthouse.web.access import NotAllowed, SignInNeeded, visitor
from posthouse.web.answers import ATOM, cached, page, unchanged, version_of
from posthouse.web.body import body_of
from posthouse.web.environment import iso
from posthouse.web.guard import DOWNLOAD, SEARCH, costly
from posthouse.web.places import Place, place_of
from posthouse.web.postings import author_of, subject_of
from posthouse.web.views.message import SANDBOX

ENTRIES: Final = 30
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")  # XML 1.0 §2.2 has no place for them


@require_safe
def archive_feed(request: HttpRequest, address: str) -> HttpResponse:
    """The newest messages of an archive."""
    place = place_of(request, address)
    etag = version_of(request, place)
    return unchanged(request, etag) or _feed(
        request, place, reading.feed(address, ENTRIES), place.path, place.name, etag
    )  # fmt: skip


@require_safe
def thread_feed(request: HttpRequest, address: str, key: str) -> HttpResponse:
    """The newest messages of a conversation."""
    place = place_of(request, address)
    etag = version_of(request, place)
    known = unchanged(request, etag)
    if known:
        return known
    found = reading.feed(address, ENTRIES, key)
    title = f"{subject_of(found.subject)} · {place.name}"
    return _feed(request, place, found, links.thread(address, key), title, etag)


def _feed(request: HttpRequest, place: Place, found: FeedView, path: str, title: str, etag: str) -> HttpResponse:
    entries = [_entry(place.address, thread_key, posting) for thread_key, posting in found.entries]
    context = {
        "title": title,
        "about": place.description,
        "page": links.absolute(path),
        "feed": links.absolute(f"{path}feed.atom"),
        "updated": entries[0]["updated"] if entries else iso(place.last_at),
        "entries": entries,
    }
    response = page(request, "archive/feed.xml", context, etag=etag, media_type=ATOM)
    response.content = _NO_XML.sub("\ufffd", response.content.decode()).encode()
    return response


def _entry(address: str, thread_key: str, posting: Any) -> dict[str, Any]:
    path = links.absolute(links.message(address, posting.key))
    return {
        "id": path,
        "title": subject_of(posting.subject),
        "author": author_of(posting.author_name, posting.author_address),
        "updated": iso(posting.sent_at),
        "thread": links.absolute(links.thread(address, thread_key)),
        "content": escape(f'<div style="white-space:pre-wrap">{body_of(posting.blocks, posting.cut)}</div>'),
    }


@require_safe
@costly(DOWNLOAD)
def archive_mbox(request: HttpRequest, address: str) -> HttpResponseBase:
    """All messages of an archive as an mbox, for whom the list lets have it."""
    place, who = place_of(request, address), visitor(request)
    if not who.may_download(address, _downloaders(address)):
        if not who.account:
            raise SignInNeeded
        raise NotAllowed(_("The list does not give its whole archive to you as a file; its owners know why."))
    hide = place.obscured and not who.sees_addresses(address)
    etag = version_of(request, place, hide)
    return unchanged(request, etag) or _mbox(request, address, None, address.partition("@")[0], hide, etag)


def _downloaders(address: str) -> str:
    """Who may download the archive; archives that outlived their list are for their readers."""
    try:
        return row_of(address).archive_download
    except NoSuchList:
        return "readers"


@require_safe
@costly(SEARCH)
def thread_mbox(request: HttpRequest, address: str, key: str) -> HttpResponseBase:
    """The messages of a conversation as an mbox: the bytes that came, or with addresses for people."""
    place = place_of(request, address)
    hide = place.obscured and not visitor(request).sees_addresses(address)
    etag = version_of(request, place, hide)
    return unchanged(request, etag) or _mbox(request, address, key, key, hide, etag)


def _mbox(request: HttpRequest, address: str, thread: str | None, name: str, hide: bool, etag: str) -> HttpResponseBase:
    response = downloads.answer(request, exporting.pieces(address, thread=thread, obscure=hide), "application/mbox")
    if response.status_code != 200:
        return response
    saved_as = content_disposition_header(True, f"{name}.mbox")
    response.headers["Content-Disposition"] = saved_as or "attachment"
    response.headers["Content-Security-Policy"] = SANDBOX
    vary = response.headers.get("Vary")
    cached(request, response, etag)
    if vary:
        response.headers["Vary"] += f", {vary}"
    if "Content-Encoding" in response.headers:  # RFC 9110 §8.8.3.3: another coding is another representation
        response.headers["ETag"] = f'{etag[:-1]}-gz"'
    return response
