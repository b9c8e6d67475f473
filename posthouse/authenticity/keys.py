"""Public keys as domains publish them (RFC 6376 §3.6, RFC 8463), and what a signature by them is worth."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import dns.name
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from posthouse.authenticity.names import a_label, question
from posthouse.authenticity.tags import TagError, base64_of, read_tags, without_blanks
from posthouse.dns.lookups import Lookups, NoAnswer, NoSuchName, TemporaryFailure

__all__ = ["ALGORITHMS", "KeyTrouble", "PublicKey", "find_keys", "read_key"]

ALGORITHMS = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}
FEWEST_BITS, MOST_BITS = 1_024, 4_096  # of an RSA modulus, RFC 8301 §3.2
MOST_EXPONENT = 2**33  # a huge one only costs the verifier time
MOST_RECORDS = 4  # of one selector that are looked at
_PADDING, _SHA256 = PKCS1v15(), SHA256()


class KeyTrouble(Exception):
    """There is no key to use: "temperror" or "permerror", with a sentence."""

    def __init__(self, result: str, reason: str) -> None:
        super().__init__(reason)
        self.result, self.reason = result, reason


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A usable key: `kind` "rsa" or "ed25519"; `testing`: t=y; `exact`: t=s, i= must be d=; `hashes`: h=, if given."""

    kind: str
    bits: int
    key: RSAPublicKey | Ed25519PublicKey
    testing: bool = False
    exact: bool = False
    hashes: frozenset[str] | None = None

    def made(self, signature: bytes, data: bytes) -> bool:
        """Whether this key's owner signed these octets."""
        try:
            if self.kind == "rsa":  # asking for the class of a key costs more
                cast(RSAPublicKey, self.key).verify(signature, data, _PADDING, _SHA256)
            else:  # RFC 8463 §3: PureEdDSA of the hash
                cast(Ed25519PublicKey, self.key).verify(signature, hashlib.sha256(data).digest())
        except InvalidSignature:
            return False
        return True


async def find_keys(
    selector: str, domain: str, algorithm: str, lookups: Lookups, deadline: float | None = None
) -> list[PublicKey]:
    """The keys a selector publishes for an algorithm, at least one. Raises KeyTrouble (RFC 6376 §6.1.2).

    `deadline`: a moment of the running loop's clock, then temperror; None where the caller keeps one.
    """
    where, name = _place(selector, domain)
    if name is None:
        raise KeyTrouble("permerror", f"{where!r} cannot be a name")
    try:
        answer = lookups.known(name, "TXT")
        if answer is None:
            async with asyncio.timeout_at(deadline):
                answer = await lookups.ask(name, "TXT")
    except TimeoutError:
        raise KeyTrouble("temperror", "the key was not found in time") from None
    except (NoSuchName, NoAnswer):
        raise KeyTrouble("permerror", f"there is no key at {where}") from None
    except TemporaryFailure as error:
        raise KeyTrouble("temperror", f"the key could not be looked up: {error}") from None
    usable: list[PublicKey] = []
    trouble = ""
    for record in answer.records[:MOST_RECORDS]:
        try:
            key = read_key(b"".join(record.strings))
        except TagError as error:
            trouble = trouble or str(error)
            continue
        if key.kind != ALGORITHMS[algorithm]:
            trouble = f"the key is for {key.kind}"
        elif key.hashes is not None and "sha256" not in key.hashes:
            trouble = "the key does not allow sha256"
        else:
            usable.append(key)
    if not usable:
        raise KeyTrouble("permerror", f"no usable key at {where}: {trouble}")
    return usable


@lru_cache(maxsize=1_024)
def _place(selector: str, domain: str) -> tuple[str, dns.name.Name | None]:
    """Where a key stands (RFC 6376 §3.6.2.1): as text and as a question."""
    where = f"{a_label(selector)}._domainkey.{a_label(domain)}"
    return where, question(where)


@lru_cache(maxsize=1_024)
def read_key(record: bytes) -> PublicKey:
    """A key record (RFC 6376 §3.6.1). Raises TagError with the reason why it cannot be used."""
    try:
        tags = read_tags(record.decode("utf-8"))
    except UnicodeDecodeError:
        raise TagError("the record is not text") from None
    if "v" in tags and (tags["v"] != "DKIM1" or next(iter(tags)) != "v"):
        raise TagError("the record is of another version")
    if "p" not in tags:
        raise TagError("the record holds no key")
    if not tags["p"]:
        raise TagError("the key was revoked")
    services = {service.strip() for service in tags.get("s", "*").split(":")}
    if not services & {"*", "email"}:
        raise TagError("the key is not for mail")
    flags = {flag.strip() for flag in tags.get("t", "").split(":")}
    hashes = frozenset(without_blanks(tags["h"]).split(":")) if "h" in tags else None
    kind = tags.get("k", "rsa")
    octets = base64_of(tags, "p")
    if kind == "ed25519":
        if len(octets) != 32:
            raise TagError("the key is no Ed25519 key")
        ed25519 = Ed25519PublicKey.from_public_bytes(octets)
        return PublicKey(kind, 256, ed25519, "y" in flags, "s" in flags, hashes)
    if kind != "rsa":
        raise TagError(f"the key is of the unknown kind {kind[:20]!r}")
    rsa = _rsa(octets)
    return PublicKey(kind, rsa.key_size, rsa, "y" in flags, "s" in flags, hashes)


def _rsa(octets: bytes) -> RSAPublicKey:
    try:
        key = load_der_public_key(octets)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise TagError("the key cannot be read") from None
    if not isinstance(key, RSAPublicKey):
        raise TagError("the key is no RSA key")
    if not FEWEST_BITS <= key.key_size <= MOST_BITS:
        raise TagError(f"the key has {key.key_size} bits, allowed are {FEWEST_BITS} to {MOST_BITS}")
    if key.public_numbers().e > MOST_EXPONENT:
        raise TagError("the key has an unusual exponent")
    return key
