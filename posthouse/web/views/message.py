"""One message: its page, its exact bytes, its headers, its attachments."""

from __future__ import annotations

import re
from typing import Any, Final

from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from posthouse.archive import reading
from posthouse.archive.errors import NoSuchPosting
from posthouse.archive.render import obscure
from posthouse.archive.views import Neighbour
from posthouse.content.keeping import Body
from posthouse.message.headers import split
from posthouse.message.parsing import attachment as attachment_in
from posthouse.message.text import decode
from posthouse.web import links
from posthouse.web.answers import PLAIN, cached, page, unchanged, version_of
from posthouse.web.places import place_of
from posthouse.web.postings import author_of, posting_shown, subject_of
from posthouse.web.views.site import problem

# Nothing that comes from a message may act, even when a browser is made to show it (CSP Level 3, sandbox).
SANDBOX: Final = "default-src 'none'; sandbox; frame-ancestors 'none'"
SHOWN_HEADER: Final = 256 * 1024  # bytes
MOST_TAKEN_APART: Final = 64 * 1024 * 1024  # bytes of a message that attachments are taken from
SERVED_WHOLE: Final = 256 * 1024  # bytes; larger answers are streamed from the disk
# Types that browsers and programs handle as data; everything else leaves as application/octet-stream.
_PASSIVE: Final = frozenset(
    (
        "image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf", "application/zip", "application/gzip",
        "text/plain", "text/csv", "text/x-patch", "text/x-diff", "text/calendar", "audio/mpeg", "audio/ogg",
        "video/mp4", "video/webm", "application/pgp-signature",
    )
)  # fmt: skip
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+")


@require_safe
def show(request: HttpRequest, address: str, key: str) -> HttpResponse:
    """A message with what is around it."""
    place = place_of(request, address)
    etag = version_of(request, place)
    known = unchanged(request, etag)
    if known:
        return known
    found = reading.posting(address, key)
    fixed = "fixed" in request.GET
    post = posting_shown(address, found.posting)
    post["answers"] = None
    if found.answers:
        post["answers"] = _beside(address, found.answers)
    elif found.posting.parent_key:
        post["answers"] = {"path": "", "author": "", "subject": ""}
    context = {
        "archive": place,
        "canonical": links.absolute(post["path"]),
        "post": post,
        "thread_path": links.thread(address, found.thread_key),
        "thread_total": found.thread_postings,
        "answered_by": [_beside(address, one) for one in found.answered_by],
        "fixed": fixed,
        "fixed_path": post["path"] + ("" if fixed else "?fixed=1"),
        "before": _beside(address, found.older) if found.older else None,
        "after": _beside(address, found.newer) if found.newer else None,
    }
    return page(request, "archive/message.html", context, etag=etag)


def _beside(address: str, one: Neighbour) -> dict[str, str]:
    return {
        "path": links.message(address, one.key),
        "author": author_of(one.author_name),
        "subject": subject_of(one.subject, address),
    }


@require_safe
def raw(request: HttpRequest, address: str, key: str) -> HttpResponseBase:
    """The exact bytes that came."""
    place = place_of(request, address)
    etag = version_of(request, place.policy, key)
    body = reading.content_of(address, key)  # first of all: what was deleted is gone for every cache
    return unchanged(request, etag) or _sent(request, body, etag)


def _sent(request: HttpRequest, body: Body, etag: str) -> HttpResponseBase:
    if body.size <= SERVED_WHOLE or request.method == "HEAD":
        whole = HttpResponse(b"" if request.method == "HEAD" else body.all(), content_type=PLAIN)
        whole.headers["Content-Length"] = str(body.size)
        whole.headers["Content-Security-Policy"] = SANDBOX
        return cached(request, whole, etag)
    streamed = FileResponse(body.open(), content_type=PLAIN)
    streamed.headers["Content-Length"] = str(body.size)
    streamed.headers["Content-Security-Policy"] = SANDBOX
    return cached(request, streamed, etag)


@require_safe
def headers(request: HttpRequest, address: str, key: str) -> HttpResponse:
    """All headers, as they came."""
    place = place_of(request, address)
    body = reading.content_of(address, key)
    etag = version_of(request, place.policy, place.name, place.obscured, key)
    known = unchanged(request, etag)
    if known:
        return known
    beginning = body.head(SHOWN_HEADER)
    header = decode(split(beginning)[0], "utf-8").replace("\r\n", "\n").strip()
    context = {
        "archive": place,
        "title": subject_of(reading.posting(address, key).posting.subject, address),
        "path": links.message(address, key),
        "header": obscure(header) if place.obscured else header,
    }
    return page(request, "archive/headers.html", context, etag=etag)


@require_safe
def attachment(request: HttpRequest, address: str, key: str, number: int, name: str) -> HttpResponse:
    """An attachment, to be saved: never shown, never run. `name` is only for the reader of the link."""
    place = place_of(request, address)
    body = reading.content_of(address, key)
    etag = version_of(request, place.policy, key, number)
    known = unchanged(request, etag)
    if known:
        return known
    if body.size > MOST_TAKEN_APART:
        return problem(
            request, 413, _("Too large to take apart here"),
            _("The message is very large. Save its raw form and open it with a mail program."),
            hint=(f"{links.message(address, key)}raw", _("Raw message")),
        )  # fmt: skip
    found: Any = attachment_in(body.all(), number) if number < 10_000 else None
    if found is None:
        raise NoSuchPosting("attachment")
    filename, media_type, octets = found
    shown_type = media_type.lower() if media_type.lower() in _PASSIVE else "application/octet-stream"
    response = HttpResponse(octets, content_type=shown_type)
    saved_as = _CONTROLS.sub("_", filename).strip(". ")[:200] or f"attachment-{number}"
    response.headers["Content-Disposition"] = content_disposition_header(True, saved_as) or "attachment"
    response.headers["Content-Security-Policy"] = SANDBOX
    return cached(request, response, etag)
