"""From an address to a connection that takes transactions: greeting, EHLO, STARTTLS and EHLO again, perhaps AUTH."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass, field

from posthouse.configuration.leaving import NEVER, VERIFIED
from posthouse.delivery import trouble
from posthouse.delivery.mx import Target
from posthouse.delivery.transport_security import PlainHosts
from posthouse.delivery.trouble import Stage, Trouble
from posthouse.delivery.ways import Manner
from posthouse.dns.networks import Networks
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
    """Makes connections. `own_name` is what we say in EHLO; without `context` STARTTLS is used only where a manner
    asks for verified TLS; `exempt`: networks whose hosts get their mail without TLS."""

    own_name: str
    context: ssl.SSLContext | None
    plain_hosts: PlainHosts
    timeouts: Timeouts
    exempt: Networks = field(default_factory=lambda: Networks(()))

    async def dial(self, target: Target, manner: Manner) -> Client:
        """A connection past EHLO, encrypted and signed in as `manner` says. Raises HostTrouble."""
        if manner.context is not None:
            try:
                return await self._dial(target, manner, manner.context)
            except TlsFailed as error:
                raise HostTrouble(trouble.not_verified(str(target), str(error))) from None
        if not self._may_encrypt(target, manner):
            return await self._dial(target, manner, None)
        try:
            return await self._dial(target, manner, self.context)
        except TlsFailed:
            # RFC 3207 §4.1, RFC 7435 §3: opportunistic; TLS that does not work is worth no more than none
            self.plain_hosts.note(target.address)
            return await self._dial(target, manner, None)

    def _may_encrypt(self, target: Target, manner: Manner) -> bool:
        address = target.address
        if self.context is None or manner.tls == NEVER or address.startswith("/"):
            return False
        return address not in self.plain_hosts and address not in self.exempt

    async def _dial(self, target: Target, manner: Manner, context: ssl.SSLContext | None) -> Client:
        client = Client(self.timeouts, window=WINDOW)
        stage = Stage.CONNECT
        try:
            greeting = await client.connect(
                target.address,
                target.port,
                local_address=manner.source_for(target.address),
                tls=context if manner.tls_from_start else None,
                server_hostname=target.host if manner.tls_from_start and context is not None else None,
            )
            self._judge(Stage.GREETING, greeting)
            stage = Stage.HELLO
            self._judge(stage, await self._hello(client, manner))
            if context is not None and client.tls is None:
                stage = Stage.STARTTLS
                await self._encrypt(client, target, manner, context)
            if manner.user:
                stage = Stage.AUTH
                await self._sign_in(client, target, manner)
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

    async def _hello(self, client: Client, manner: Manner) -> Reply:
        return await client.hello(manner.hello or self.own_name, lmtp=manner.lmtp)

    async def _encrypt(self, client: Client, target: Target, manner: Manner, context: ssl.SSLContext) -> None:
        """STARTTLS and EHLO again; a host that does not offer it, or then refuses, goes on in the clear unless it must
        be verified. Raises TlsFailed."""
        verified = manner.tls == VERIFIED
        if "STARTTLS" not in client.capabilities:
            if verified:
                raise HostTrouble(trouble.not_verified(str(target), "STARTTLS is not offered"))
            return
        name = target.host if verified or not _is_literal(target.host) else None
        reply = await client.starttls(context, name)
        if reply.code == 421:
            raise HostTrouble(trouble.of_reply(Stage.STARTTLS, reply))
        if reply.code != 220:
            if verified:
                raise HostTrouble(trouble.not_verified(str(target), str(reply)))
            return
        try:
            reply = await self._hello(client, manner)
        except ConnectionBroken as error:
            # In TLS 1.3 a server's refusal of our handshake comes only now.
            raise TlsFailed(str(error)) from None
        self._judge(Stage.HELLO, reply)

    async def _sign_in(self, client: Client, target: Target, manner: Manner) -> None:
        """AUTH PLAIN (RFC 4616), only ever under verified TLS. A refusal is about us, not about the mail."""
        if manner.tls != VERIFIED or client.tls is None:
            raise HostTrouble(trouble.not_verified(str(target), "no password is sent"))
        if "PLAIN" not in client.capabilities.get("AUTH", "").upper().split():
            raise HostTrouble(trouble.no_sign_in(str(target)))
        self._judge(Stage.AUTH, await client.auth_plain(manner.user, manner.password))

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
