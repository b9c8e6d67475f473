"""The ESMTP and LMTP client: one connection that pipelines whole transactions one behind the other (RFC 2920)."""

from __future__ import annotations

import asyncio
import base64
import ssl
from typing import Any

from posthouse.smtp.flight import Flights
from posthouse.smtp.outgoing import UnsafeAddress, check_address
from posthouse.smtp.reply import Reply
from posthouse.smtp.session import TlsFacts
from posthouse.smtp.wire import ClientError, ConnectFailed, ConnectionBroken, Timeouts, TlsFailed

__all__ = ["Client", "ClientError", "ConnectFailed", "ConnectionBroken", "Timeouts", "TlsFailed", "UnsafeAddress"]


class Client(Flights):
    """A connection to one server: ``connect``, ``hello``, perhaps ``starttls`` and ``hello`` again, then ``submit``.

    Replies are returned, never raised: what they mean is the caller's to judge. ClientError is raised by every
    coroutine here when the connection ends first. No DNS, no policy, no retries.
    """

    def __init__(self, timeouts: Timeouts | None = None, *, window: int = 8) -> None:
        super().__init__(timeouts or Timeouts(), window)
        self.tls: TlsFacts | None = None
        self.certificate: bytes | None = None  # the far side's, DER, for DANE
        self.greeting: Reply | None = None

    async def connect(
        self,
        address: str,
        port: int = 25,
        *,
        local_address: str | None = None,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> Reply:
        """Connect to an IP address (or, with a path, a UNIX socket) and give the greeting.

        ``tls`` encrypts from the first octet. Raises ConnectFailed, TlsFailed or ConnectionBroken.
        """
        greeting = self._expect_reply(self._timeouts.greeting)
        handshake: dict[str, Any] = {"ssl": tls, "server_hostname": server_hostname or (address if tls else None)}
        if tls is None:
            handshake = {}
        try:
            async with asyncio.timeout(self._timeouts.connect):
                if address.startswith("/"):
                    await self._loop.create_unix_connection(lambda: self, address, **handshake)
                else:
                    local = (local_address, 0) if local_address else None
                    await self._loop.create_connection(lambda: self, address, port, local_addr=local, **handshake)
        except ssl.SSLError as error:
            self._give_up(greeting, str(error))
            raise TlsFailed(f"TLS handshake failed: {error}") from None
        except TimeoutError:
            self._give_up(greeting, "timed out")
            raise ConnectFailed(f"no connection within {self._timeouts.connect:g} seconds") from None
        except OSError as error:
            self._give_up(greeting, str(error))
            raise ConnectFailed(f"cannot connect: {error.strerror or error}") from None
        self._note_tls()
        self.greeting = await greeting
        return self.greeting

    async def hello(self, name: str, *, lmtp: bool = False) -> Reply:
        """EHLO, or HELO when that is not understood; LHLO with ``lmtp``. Fills ``capabilities`` (RFC 5321 §3.2)."""
        check_address(name)
        self.lmtp = lmtp
        self.capabilities = {}
        reply = await self._command(f"{'LHLO' if lmtp else 'EHLO'} {name}", self._timeouts.helo)
        if reply.code == 250:
            for line in reply.text.split("\n")[1:]:
                keyword, _, parameters = line.strip().partition(" ")
                if keyword:
                    self.capabilities[keyword.upper()] = parameters.strip()
        elif reply.permanent and not lmtp:
            reply = await self._command(f"HELO {name}", self._timeouts.helo)
        self._learn()
        return reply

    async def starttls(self, context: ssl.SSLContext, server_hostname: str | None = None) -> Reply:
        """STARTTLS and the handshake; say ``hello`` again afterwards (RFC 3207 §4.2).

        A negative reply leaves the connection usable in clear text. Raises TlsFailed when the handshake fails or when
        octets follow the 220 in clear text.
        """
        if self.tls is not None:
            raise ClientError("TLS is already active")
        self._quiet_after_reply = True
        reply = await self._command("STARTTLS", self._timeouts.helo)
        if reply.code != 220:
            self._quiet_after_reply = False
            self._resume_reading()
            return reply
        transport = self._transport
        assert transport is not None
        try:
            encrypted = await self._loop.start_tls(
                transport,
                self,
                context,
                server_hostname=server_hostname,
                ssl_handshake_timeout=self._timeouts.connect,
            )
        except (OSError, ssl.SSLError) as error:
            self._break(f"TLS handshake failed: {error}")
            raise TlsFailed(f"TLS handshake failed: {error}") from None
        if encrypted is None:
            self._break("connection lost in the TLS handshake")
            raise TlsFailed("connection lost in the TLS handshake")
        self.connection_made(encrypted)
        self._quiet_after_reply = False
        self._note_tls()
        self.capabilities = {}  # what was offered in clear text counts no more
        self._learn()
        return reply

    async def auth_plain(
        self, identity: str, password: str, *, authorization: str = "", clear_text: bool = False
    ) -> Reply:
        """AUTH PLAIN (RFC 4616). Without TLS only when ``clear_text`` is asked for; else raises ClientError."""
        if self.tls is None and not clear_text:
            raise ClientError("a password is not sent over an unencrypted connection")
        secret = base64.b64encode(f"{authorization}\0{identity}\0{password}".encode()).decode("ascii")
        if len(secret) < 400:
            return await self._command(f"AUTH PLAIN {secret}", self._timeouts.mail)
        reply = await self._command("AUTH PLAIN", self._timeouts.mail)  # RFC 4954 §4: too long for a command line
        return await self._command(secret, self._timeouts.mail) if reply.code == 334 else reply

    async def noop(self) -> Reply:
        """NOOP: is the far side still there?"""
        return await self._command("NOOP", self._timeouts.mail)

    async def probe(self, return_path: str, *recipients: str) -> tuple[Reply, ...]:
        """Would these recipients be taken? The replies to MAIL and, where that was positive, to each RCPT (a callout).

        Nothing is sent. Asks for SMTPUTF8 where an address is beyond ASCII (RFC 6531 §3.4).
        """
        for address in (return_path, *recipients):
            check_address(address)
        extra = "" if all(address.isascii() for address in (return_path, *recipients)) else " SMTPUTF8"
        replies = [await self._command(f"MAIL FROM:<{return_path}>{extra}", self._timeouts.mail)]
        for recipient in recipients if replies[0].positive else ():
            replies.append(await self._command(f"RCPT TO:<{recipient}>", self._timeouts.rcpt))
        await self._command("RSET", self._timeouts.mail)
        return tuple(replies)

    async def quit(self) -> None:
        """QUIT, wait shortly for the answer, close. Never raises: the work is done."""
        if self.broken:
            return
        try:
            async with asyncio.timeout(self._timeouts.quit):
                await self._command("QUIT", self._timeouts.quit)
        except (ClientError, TimeoutError):
            pass
        self.close()

    def close(self) -> None:
        """End the connection at once; transactions under way get their result."""
        self._break("closed by us")

    def _give_up(self, greeting: asyncio.Future[Reply], reason: str) -> None:
        self._break(reason)
        if greeting.done() and not greeting.cancelled():
            greeting.exception()  # seen: the caller gets a better one

    def _note_tls(self) -> None:
        secured = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        if secured is not None:
            name, _, bits = secured.cipher() or ("", "", 0)
            self.tls = TlsFacts(secured.version() or "", name, bits)
            self.certificate = secured.getpeercert(binary_form=True)
