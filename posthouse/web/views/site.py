"""What is about the site itself: error pages, assets, robots.txt, health."""

from __future__ import annotations

import contextlib
import logging
import sys
from urllib.parse import quote

from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect, HttpResponseRedirect
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from posthouse.archive.errors import ArchiveError, Gone
from posthouse.database import Busy, Unavailable, guarded
from posthouse.web import links
from posthouse.web.access import STRANGER, Hidden, Moved, NotAllowed, SignInNeeded, visitor
from posthouse.web.answers import PLAIN, page
from posthouse.web.assets import assets, icon
from posthouse.web.language import LONGEST_HEADER, asked_for
from posthouse.web.middleware import takes_gzip
from posthouse.web.words import told

BUSY_FOR, GONE_FOR = 10, 60  # seconds
FOREVER = "public, max-age=31536000, immutable"
ROBOTS = """User-agent: *
Disallow: /held/
Disallow: /sign-in/
Disallow: /unsubscribe/
Disallow: /confirm/
Disallow: /options/
Disallow: /site/
Disallow: /lists/*/join/
Disallow: /lists/*/members/
Disallow: /search
Disallow: /archives/*/search
Disallow: /archives/*/message/*/raw
Disallow: /archives/*/message/*/headers
Disallow: /archives/*/message/*/attachment/
Disallow: /archives/*/thread/*/mbox
Disallow: /archives/*/mbox
"""


def problem(
    request: HttpRequest, status: int, title: str, *lines: str, hint: tuple[str, str] | None = None
) -> HttpResponse:
    """An error page: what happened in a sentence or two, and where to go."""
    return page(
        request, "error/page.html", {"status": status, "title": title, "lines": lines, "hint": hint}, status=status
    )


def answer_to(request: HttpRequest, error: Exception) -> HttpResponse | None:
    """The page for an exception that a view let through; None for one that nobody expects."""
    if isinstance(error, SignInNeeded):
        return HttpResponseRedirect(sign_in_path(request))
    if isinstance(error, Moved) and request.method in ("GET", "HEAD"):
        return HttpResponsePermanentRedirect(_moved_path(request, error))
    if isinstance(error, Hidden | Moved):
        return _hidden(request)
    if isinstance(error, NotAllowed):
        return problem(request, 403, _("Not for you to decide"), told(error))
    if isinstance(error, Gone):
        return problem(request, 410, _("Taken out"), _("What was here has been removed from the archive."))
    if isinstance(error, ArchiveError):
        return not_found(request, error)
    return None


def _moved_path(request: HttpRequest, moved: Moved) -> str:
    """The same page under the new address of its list: the second part of the path names it."""
    parts = request.get_full_path().split("/")
    parts[2] = quote(moved.new, safe="@")
    return "/".join(parts)


def sign_in_path(request: HttpRequest) -> str:
    """The sign-in page that leads back to what was asked for."""
    from urllib.parse import urlencode

    return f"/sign-in/?{urlencode({'next': request.get_full_path()[:1000]})}"


def _hidden(request: HttpRequest) -> HttpResponse:
    if visitor(request).account:
        return not_found(request, None)
    return problem(
        request, 404, _("Nothing to see here"),
        _("There is no such page, or it is for members only. If you are a member, sign in to read it."),
        hint=(sign_in_path(request), _("Sign in")),
    )  # fmt: skip


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404 for an address that leads nowhere."""
    return problem(
        request, 404, _("No such page"),
        _("The address may be cut off or mistyped, or what it led to is in another archive."),
        hint=(links.search(), _("Search the archives")),
    )  # fmt: skip


def forged(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form that did not come from a page of ours (CSRF)."""
    return problem(
        request, 403, _("Please send it again"),
        _("The form was too old, or cookies are switched off. Go back, reload the page and try once more."),
    )  # fmt: skip


def refused(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403 from Django itself."""
    return problem(request, 403, _("Not allowed"), _("You may not see or do this."))


def malformed(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400: a request that cannot be understood."""
    return problem(request, 400, _("Not understood"), _("The request was malformed."))


def failed(request: HttpRequest) -> HttpResponse:
    """500: our fault. Made without the database or templates, which may be the reason; 503 when the database is."""
    error = sys.exc_info()[1]
    if isinstance(error, Unavailable | OperationalError | InterfaceError):  # outside of a view: of its session
        with contextlib.suppress(Exception):
            return unavailable(request, error)
    return HttpResponse(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Something broke</title>'
        "<main><h1>Something broke here</h1><p>It is our fault, not yours, and it has been logged. "
        'Try again in a while, or go to <a href="/">the lists</a>.</p></main>',
        status=500,
        headers={"Cache-Control": "no-store"},
    )


def unavailable(request: HttpRequest, error: Exception) -> HttpResponse:
    """503: the database cannot answer now, or others have written for too long; the page asks nothing of it."""
    logging.getLogger(__name__).error("the database cannot be used now: %s", error)
    busy = isinstance(error, Busy) or "lock" in str(error)  # `database is locked`, `... due to lock timeout`
    request.__dict__["visitor"] = STRANGER
    with translation.override(asked_for(request.META.get("HTTP_ACCEPT_LANGUAGE", "")[:LONGEST_HEADER])):
        response = problem(
            request, 503, _("Back in a moment"),
            _("Others are writing here, and it takes long. What you sent was not done; please send it again.") if busy
            else _("The site cannot reach its data just now. Try again in a minute."),
        )  # fmt: skip
        response.headers["Content-Language"] = translation.get_language() or "en"
    response.headers["Retry-After"] = str(BUSY_FOR if busy else GONE_FOR)
    return response


@require_safe
def asset(request: HttpRequest, name: str) -> HttpResponse:
    """A stylesheet or picture, named by its content, so it may be kept for good."""
    found = assets().get(name)
    if found is None:
        return not_found(request)
    packed = takes_gzip(request)
    response = HttpResponse(found.packed if packed else found.octets, content_type=found.media_type)
    response.headers["Cache-Control"] = FOREVER
    response.headers["Vary"] = "Accept-Encoding"
    if packed:
        response.headers["Content-Encoding"] = "gzip"
        response.headers["ETag"] = f'"{name}-gz"'
    else:
        response.headers["ETag"] = f'"{name}"'
    return response


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """The icon under the name that browsers ask for by themselves."""
    response = HttpResponse(icon(), content_type="image/x-icon")
    response.headers["Cache-Control"] = "public, max-age=604800"
    return response


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    """What crawlers may fetch: pages, but not every form of the same message."""
    response = HttpResponse(ROBOTS, content_type=PLAIN)
    response.headers["Cache-Control"] = "public, max-age=86400"
    return response


@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """200 when the database answers, else 503: for load balancers and monitoring."""

    def ask() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM archive_archive LIMIT 1")

    try:
        guarded(ask)
    except Unavailable as error:
        logging.getLogger(__name__).error("health: %s", error)
        return HttpResponse(
            "database unavailable\n", status=503, content_type=PLAIN, headers={"Cache-Control": "no-store"}
        )
    return HttpResponse("ok\n", content_type=PLAIN, headers={"Cache-Control": "no-store"})
