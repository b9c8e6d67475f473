"""UNIX sockets for other mail servers: bound with their mode and group, taken over from a program that is gone."""

from __future__ import annotations

import grp
import os
import pwd
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
            bound.append(_bind(place, int(configuration.service.socket_mode, 8), *_owner(configuration)))
    return bound


def _owner(configuration: Configuration) -> tuple[int, int]:
    """Whose the sockets are: root, who binds them, gives them to the service's user. Raises ServiceError."""
    owner, group, named = -1, -1, configuration.service.socket_group
    try:
        if configuration.user and os.geteuid() == 0:
            entry = pwd.getpwnam(configuration.user)
            owner, group = entry.pw_uid, entry.pw_gid
    except KeyError:
        raise ServiceError(f"user: there is no user {configuration.user!r} on this machine") from None
    try:
        return owner, grp.getgrnam(named).gr_gid if named else group
    except KeyError:
        raise ServiceError(f"service: there is no group {named!r}, see socket_group") from None


def _bind(path: str, mode: int, owner: int, group: int) -> socket.socket:
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
        if (owner, group) != (-1, -1):
            os.chown(path, owner, group)
        os.chmod(path, mode)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except ServiceError:
        sock.close()
        raise
    except OSError as error:
        sock.close()
        raise ServiceError(f"service: cannot listen on {path}: {error.strerror}") from error
    return sock
