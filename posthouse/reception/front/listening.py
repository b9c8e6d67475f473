"""Where other mail servers ask: on bound sockets, bounded in number; and the files for them are kept current."""

from __future__ import annotations

import asyncio
import socket

from posthouse import wake
from posthouse.configuration import Configuration
from posthouse.database import Bridge
from posthouse.dns.networks import Networks
from posthouse.reception.front.answers import Answers, transport_of
from posthouse.reception.front.conversation import Conversation
from posthouse.reception.front.files import Keeper
from posthouse.reception.front.sockets import BACKLOG
from posthouse.routing import Router


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
