"""Feeds (RFC 4287) of an archive and of a conversation, and a conversation as an mbox."""

from __future__ import annotations

import re
import tempfile
from typing import Any, Final

from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe
from markupsafe import escape

from posthouse.archive import exporting, reading
from posthouse.archive.views import FeedView
from posthouse.web import links
from posthouse.web.answers import ATOM, cached, page, unchanged, version_of
from posthouse.web.body import body_of
from posthouse.web.environment import iso
from posthouse.web.places import Place, place_of
from posthouse.web.postings import author_of, subject_of
from posthouse.web.views.message import SANDBOX

ENTRIES: Final = 30
KEPT_IN_MEMORY: Final = 1024 * 1024  # bytes of an mbox; larger ones wait on the disk while they are sent
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
def thread_mbox(request: HttpRequest, address: str, key: str) -> HttpResponseBase:
    """The messages of a conversation, byte for byte, as an mbox."""
    place = place_of(request, address)
    etag = version_of(request, place)
    known = unchanged(request, etag)
    if known:
        return known
    kept = tempfile.SpooledTemporaryFile(max_size=KEPT_IN_MEMORY)  # noqa: SIM115  # the response closes it
    exporting.export(address, kept, thread=key)  # type: ignore[arg-type]
    size = kept.tell()
    kept.seek(0)
    response: HttpResponse | FileResponse
    if size <= KEPT_IN_MEMORY:
        response = HttpResponse(kept.read(), content_type="application/mbox")
        kept.close()
    elif request.method == "HEAD":
        kept.close()
        response = HttpResponse(b"", content_type="application/mbox")
    else:
        response = FileResponse(kept, content_type="application/mbox")
    response.headers["Content-Length"] = str(size)
    response.headers["Content-Disposition"] = f'attachment; filename="{key}.mbox"'
    response.headers["Content-Security-Policy"] = SANDBOX
    return cached(request, response, etag)
