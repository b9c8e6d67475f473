"""What the tests of signatures share: keys, a zone that publishes them, and a letter."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from posthouse.authenticity.dkim_signing import PrivateKey
from posthouse.dns.zone import FixedZone
from tests import idle_time

NOW = 1_700_000_000
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SHORT = rsa.generate_private_key(public_exponent=65537, key_size=1024)
ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))

HEADER = (
    b"Received: from mx.far.example by mx.lists.example; Tue, 14 Nov 2023 22:13:20 +0000\r\n"
    b"From: Ana <ana@far.example>\r\n"
    b"To: garden@lists.example\r\n"
    b"Subject: Tomatoes,\r\n  ripe at   last\r\n"
    b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
    b"Message-ID: <1@far.example>\r\n"
)
BODY = b"Ripe at last.  \r\n\r\nCome and \t see.\r\n\r\n\r\n"

Result = TypeVar("Result")


def run(ask: Callable[[float], Awaitable[Result]], seconds: float = 5) -> Result:
    """Run one evaluation with a deadline so many seconds away."""

    async def main() -> Result:
        return await ask(asyncio.get_running_loop().time() + seconds)

    return idle_time.run(main())


def record(key: PrivateKey, more: str = "") -> str:
    """The TXT record that publishes a key, in quoted strings."""
    public = key.public_key()
    if isinstance(public, ed25519.Ed25519PublicKey):
        text = f"v=DKIM1; k=ed25519; {more}p=" + base64.b64encode(public.public_bytes_raw()).decode()
    else:
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        text = f"v=DKIM1; k=rsa; {more}p=" + base64.b64encode(der).decode()
    return quoted(text)


def quoted(text: str) -> str:
    """A TXT record's text as a zone writes it."""
    return " ".join('"' + text[start : start + 200] + '"' for start in range(0, len(text), 200)) or '""'


def zone(**keys: str) -> FixedZone:
    """A zone with the usual keys of far.example, and more or other ones by selector."""
    published = {"rsa": record(RSA), "short": record(SHORT), "ed": record(ED25519), **keys}
    return FixedZone({f"{name}._domainkey.far.example": {"TXT": [text]} for name, text in published.items()})
