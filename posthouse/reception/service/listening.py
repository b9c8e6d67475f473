"""Where other mail servers ask: listeners over TCP and UNIX sockets, bounded in number, and the files kept current."""

from __future__ import annotations

import asyncio
import grp
import os
import socket
import stat

from posthouse import wake
from posthouse.configuration import Configuration
from posthouse.configuration.service import listening_place
from posthouse.database import Bridge
from posthouse.reception.limits import Networks
from posthouse.reception.service.answers import Answers, transport_of
from posthouse.reception.service.conversation import Conversation
from posthouse.reception.service.files import Keeper
from posthouse.routing import Router

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


class Service:
    """Answers other mail servers in the running event loop, and keeps their files current."""

    def __init__(self, configuration: Configuration, router: Router, bridge: Bridge) -> None:
        self._settings = configuration.service
        self._answers = Answers(router, transport_of(configuration))
        self._networks = Networks(configuration.hosts(self._settings.networks))
        self._inside: set[Conversation] = set()
        self._servers: list[asyncio.Server] = []
        self._keeper = Keeper(configuration, bridge)
        self._hearing: wake.Hearing | None = None
        self._configuration = configuration

    async def start(self, sockets: list[socket.socket]) -> None:
        """Listen on bound sockets."""
        loop = asyncio.get_running_loop()
        for sock in sockets:
            if sock.family == socket.AF_UNIX:
                server = await loop.create_unix_server(self._conversation, sock=sock, backlog=BACKLOG)
            else:
                server = await loop.create_server(self._conversation, sock=sock, backlog=BACKLOG)
            self._servers.append(server)
        if self._keeper.wanted:
            self._hearing = wake.hear(self._configuration, wake.DIRECTORY, self._keeper.stir)
            self._keeper.start()

    async def stop(self) -> None:
        """Stop listening and hang up."""
        for server in self._servers:
            server.close()
        for conversation in list(self._inside):
            conversation.close()
        if self._hearing is not None:
            self._hearing.close()
        await self._keeper.stop()

    def _conversation(self) -> asyncio.Protocol:
        return Conversation(self._answers, self._settings.idle_seconds, self._comes, self._inside.discard)

    def _comes(self, conversation: Conversation, address: str) -> bool:
        """Whether somebody may ask; an empty address is that of a UNIX socket, whose mode has decided already."""
        if len(self._inside) >= max(1, self._settings.connections) or (address and address not in self._networks):
            return False
        self._inside.add(conversation)
        return True
