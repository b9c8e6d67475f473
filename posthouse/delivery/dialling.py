"""From an address to a connection that takes transactions: greeting, EHLO, STARTTLS when offered, EHLO again."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass

from posthouse.delivery import trouble
from posthouse.delivery.mx import Target
from posthouse.delivery.transport_security import PlainHosts
from posthouse.delivery.trouble import Stage, Trouble
from posthouse.smtp.client import Client, ClientError, ConnectionBroken, Timeouts, TlsFailed, UnsafeAddress
from posthouse.smtp.reply import Reply

WINDOW = 8  # transactions under way on one connection, when the far side pipelines


class HostTrouble(Exception):
    """This host takes nothing now; `trouble` says what that means."""

    def __init__(self, meaning: Trouble) -> None:
        super().__init__(meaning.reason)
        self.trouble = meaning


@dataclass(frozen=True)
class Dialler:
    """Makes connections. `own_name` is what we say in EHLO; without `context` STARTTLS is never used."""

    own_name: str
    context: ssl.SSLContext | None
    plain_hosts: PlainHosts
    timeouts: Timeouts

    async def dial(self, target: Target) -> Client:
        """A connection past EHLO, encrypted when the host offers that and it works. Raises HostTrouble."""
        try:
            return await self._dial(target, encrypt=self.context is not None and target.address not in self.plain_hosts)
        except TlsFailed:
            # RFC 3207 §4.1, RFC 7435 §3: opportunistic; TLS that does not work is worth no more than none
            self.plain_hosts.note(target.address)
            return await self._dial(target, encrypt=False)

    async def _dial(self, target: Target, *, encrypt: bool) -> Client:
        client = Client(self.timeouts, window=WINDOW)
        stage = Stage.CONNECT
        try:
            greeting = await client.connect(target.address, target.port)
            self._judge(Stage.GREETING, greeting)
            stage = Stage.HELLO
            self._judge(stage, await client.hello(self.own_name))
            if encrypt and "STARTTLS" in client.capabilities:
                stage = Stage.STARTTLS
                await self._encrypt(client, target)
        except HostTrouble:
            await client.quit()
            raise
        except TlsFailed:
            client.close()
            raise
        except (ClientError, UnsafeAddress) as error:
            client.close()
            if stage is Stage.CONNECT and isinstance(error, ConnectionBroken):
                stage = Stage.GREETING
            raise HostTrouble(trouble.of_exception(stage, error)) from None
        except BaseException:
            client.close()
            raise
        return client

    async def _encrypt(self, client: Client, target: Target) -> None:
        """STARTTLS and EHLO again; a host that offers it and then refuses goes on in the clear. Raises TlsFailed."""
        assert self.context is not None
        reply = await client.starttls(self.context, None if _is_literal(target.host) else target.host)
        if reply.code == 421:
            raise HostTrouble(trouble.of_reply(Stage.STARTTLS, reply))
        if reply.code != 220:
            return
        try:
            reply = await client.hello(self.own_name)
        except ConnectionBroken as error:
            # In TLS 1.3 a server's refusal of our handshake comes only now.
            raise TlsFailed(str(error)) from None
        self._judge(Stage.HELLO, reply)

    @staticmethod
    def _judge(stage: Stage, reply: Reply) -> None:
        if not 200 <= reply.code < 300:
            raise HostTrouble(trouble.of_reply(stage, reply))


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
