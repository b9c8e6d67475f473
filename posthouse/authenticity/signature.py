"""What one signature field claims (RFC 6376 §3.5): read and judged before any key is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from posthouse.authenticity.canonical import BodyHashes, relaxed_fields, without_signature
from posthouse.authenticity.keys import ALGORITHMS
from posthouse.authenticity.names import question
from posthouse.authenticity.tags import TagError, base64_of, number_of, read_tags, without_blanks
from posthouse.message.headers import Fields
from posthouse.message.text import decode

__all__ = ["Claim", "SignedMessage", "Unusable", "read_claim", "value_of"]

CANONICALISATIONS = ("simple", "relaxed")
_SELECTOR = re.compile(
    r"[A-Za-z0-9_\x80-\U0010ffff](?:[A-Za-z0-9._\-\x80-\U0010ffff]{0,252}[A-Za-z0-9_\x80-\U0010ffff])?\Z"
)


class Unusable(ValueError):
    """A signature that cannot be verified whatever its key is: the result for RFC 8601 §2.7.1, and a sentence."""

    def __init__(self, result: str, reason: str) -> None:
        super().__init__(reason)
        self.result, self.reason = result, reason


class Claim(NamedTuple):  # of every signature one is made: a tuple costs least
    """A signature as written: who (`domain`, `selector`), how, over which `fields` (lower case), how much of a body."""

    raw: bytes
    algorithm: str
    signature: bytes
    body_hash: bytes
    relaxed_header: bool
    relaxed_body: bool
    domain: str
    selector: str
    fields: tuple[str, ...]
    length: int | None
    signed_at: int | None
    expires_at: int | None
    tags: dict[str, str]


class SignedMessage:
    """A message under verification: its fields, and its body as it passes by; shared by DKIM and ARC.

    Make it from the header (fields with CRLF, without the empty line), make the verifications, `feed` the body, then
    ask for the evidence.
    """

    def __init__(self, header: bytes) -> None:
        self._header = Fields(header)
        self._by_name = self._header.by_name()
        self.bodies = BodyHashes()

    @property
    def fields(self) -> list[tuple[str, bytes]]:
        """All fields in order: the name in lower case, the field as it came."""
        return [(name.lower(), raw) for name, raw in self._header]

    def feed(self, chunk: bytes) -> None:
        """The next octets of the body, cut anywhere."""
        self.bodies.feed(chunk)

    def all(self, name: str) -> list[bytes]:
        """The raw fields of this name (lower case), from the top."""
        return self._by_name.get(name, [])

    def signed_octets(self, claim: Claim) -> bytes:
        """What the signature is made of (RFC 6376 §3.7): its fields from the bottom up, then itself without b=."""
        own = without_signature(claim.raw)
        picked = self._pick(claim.fields)
        if claim.relaxed_header:
            return relaxed_fields((*picked, own))[:-2]
        whole = b"".join(raw if raw.endswith(b"\n") else raw + b"\r\n" for raw in picked)
        return whole + own.removesuffix(b"\r\n")

    def _pick(self, names: Iterable[str]) -> list[bytes]:
        # RFC 6376 §5.4.2: each mention takes the next field from the bottom; a missing one counts as nothing
        taken: dict[str, int] = {}
        picked = []
        for name in names:
            fields = self._by_name.get(name)
            if fields is not None:
                count = taken[name] = taken.get(name, 0) + 1
                if count <= len(fields):
                    picked.append(fields[-count])
        return picked


def value_of(raw: bytes) -> str:
    """The value of a raw field, folds and all."""
    return decode(raw.partition(b":")[2], "utf-8")


def read_claim(raw: bytes, without_c: str = "simple/simple") -> Claim:
    """Read a signature field. Raises Unusable; v=, i= and times are for the caller to judge.

    `without_c`: the canonicalisation when it names none.
    """
    try:
        tags = read_tags(value_of(raw))
        for name in ("a", "b", "bh", "d", "h", "s"):
            if name not in tags:
                raise TagError(f"the tag {name}= is missing")
        signature, body_hash = base64_of(tags, "b"), base64_of(tags, "bh")
        length, signed_at, expires_at = number_of(tags, "l", 76), number_of(tags, "t"), number_of(tags, "x")
        header, body = _canonicalisations(tags.get("c", without_c))
        if not question(tags["d"]) or "." not in tags["d"] or not _SELECTOR.match(tags["d"]):
            raise TagError("the tag d= is no domain")
        if not _SELECTOR.match(tags["s"]):
            raise TagError("the tag s= is no selector")
    except TagError as error:
        raise Unusable("neutral", str(error)) from None
    algorithm = tags["a"]
    if algorithm == "rsa-sha1":
        raise Unusable("permerror", "rsa-sha1 proves nothing any more")  # RFC 8301 §3.1
    if algorithm not in ALGORITHMS:
        raise Unusable("neutral", f"the algorithm {algorithm[:30]!r} is unknown")
    fields = tuple(name for name in without_blanks(tags["h"]).lower().split(":") if name)
    return Claim(
        raw, algorithm, signature, body_hash, header, body, tags["d"], tags["s"], fields, length, signed_at, expires_at,
        tags,
    )  # fmt: skip


def _canonicalisations(text: str) -> tuple[bool, bool]:
    header, slash, body = text.partition("/")
    if header not in CANONICALISATIONS or ((body or slash) and body not in CANONICALISATIONS):
        raise TagError("the tag c= names an unknown canonicalisation")
    return header == "relaxed", body == "relaxed"
