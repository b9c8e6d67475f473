"""Answers: a template with what every page needs, and the ETag that lets an unchanged page cost next to nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template import engines
from django.utils.translation import get_language

from posthouse.configuration import active
from posthouse.web.access import visitor
from posthouse.web.assets import fingerprint
from posthouse.web.middleware import is_fresh, not_modified

Answer = TypeVar("Answer", bound=HttpResponseBase)

HTML: Final = "text/html; charset=utf-8"
ATOM: Final = "application/atom+xml; charset=utf-8"
PLAIN: Final = "text/plain; charset=utf-8"


def page(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any],
    *,
    status: int = 200,
    etag: str = "",
    media_type: str = HTML,
) -> HttpResponse:
    """A page made from a template; `etag` comes from `version_of`, without one the page is never kept by a cache."""
    who = visitor(request)
    full = {"visitor": who, "trial": active().trial, "language": get_language() or "en", **context}
    text = engines["jinja2"].get_template(template).render(full, request)
    response = HttpResponse(text, content_type=media_type, status=status)
    return cached(request, response, etag)


def cached(request: HttpRequest, response: Answer, etag: str) -> Answer:
    """Say how an answer may be kept: checked each time, by everyone when a stranger may see it, else by the asker."""
    if not etag:
        response.headers["Cache-Control"] = "no-store"
        return response
    response.headers["Cache-Control"] = "private, no-cache" if visitor(request).account else "public, no-cache"
    response.headers["Vary"] = "Cookie, Accept-Language"
    response.headers["ETag"] = etag
    return response


def version_of(request: HttpRequest, *facts: object) -> str:
    """The ETag of a page: changes with these facts, the templates, the path, the query and who is asking."""
    web = active()
    words = (
        fingerprint(), web.web.base_url, web.trial, request.get_full_path(), visitor(request).account, get_language(),
        *facts,
    )  # fmt: skip
    return f'"{hashlib.blake2b(repr(words).encode("utf-8", "replace"), digest_size=12).hexdigest()}"'


def unchanged(request: HttpRequest, etag: str) -> HttpResponse | None:
    """304 when the client holds this version already, else None."""
    if request.method not in ("GET", "HEAD") or not is_fresh(request, etag):
        return None
    response = HttpResponse()
    not_modified(response)
    return cached(request, response, etag)
