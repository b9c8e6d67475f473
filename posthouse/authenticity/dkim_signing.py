"""Signing with DKIM (RFC 6376 §5): one field for one domain, relaxed over header and body, the whole body always."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from posthouse.authenticity.canonical import BodyHashes, relaxed_field
from posthouse.message.headers import Fields

__all__ = [
    "OVERSIGNED",
    "SIGNED",
    "PrivateKey",
    "algorithm_of",
    "body_hash",
    "choose",
    "field_of",
    "sign",
    "sign_hashed",
    "signature_over",
]

PrivateKey = RSAPrivateKey | Ed25519PrivateKey

# RFC 6376 §5.4.1, and what a mailing list says of itself (RFC 2369, RFC 8058 §4)
SIGNED = (
    "from", "reply-to", "subject", "date", "to", "cc", "message-id", "in-reply-to", "references", "mime-version",
    "content-type", "content-transfer-encoding", "content-id", "content-description", "resent-date", "resent-from",
    "resent-to", "resent-cc", "list-id", "list-help", "list-unsubscribe", "list-unsubscribe-post", "list-subscribe",
    "list-post", "list-owner", "list-archive",
)  # fmt: skip
# signed once more than they occur, so that nobody adds another one (RFC 6376 §8.15)
OVERSIGNED = frozenset(
    [
        "from",
        "reply-to",
        "subject",
        "date",
        "to",
        "cc",
        "message-id",
        "mime-version",
        "content-type",
        "content-transfer-encoding",
    ]
)
LINE = 72  # octets of a folded line without its indentation


def body_hash(body: Iterable[bytes]) -> bytes:
    """The relaxed SHA-256 of a body in chunks; the same for every copy of a message whose body is the same."""
    bodies = BodyHashes()
    bodies.want(relaxed=True)
    for chunk in body:
        bodies.feed(chunk)
    bodies.finish()
    return bodies.digest(relaxed=True)


def sign(
    header: bytes,
    body: Iterable[bytes],
    domain: str,
    selector: str,
    key: PrivateKey,
    *,
    now: float,
    headers: Sequence[str] = SIGNED,
    oversigned: Iterable[str] = OVERSIGNED,
    expires: float | None = None,
) -> bytes:
    """A DKIM-Signature field with its CRLF, to be put above `header` (fields with CRLF, as they will be sent).

    `headers`: names to sign where they occur; `oversigned`: of these, those nobody may add. From is always both
    (RFC 6376 §5.4). `now` and `expires`: seconds since 1970.
    """
    hashed = body_hash(body)
    return sign_hashed(
        header, hashed, domain, selector, key, now=now, headers=headers, oversigned=oversigned, expires=expires
    )


def sign_hashed(
    header: bytes,
    hashed: bytes,
    domain: str,
    selector: str,
    key: PrivateKey,
    *,
    now: float,
    headers: Sequence[str] = SIGNED,
    oversigned: Iterable[str] = OVERSIGNED,
    expires: float | None = None,
) -> bytes:
    """As `sign`, for a body whose `body_hash` is known: one hash for all copies of a posting."""
    fields = [(name.lower(), raw) for name, raw in Fields(header)]
    names, signed = choose(fields, ["from", *headers], ["from", *oversigned])
    tags = [("v", "1"), ("a", algorithm_of(key)), ("c", "relaxed/relaxed"), ("d", domain), ("s", selector)]
    tags.append(("t", str(int(now))))
    if expires is not None:
        tags.append(("x", str(int(expires))))
    tags += [("h", ":".join(names)), ("bh", base64.b64encode(hashed).decode("ascii")), ("b", "")]
    unsigned = field_of("DKIM-Signature", tags)
    octets = b"".join(signed) + relaxed_field(unsigned)[:-2]
    tags[-1] = ("b", signature_over(octets, key))
    return field_of("DKIM-Signature", tags)


def choose(
    fields: Sequence[tuple[str, bytes]], headers: Sequence[str], oversigned: Iterable[str]
) -> tuple[list[str], list[bytes]]:
    """The names for h=, and the relaxed fields in that order, each name's from the bottom up (RFC 6376 §5.4.2)."""
    present = Counter(name for name, _ in fields)
    wanted = list(dict.fromkeys(name.lower() for name in headers))
    more = {name.lower() for name in oversigned}
    names = [name for name in wanted for _ in range(present[name] + (name in more))]
    by_name: dict[str, list[bytes]] = {}
    for name, raw in fields:
        by_name.setdefault(name, []).append(raw)
    signed = [relaxed_field(raw) for name in wanted for raw in reversed(by_name.get(name, []))]
    return names, signed


def algorithm_of(key: PrivateKey) -> str:
    """The value of a= for a key (RFC 8301, RFC 8463)."""
    return "rsa-sha256" if isinstance(key, RSAPrivateKey) else "ed25519-sha256"


def signature_over(octets: bytes, key: PrivateKey) -> str:
    """The value of b= for canonical octets."""
    if isinstance(key, RSAPrivateKey):
        signature = key.sign(octets, PKCS1v15(), SHA256())
    else:
        signature = key.sign(hashlib.sha256(octets).digest())  # RFC 8463 §3
    return base64.b64encode(signature).decode("ascii")


def field_of(name: str, tags: Sequence[tuple[str, str]]) -> bytes:
    """A field of tags, folded after semicolons, inside h= after colons and inside b= anywhere (RFC 6376 §3.2, §3.5)."""
    lines = [f"{name}:"]
    for position, (tag, value) in enumerate(tags):
        spec = f"{tag}={value}" + (";" if position < len(tags) - 1 else "")
        if len(lines[-1]) + 1 + len(spec) <= LINE:
            lines[-1] += " " + spec
            continue
        if len(spec) <= LINE:
            lines.append(" " + spec)
        elif tag == "b":
            lines += [" " + spec[start : start + LINE] for start in range(0, len(spec), LINE)]
        else:
            lines += [" " + piece for piece in _after_colons(spec)]
    return "\r\n".join(lines).encode("utf-8") + b"\r\n"


def _after_colons(spec: str) -> list[str]:
    pieces = [""]
    words = spec.split(":")
    for position, word in enumerate(words):
        text = word + (":" if position < len(words) - 1 else "")
        if pieces[-1] and len(pieces[-1]) + len(text) > LINE:
            pieces.append("")
        pieces[-1] += text
    return pieces
