"""The language of a page: what the account prefers, else what the browser asks for (RFC 9110 §12.5.4), else English."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.translation.trans_real import parse_accept_lang_header

DEFAULT: Final = "en"
LONGEST_HEADER: Final = 500


class Language:
    """Chooses the language before the view, and says that the answer depends on it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request in its language."""
        chosen = language_of(request)
        translation.activate(chosen)
        try:
            response = self._get_response(request)
        finally:
            translation.activate(DEFAULT)
        if response.headers.get("Content-Type", "").startswith("text/html"):
            patch_vary_headers(response, ["Accept-Language"])
            response.headers.setdefault("Content-Language", chosen)
        return response


def language_of(request: HttpRequest) -> str:
    """The language for whoever sent this request; without a session cookie nothing is asked of the database."""
    if request.COOKIES.get(settings.SESSION_COOKIE_NAME, "").isalnum() and request.user.is_authenticated:
        own = _offered(str(getattr(request.user, "preferred_language", "") or ""))
        if own:
            return own
    return asked_for(request.META.get("HTTP_ACCEPT_LANGUAGE", "")[:LONGEST_HEADER])


@lru_cache(maxsize=256)
def asked_for(header: str) -> str:
    """The first language of an Accept-Language field that the pages have."""
    for code, _ in parse_accept_lang_header(header):
        found = _offered(code)
        if found:
            return found
    return DEFAULT


def _offered(code: str) -> str:
    offered = {name for name, _ in settings.LANGUAGES}
    short = code.lower().replace("_", "-").partition("-")[0]
    return short if short in offered else ""
