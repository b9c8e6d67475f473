"""UNIX sockets for other mail servers: bound with their mode and group, taken over from a program that is gone."""

from __future__ import annotations

import grp
import os
import socket
import stat

from posthouse.configuration import Configuration
from posthouse.configuration.front import listening_place

BACKLOG = 256


class ServiceError(OSError):
    """A socket cannot be bound; the text names it and the reason."""


def bind_unix(configuration: Configuration) -> list[socket.socket]:
    """Bind the UNIX sockets of [service], with their mode and group. Raises ServiceError."""
    bound = list[socket.socket]()
    for text in configuration.service.listen:
        place = listening_place(text)
        if isinstance(place, str):
            bound.append(_bind(place, int(configuration.service.socket_mode, 8), configuration.service.socket_group))
    return bound


def _bind(path: str, mode: int, group: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if os.path.exists(path):
            if not stat.S_ISSOCK(os.stat(path).st_mode):
                raise ServiceError(f"service: {path} exists and is no socket")
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                if probe.connect_ex(path) == 0:
                    raise ServiceError(f"service: another program listens on {path}")
            os.unlink(path)  # left by one that is gone
        before = os.umask(0o777)  # nobody gets in before its mode is the right one
        try:
            sock.bind(path)
        finally:
            os.umask(before)
        if group:
            os.chown(path, -1, grp.getgrnam(group).gr_gid)
        os.chmod(path, mode)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except ServiceError:
        sock.close()
        raise
    except KeyError:
        sock.close()
        raise ServiceError(f"service: there is no group {group!r}, see socket_group") from None
    except OSError as error:
        sock.close()
        raise ServiceError(f"service: cannot listen on {path}: {error.strerror}") from error
    return sock
