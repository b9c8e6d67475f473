"""DKIM (RFC 6376, RFC 8301, RFC 8463): which domains answer for this message, each signature with its result."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from posthouse.authenticity.keys import KeyTrouble, PublicKey, find_keys
from posthouse.authenticity.names import a_label, below
from posthouse.authenticity.signature import Claim, SignedMessage, Unusable, read_claim
from posthouse.authenticity.tags import without_blanks
from posthouse.dns.lookups import Lookups

__all__ = ["Dkim", "Signature", "Verification", "verify"]

MOST_SIGNATURES = 8  # verified, from the top; RFC 6376 §6.1 lets a verifier limit them
MOST_AHEAD = 3_600  # seconds a signer's clock may be ahead of ours
_QUOTED = re.compile(r"=([0-9A-F]{2})")


class Signature(NamedTuple):  # of every message one is made: a tuple costs least
    """One signature and what it is worth.

    `result` (RFC 8601 §2.7.1): pass, fail, policy (true, but leaves open what it must not), neutral (cannot be
    understood), temperror or permerror. `reason`: a sentence unless it passed. `domain`: d= as A-labels. `identity`:
    i=, decoded. `unsigned_octets`: canonical octets of the body that l= leaves open. `testing`: the key says t=y.
    `mark`: the first octets of b=, which tell signatures of one domain apart. Times are seconds since 1970.
    """

    result: str
    reason: str = ""
    domain: str = ""
    selector: str = ""
    identity: str = ""
    algorithm: str = ""
    bits: int = 0
    testing: bool = False
    signed_fields: tuple[str, ...] = ()
    unsigned_octets: int = 0
    signed_at: int | None = None
    expires_at: int | None = None
    mark: str = ""


@dataclass(frozen=True)
class Dkim:
    """All signatures of a message from the top; `ignored`: how many more there were than are verified."""

    signatures: tuple[Signature, ...] = ()
    ignored: int = 0

    @cached_property
    def result(self) -> str:
        """The best of the results, "none" without a signature."""
        if len(self.signatures) == 1:
            return self.signatures[0].result
        results = {signature.result for signature in self.signatures}
        order = ("pass", "temperror", "policy", "fail", "permerror", "neutral")
        return next((result for result in order if result in results), "none")

    @cached_property
    def domains(self) -> tuple[str, ...]:
        """The domains whose signatures passed: DMARC's identifiers (RFC 9989 §4.3)."""
        return tuple(dict.fromkeys(found.domain for found in self.signatures if found.result == "pass"))


class Verification:
    """DKIM of one message: made before its body passes by, asked for evidence afterwards. `now`: seconds since 1970."""

    def __init__(self, message: SignedMessage, now: float) -> None:
        self._message = message
        found = message.all("dkim-signature")
        self._ignored = max(0, len(found) - MOST_SIGNATURES)
        self._claims: list[Claim | Signature] = [self._claim(raw, now) for raw in found[:MOST_SIGNATURES]]
        for claim in self._claims:
            if isinstance(claim, Claim):
                message.bodies.want(claim.relaxed_body, claim.length)

    def _claim(self, raw: bytes, now: float) -> Claim | Signature:
        try:
            claim = read_claim(raw)
        except Unusable as error:
            return Signature(error.result, error.reason)
        try:
            _judge(claim, now, len(self._message.all("from")))
        except Unusable as error:
            return _evidence(claim, error.result, error.reason)
        return claim

    async def evidence(self, lookups: Lookups, deadline: float) -> Dkim:
        """Verify every signature; `deadline`: a moment of the running loop's clock, later ones are temperror."""
        self._message.bodies.finish()
        if not self._claims:
            return Dkim()
        if len(self._claims) == 1:
            return Dkim((await self._verify(self._claims[0], lookups, deadline),), self._ignored)
        found = await asyncio.gather(*(self._verify(claim, lookups, deadline) for claim in self._claims))
        return Dkim(tuple(found), self._ignored)

    async def _verify(self, claim: Claim | Signature, lookups: Lookups, deadline: float) -> Signature:
        if isinstance(claim, Signature):
            return claim
        bodies = self._message.bodies
        whole = bodies.length(claim.relaxed_body)
        if claim.length is not None and claim.length > whole:
            return _evidence(claim, "permerror", "l= signs more than there is")  # RFC 6376 §3.5
        if bodies.digest(claim.relaxed_body, claim.length) != claim.body_hash:
            return _evidence(claim, "fail", "the body was changed")
        try:
            keys = await find_keys(claim.selector, claim.domain, claim.algorithm, lookups, deadline)
        except KeyTrouble as trouble:
            return _evidence(claim, trouble.result, trouble.reason)
        octets = self._message.signed_octets(claim)
        key = next((key for key in keys if key.made(claim.signature, octets)), None)
        if key is None:
            return _evidence(claim, "fail", "the signature does not fit the header", keys[0])
        if key.exact and _identity(claim).rpartition("@")[2] != a_label(claim.domain):
            return _evidence(claim, "permerror", "the key speaks for no subdomains", key)  # RFC 6376 §3.6.1, t=s
        open_octets = 0 if claim.length is None else whole - claim.length
        if open_octets:
            # RFC 6376 §8.2: anybody may append to such a body, so it proves nothing of what is shown
            return _evidence(claim, "policy", f"{open_octets} octets of the body are not signed", key, open_octets)
        return _evidence(claim, "pass", "", key)


