"""TLS as a client: contexts that resume sessions, for hosts taken as they come and for those that must prove a name.

Opportunistic TLS verifies no certificate: whoever could offer a false one could also hide STARTTLS, so that a check
would only send more mail in the clear (RFC 7435 §3, RFC 8461 §1).
"""

from __future__ import annotations

import ssl
from collections import OrderedDict

MOST_SESSIONS = 200


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
