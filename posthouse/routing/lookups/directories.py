"""LDAP directories: one search below one base, values escaped, sessions kept while they work."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from posthouse.configuration import Lookup
from posthouse.configuration.lookups import PLACES, SERVED, server_of
from posthouse.routing.lookups.sources import MOST_VALUES, TooMany

_PLACE = re.compile(rf":({'|'.join(PLACES)})\b")
LDAPS = 636


class Ldap:
    """An LDAP server through ldap3. With `tls`, port 636 speaks TLS at once, any other StartTLS (RFC 4513 §3)."""

    def __init__(self, settings: Lookup) -> None:
        self._settings = settings
        self._idle: dict[str, list[Any]] = {}
        self._lock = threading.Lock()

    def ask(self, server: str, values: Mapping[str, str]) -> tuple[bool, list[str]]:
        """The values of the attribute in every entry found. Raises what ldap3 raises."""
        from ldap3.core.exceptions import LDAPOperationResult
        from ldap3.utils.conv import escape_filter_chars

        wanted = _PLACE.sub(lambda match: escape_filter_chars(values[match[1]]), self._settings.query)  # RFC 4515 §3
        with self._lock:
            idle = self._idle.setdefault(server, [])
            kept = idle.pop() if idle else None
        if kept is not None:
            try:
                return self._search(server, kept, wanted)
            except LDAPOperationResult:
                raise
            except Exception:  # it may be that the server closed it meanwhile
                pass
        return self._search(server, self._open(*server_of(server, SERVED["ldap"])), wanted)

    def _open(self, host: str, port: int) -> Any:
        import ldap3

        chosen, seconds = self._settings, max(1, round(self._settings.deadline))
        tls = ldap3.Tls(validate=2) if chosen.tls else None  # ssl.CERT_REQUIRED
        server = ldap3.Server(
            host, port, use_ssl=chosen.tls and port == LDAPS, tls=tls, get_info=ldap3.NONE, connect_timeout=seconds
        )
        begin = ldap3.AUTO_BIND_TLS_BEFORE_BIND if chosen.tls and port != LDAPS else ldap3.AUTO_BIND_NO_TLS
        return ldap3.Connection(
            server, user=chosen.user or None, password=chosen.password or None, auto_bind=begin, read_only=True,
            receive_timeout=seconds, auto_referrals=False, raise_exceptions=True, check_names=False,
        )  # fmt: skip

    def _search(self, server: str, session: Any, wanted: str) -> tuple[bool, list[str]]:
        chosen = self._settings
        try:
            session.search(
                chosen.base, wanted, attributes=[chosen.attribute], size_limit=MOST_VALUES,
                time_limit=max(1, round(chosen.deadline)),
            )  # fmt: skip
            entries = [one for one in session.response or [] if one.get("type") == "searchResEntry"]
        except BaseException:
            with suppress(Exception):
                session.unbind()
            raise
        with self._lock:
            self._idle[server].append(session)
        found = [_text(value) for one in entries for value in _several(one["raw_attributes"].get(chosen.attribute, []))]
        if len(found) > MOST_VALUES:
            raise TooMany(f"more than {MOST_VALUES} values")
        return bool(entries), [value for value in found if value.strip()]

    def close(self) -> None:
        """End the sessions that are idle."""
        with self._lock:
            idle = [one for kept in self._idle.values() for one in kept]
            self._idle.clear()
        for one in idle:
            with suppress(Exception):
                one.unbind()


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
