"""What every answer gets: who really asked, headers that keep browsers safe, ETag and 304, gzip, and 503 in need."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache
from typing import Any, Final

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from posthouse.configuration import active
from posthouse.database import Unavailable, whole
from posthouse.web.guard import denied

# Nothing runs, nothing is loaded from elsewhere, no page is framed (CSP Level 3).
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SAFE_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), interest-cohort=()",
}
HSTS: Final = "max-age=31536000"  # RFC 6797 §6.1; seconds
WORTH_PACKING: Final = 600  # bytes; smaller answers fit one packet anyway
PACKING_EFFORT: Final = 3  # beyond it gzip costs more time than it saves on a page
_FORWARDED: Final = (
    "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT",
    "HTTP_FORWARDED", "HTTP_X_REAL_IP",
)  # fmt: skip
_GZIP = re.compile(r"(?:^|,)\s*(?:gzip|\*)\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[\d.]+\s*)?(?:,|$)", re.IGNORECASE)
_TEXT = re.compile(r"text/|application/(?:atom\+xml|xml|json|mbox)|image/svg\+xml")


class Safety:
    """Wraps every request; the outermost layer, so that its headers stand on errors too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request."""
        believe_proxies(request.META)
        with whole() if request.method == "POST" else nullcontext():
            response = denied(request) or self._get_response(request)
        headers = response.headers
        for name, value in SAFE_HEADERS.items():
            headers.setdefault(name, value)
        if request.scheme == "https" or active().web.base_url.startswith("https://"):
            headers["Strict-Transport-Security"] = HSTS
        if isinstance(response, HttpResponse):
            self._finish(request, response)
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """What a view let through: not for this visitor, not here, gone, or a database that cannot answer now."""
        from posthouse.web.views.site import answer_to, unavailable

        if isinstance(error, Unavailable | OperationalError | InterfaceError):
            return unavailable(request, error)
        return answer_to(request, error)

    def _finish(self, request: HttpRequest, response: HttpResponse) -> None:
        headers = response.headers
        reading = request.method in ("GET", "HEAD")
        if reading and response.status_code == 200 and not response.cookies:
            if "ETag" not in headers and "no-store" not in headers.get("Cache-Control", ""):
                headers["ETag"] = f'"{hashlib.blake2b(response.content, digest_size=12).hexdigest()}"'
            if "ETag" in headers and is_fresh(request, headers["ETag"]):
                not_modified(response)
        if response.status_code != 304:
            self._pack(request, response)
        if "Content-Length" not in headers and response.status_code not in (204, 304):
            headers["Content-Length"] = str(len(response.content))
        if request.method == "HEAD":
            response.content = b""  # RFC 9110 §9.3.2: the fields of GET, no content

    def _pack(self, request: HttpRequest, response: HttpResponse) -> None:
        headers = response.headers
        if "Content-Encoding" in headers or not _TEXT.match(headers.get("Content-Type", "")):
            return
        _vary(response, "Accept-Encoding")
        if len(response.content) < WORTH_PACKING or not takes_gzip(request):
            return
        packer = zlib.compressobj(PACKING_EFFORT, zlib.DEFLATED, 31)
        response.content = packer.compress(response.content) + packer.flush()
        headers["Content-Encoding"] = "gzip"
        headers["Content-Length"] = str(len(response.content))
        if "ETag" in headers:  # RFC 9110 §8.8.3.3: another coding is another representation
            headers["ETag"] = f'{headers["ETag"][:-1]}-gz"'


def takes_gzip(request: HttpRequest) -> bool:
    """Whether the client takes gzip (RFC 9110 §12.5.3)."""
    return bool(_GZIP.search(request.META.get("HTTP_ACCEPT_ENCODING", "")))


def is_fresh(request: HttpRequest, etag: str) -> bool:
    """Whether the client holds what this ETag names, in whichever coding (RFC 9110 §13.1.2)."""
    known = request.META.get("HTTP_IF_NONE_MATCH")
    if not known:
        return False
    if known.strip() == "*":
        return True
    bare = etag.strip('"').removesuffix("-gz")
    return any(
        word.strip().removeprefix("W/").strip('"').removesuffix("-gz") == bare for word in known[:4096].split(",")
    )


def not_modified(response: HttpResponse) -> None:
    """Turn an answer into 304: no content, and only the fields a cache needs (RFC 9110 §15.4.5)."""
    response.status_code = 304
    response.content = b""
    for name in ("Content-Type", "Content-Length", "Content-Encoding", "Content-Disposition"):
        response.headers.pop(name, None)


def _vary(response: HttpResponse, name: str) -> None:
    present = response.headers.get("Vary", "")
    if name.lower() not in present.lower():
        response.headers["Vary"] = f"{present}, {name}" if present else name


@lru_cache(maxsize=8)
def _networks(texts: tuple[str, ...]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


def _trusted(address: str, networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]) -> bool:
    try:
        found = ipaddress.ip_address(address.strip().strip("[]"))
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return any(found in network for network in networks)


def _bare(hop: str) -> str:
    """The address of a hop, without the port that some proxies write: each would count as a visitor of its own."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0][:64]
    return (hop.partition(":")[0] if hop.count(":") == 1 else hop)[:64]


def believe_proxies(meta: dict[str, Any]) -> None:
    """Take who asked, and how, from X-Forwarded-* when a trusted proxy says it; drop those fields from anybody else."""
    networks = _networks(tuple(active().hosts(active().web.trusted_proxies)))
    if networks and _trusted(meta.get("REMOTE_ADDR", ""), networks):
        chain = [part.strip() for part in meta.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
        for hop in reversed(chain):  # the nearest hop that is no proxy of ours is the client
            address = meta["REMOTE_ADDR"] = _bare(hop)
            if not _trusted(address, networks):
                break
        scheme = meta.get("HTTP_X_FORWARDED_PROTO", "").split(",")[-1].strip().lower()
        if scheme in ("http", "https"):
            meta["wsgi.url_scheme"] = scheme
    for name in _FORWARDED:
        meta.pop(name, None)
