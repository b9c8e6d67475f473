"""Asking another host about an address: the question, and what was heard. Sends no mail."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from dataclasses import dataclass

from posthouse.smtp.client import Client, ClientError, Timeouts, TlsFailed, UnsafeAddress
from posthouse.smtp.reply import Reply


@dataclass(frozen=True, slots=True)
class Target:
    """One address to dial and how to speak to it. `context` None: no TLS; `strict`: not without."""

    host: str
    address: str  # or the path of a UNIX socket
    port: int
    hello: str
    lmtp: bool = False
    context: ssl.SSLContext | None = None
    strict: bool = False
    from_start: bool = False
    source: str | None = None
    user: str = ""
    password: str = ""

    def __str__(self) -> str:
        if self.address.startswith("/"):
            return self.address
        return f"[{self.address}]:{self.port}" if self.host == self.address else f"{self.host}[{self.address}]"


@dataclass(frozen=True, slots=True)
class Heard:
    """What a host answered. `stage`: connect, greeting, hello, tls, auth, mail or rcpt.

    `reply` is None where it did not answer; `trouble` says why. `made_up`: the reply for an address made up by chance,
    where that was asked for first.
    """

    stage: str
    reply: Reply | None = None
    trouble: str = ""
    made_up: Reply | None = None

    def words(self, target: object) -> str:
        """What was heard, in one line."""
        text = f"{target} said: {self.reply}" if self.reply is not None else f"{target}: {self.trouble}"
        return " ".join(text.split())[:300]


async def ask(
    target: Target, step: float, return_path: str, recipient: str, made_up: str = ""
) -> tuple[Heard, Client | None]:
    """Ask one host; each step may take `step` seconds. Gives the connection too, for the caller to `quit`.

    Never raises for what the host does.
    """
    heard, client = await _ask(target, step, return_path, recipient, made_up, target.context)
    if heard.stage == "tls" and not target.strict and target.context is not None and not target.from_start:
        _close(client)  # RFC 7435 §3: TLS that does not work is worth no more than none
        heard, client = await _ask(target, step, return_path, recipient, made_up, None)
    return heard, client


async def _ask(
    target: Target, step: float, return_path: str, recipient: str, made_up: str, context: ssl.SSLContext | None
) -> tuple[Heard, Client | None]:
    client = Client(Timeouts(connect=step, greeting=step, helo=step, mail=step, rcpt=step))
    talk = _Talk(client, target, context)
    try:
        refusal = await talk.open()
        if refusal is not None:
            return Heard(talk.stage, refusal), client
        talk.stage = "mail"
        asked = (made_up, recipient) if made_up else (recipient,)
        if not all(address.isascii() for address in (return_path, *asked)) and "SMTPUTF8" not in client.capabilities:
            return Heard("rcpt", Reply(553, "5.6.7", "It does not take addresses beyond ASCII (RFC 6531)")), client
        replies = await client.probe(return_path, *asked)
        if not replies[0].positive:
            return Heard("mail", replies[0]), client
        return Heard("rcpt", replies[-1], "", replies[1] if made_up else None), client
    except TlsFailed as error:
        return Heard("tls", None, str(error)), client
    except (ClientError, UnsafeAddress) as error:
        return Heard(talk.stage, None, str(error)), client
    except BaseException:
        client.close()
        raise


@dataclass
class _Talk:
    """The way to MAIL; `stage` is where it stands."""

    client: Client
    target: Target
    context: ssl.SSLContext | None
    stage: str = "connect"

    async def open(self) -> Reply | None:
        """Greeting, EHLO, STARTTLS, AUTH; gives the reply that ends it. Raises ClientError."""
        client, target = self.client, self.target
        name = None if _is_address(target.host) else target.host
        greeting = await client.connect(
            target.address, target.port, local_address=target.source,
            tls=self.context if target.from_start else None, server_hostname=name if target.from_start else None,
        )  # fmt: skip
        self.stage = "greeting"
        if not greeting.positive:
            return greeting
        self.stage = "hello"
        reply = await client.hello(target.hello, lmtp=target.lmtp)
        if not reply.positive:
            return reply
        if self.context is not None and client.tls is None:
            refusal = await self._encrypt(name)
            if refusal is not None:
                return refusal
        if target.user:
            self.stage = "auth"
            reply = await client.auth_plain(target.user, target.password)
        return None if reply.positive else reply

    async def _encrypt(self, name: str | None) -> Reply | None:
        """STARTTLS and EHLO again where it is offered; gives the reply that ends it."""
        client, target = self.client, self.target
        self.stage = "tls"
        if "STARTTLS" in client.capabilities:
            assert self.context is not None
            if (await client.starttls(self.context, name)).code == 220:
                reply = await client.hello(target.hello, lmtp=target.lmtp)
                return None if reply.positive else reply
        return Reply(454, "4.7.0", "TLS is not offered") if target.strict else None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.startswith("/")
    return True


def _close(client: Client | None) -> None:
    if client is not None:
        client.close()


async def leave(client: Client | None) -> None:
    """Say goodbye; what the host makes of it does not matter."""
    if client is not None:
        try:
            async with asyncio.timeout(5):
                await client.quit()
        except TimeoutError:
            client.close()