def _judge(claim: Claim, now: float, authors: int) -> None:
    """What RFC 6376 §6.1.1 asks before the key is fetched. Raises Unusable."""
    if claim.tags.get("v") != "1":
        raise Unusable("neutral", "the signature is of another version")
    if "dns/txt" not in without_blanks(claim.tags.get("q", "dns/txt")).split(":"):
        raise Unusable("neutral", "the key can be fetched in no known way")
    if "from" not in claim.fields:
        raise Unusable("permerror", "the From field is not signed")
    if claim.fields.count("from") < authors:
        raise Unusable("policy", "one of several From fields is not signed")  # RFC 6376 §8.15
    _, at, domain = _identity(claim).rpartition("@")
    if not at or not below(domain, a_label(claim.domain)):
        raise Unusable("permerror", "i= is not below d=")
    if claim.expires_at is not None:
        if claim.signed_at is not None and claim.expires_at <= claim.signed_at:
            raise Unusable("neutral", "the signature ends before it begins")
        if claim.expires_at < now:
            raise Unusable("permerror", "the signature has expired")
    if claim.signed_at is not None and claim.signed_at > now + MOST_AHEAD:
        raise Unusable("permerror", "the signature is from the future")


def _identity(claim: Claim) -> str:
    """i= decoded (RFC 6376 §2.11), its domain as A-labels; "@" and d= when it is not given."""
    given = claim.tags.get("i")
    if given is None:
        return "@" + a_label(claim.domain)
    local, at, domain = without_blanks(given).rpartition("@")
    if "=" in local:
        local = _QUOTED.sub(lambda found: chr(int(found[1], 16)), local)
    return local + at + a_label(domain)


def _evidence(
    claim: Claim, result: str, reason: str, key: PublicKey | None = None, unsigned_octets: int = 0
) -> Signature:
    return Signature(
        result=result,
        reason=reason,
        domain=a_label(claim.domain),
        selector=claim.selector,
        identity=_identity(claim),
        algorithm=claim.algorithm,
        bits=key.bits if key else 0,
        testing=key.testing if key else False,
        signed_fields=claim.fields,
        unsigned_octets=unsigned_octets,
        signed_at=claim.signed_at,
        expires_at=claim.expires_at,
        mark=without_blanks(claim.tags["b"])[:8],
    )


async def verify(header: bytes, body: Iterable[bytes], lookups: Lookups, *, now: float, deadline: float) -> Dkim:
    """DKIM of a whole message: its header (fields with CRLF) and its body in chunks. Never raises."""
    message = SignedMessage(header)
    verification = Verification(message, now)
    for chunk in body:
        message.feed(chunk)
    return await verification.evidence(lookups, deadline)
