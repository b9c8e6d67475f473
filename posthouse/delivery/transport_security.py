"""TLS towards other hosts: opportunistic, with contexts made once and sessions resumed.

Certificates are not verified: whoever could offer a false one could also hide STARTTLS, so that a check would only
send more mail in the clear (RFC 7435 §3, RFC 8461 §1). A host whose TLS does not work gets its mail without.
"""

from __future__ import annotations

import ssl
from collections import OrderedDict
from collections.abc import Callable

MOST_SESSIONS = 200
PLAIN_SECONDS = 600.0  # a host whose handshake failed is not offered TLS again for so long


class ResumingContext(ssl.SSLContext):
    """A client context that resumes the last session with the same server name (RFC 8446 §2.2).

    asyncio and uvloop both make their TLS objects with `wrap_bio`; neither lets a session be passed in.
    """

    _last: OrderedDict[str, ssl.SSLObject]

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As in SSLContext, with the session of the last object for this name. Raises what SSLContext does."""
        name = str(server_hostname or "")
        last = self._last.pop(name, None)
        if session is None and last is not None:
            session = last.session  # read now, not after the handshake: TLS 1.3 sends tickets later
        made = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        if name:
            self._last[name] = made
            while len(self._last) > MOST_SESSIONS:
                self._last.popitem(last=False)
        return made


def opportunistic_context() -> ssl.SSLContext:
    """The context for hosts found by MX and those without `tls` verified: encryption without verification."""
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    context._last = OrderedDict()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    return context


def verifying_context(authorities: str) -> ssl.SSLContext:
    """A context for next hops whose certificate must be good for the name that the operator wrote down.

    `authorities`: a file of certificates (PEM) to trust, empty for those of the system. Raises OSError.
    """
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    context._last = OrderedDict()
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    if authorities:
        context.load_verify_locations(authorities)
    else:
        context.load_default_certs()
    return context


class PlainHosts:
    """Hosts whose TLS did not work a short while ago, by address. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def note(self, address: str) -> None:
        """The handshake with this address failed."""
        if len(self._until) >= 10 * MOST_SESSIONS:
            self._until.clear()
        self._until[address] = self._clock() + PLAIN_SECONDS

    def __contains__(self, address: str) -> bool:
        return self._until.get(address, 0.0) > self._clock()
