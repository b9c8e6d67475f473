"""Who is not served, and how much a stranger may ask: decided before a page costs anything.

Networks and requests that [web] denies get a short 403 before any other work. Pages that cost much (searches,
downloads) are counted for each network as long as nobody is signed in: a bucket of tokens, filled evenly.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import logging
import math
import re
import threading
import time
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from posthouse.configuration import active
from posthouse.database import generation
from posthouse.dns.networks import Networks
from posthouse.web.access import visitor

SEARCH: Final = 1  # what a page costs
DOWNLOAD: Final = 10
MOST_NETWORKS: Final = 20_000  # counted at the same time
LOOKED_AT: Final = 2_000  # characters of a path or of a User-Agent
SAID_EVERY: Final = 60.0  # seconds between two lines in the log about the same network
NOT_SERVED: Final = "Not served here.\n"

View = Callable[..., HttpResponseBase]


def denied(request: HttpRequest) -> HttpResponse | None:
    """403 for what [web] denies, else None; nothing is asked of the database."""
    web = active().web
    if not (web.deny_networks or web.deny_paths or web.deny_agents):
        return None
    meta = request.META
    if (
        meta.get("REMOTE_ADDR", "") in _networks(tuple(active().hosts(web.deny_networks)))
        or _pattern(tuple(web.deny_paths), True).match(_asked(meta))
        or _pattern(tuple(web.deny_agents), False).match(meta.get("HTTP_USER_AGENT", "")[:LOOKED_AT])
    ):
        response = HttpResponse(NOT_SERVED, status=403, content_type="text/plain; charset=utf-8")
        response.headers["Cache-Control"] = "no-store"
        return response
    return None


def _asked(meta: dict[str, Any]) -> str:
    query = meta.get("QUERY_STRING", "")
    return f"{meta.get('PATH_INFO', '')}{'?' + query if query else ''}"[:LOOKED_AT]


@lru_cache(maxsize=4)
def _networks(texts: tuple[str, ...]) -> Networks:
    return Networks(texts)


@lru_cache(maxsize=8)
def _pattern(globs: tuple[str, ...], case: bool) -> re.Pattern[str]:
    """One expression for all patterns; each takes time in proportion to the text."""
    ways = "|".join(fnmatch.translate(glob) for glob in globs) or r"(?!)"
    return re.compile(ways, 0 if case else re.IGNORECASE)


def network_of(address: str) -> str:
    """What is counted as one: an IPv4 /24 or an IPv6 /48, which one customer may have all of."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    bits = 24 if ip.version == 4 else 48
    return str(ipaddress.ip_network((ip, bits), strict=False))


class Buckets:
    """How much each network may still ask: up to `rate` at once, filled again evenly within a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}  # network: (tokens, when)
        self._said: dict[str, float] = {}
        self._generation = -1

    def take(self, network: str, cost: int, rate: int) -> float:
        """Take tokens. 0 when there were enough; else the seconds until there will be (none are taken)."""
        now = self._clock()
        with self._lock:
            if self._generation != generation():  # another house
                self._generation, self._left, self._said = generation(), {}, {}
            left, when = self._left.get(network, (float(rate), now))
            left = min(float(rate), left + (now - when) * rate / 60)
            needed = min(cost, rate)  # a page that costs more than a minute's tokens costs all of them
            if left < needed:
                self._left[network] = (left, now)
                return (needed - left) * 60 / rate
            if network not in self._left and len(self._left) >= MOST_NETWORKS:
                self._forget(now, rate)
            self._left[network] = (left - needed, now)
            return 0.0

    def _forget(self, now: float, rate: int) -> None:
        """Forget networks whose buckets are full again, or else the older half."""
        full = [one for one, (left, when) in self._left.items() if left + (now - when) * rate / 60 >= rate]
        for network in full or list(self._left)[: MOST_NETWORKS // 2]:
            del self._left[network]

    def newly(self, network: str) -> bool:
        """Whether the log should say that this network asks too much: once a minute."""
        now = self._clock()
        with self._lock:
            if now - self._said.get(network, -math.inf) < SAID_EVERY:
                return False
            if len(self._said) >= MOST_NETWORKS:
                self._said.clear()
            self._said[network] = now
            return True


buckets = Buckets()


def costly(cost: int) -> Callable[[View], View]:
    """A view that costs much: strangers of one network get it so often in a minute, then 429 (RFC 6585 §4)."""

    def guarding(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponseBase:
            return _too_much(request, cost) or view(request, *arguments, **named)

        return guarded

    return guarding


def _too_much(request: HttpRequest, cost: int) -> HttpResponse | None:
    web = active().web
    address = request.META.get("REMOTE_ADDR", "")
    if not web.costly_per_minute or address in _networks(tuple(active().hosts(web.costly_exempt))):
        return None
    if visitor(request).account:
        return None
    network = network_of(address)
    seconds = buckets.take(network, cost, web.costly_per_minute)
    if not seconds:
        return None
    if buckets.newly(network):
        logging.getLogger(__name__).warning("%s asks for too much of the site: 429 for a while", network)
    return busy(request, 429, math.ceil(seconds), _("You search or download faster than this site can bear."))


def busy(request: HttpRequest, status: int, seconds: int, why: str) -> HttpResponse:
    """A page that says why not now, and when (RFC 9110 §10.2.3)."""
    from posthouse.web.views.site import problem  # views import this module

    later = _("Try again in %(n)d seconds, or sign in: people who are signed in are not counted.") % {"n": seconds}
    if status == 503:
        later = _("Try again in %(n)d seconds.") % {"n": seconds}
    response = problem(request, status, _("Not so fast") if status == 429 else _("Back in a moment"), why, later)
    response.headers["Retry-After"] = str(seconds)
    return response
