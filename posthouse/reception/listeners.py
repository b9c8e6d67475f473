"""Sockets that listen: bound from the configuration, or taken over from a parent that bound them."""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping

from posthouse.configuration import Configuration, endpoint
from posthouse.configuration.front import listening_place
from posthouse.reception.front.sockets import ServiceError, bind_unix

KINDS = ("transfer", "submission", "submissions", "lmtp")
BACKLOG = 1024


class ListenError(Exception):
    """A listener cannot be bound; the text names it, its address and the reason."""


def bind(configuration: Configuration) -> dict[str, list[socket.socket]]:
    """Bind every listener of `[reception]` and [service], by kind. Raises ListenError; then none stays bound."""
    bound: dict[str, list[socket.socket]] = {kind: [] for kind in (*KINDS, "service")}
    try:
        for kind in KINDS:
            for place in getattr(configuration.reception, kind):
                bound[kind].append(_bind(kind, *endpoint(place)))
        for place in map(listening_place, configuration.service.listen):
            if not isinstance(place, str):
                bound["service"].append(_bind("service", *place))
        bound["service"] += _sockets(configuration)
    except ListenError:
        for sockets in bound.values():
            for sock in sockets:
                sock.close()
        raise
    return bound


def _sockets(configuration: Configuration) -> list[socket.socket]:
    try:
        return bind_unix(configuration)
    except ServiceError as error:
        raise ListenError(str(error)) from error


def _bind(kind: str, host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ListenError(f"{kind}: this machine does not speak the family of {host}: {error.strerror}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Each family has its socket, so that either can be switched off.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        reason = "another program listens there" if error.errno == errno.EADDRINUSE else error.strerror
        raise ListenError(f"{kind}: cannot listen on {host} port {port}: {reason}") from error
    return sock


def endpoints(sockets: Mapping[str, list[socket.socket]]) -> dict[str, list[tuple[str, int]]]:
    """(address, port) of each listening socket, by kind; UNIX sockets have none."""
    ports = {kind: [sock for sock in found if sock.family != socket.AF_UNIX] for kind, found in sockets.items()}
    return {kind: [sock.getsockname()[:2] for sock in found] for kind, found in ports.items() if found}
