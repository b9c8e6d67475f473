"""ARC (RFC 8617): what earlier handlers found and sealed, and whether their chain holds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from posthouse.authenticity.arc_chain import ArcSet, BrokenChain, gather, sealed_octets
from posthouse.authenticity.keys import KeyTrouble, PublicKey, find_keys
from posthouse.authenticity.names import a_label
from posthouse.authenticity.signature import Claim, SignedMessage
from posthouse.dns.lookups import Lookups

__all__ = ["Arc", "Link", "Validation", "validate"]


@dataclass(frozen=True, slots=True)
class Link:
    """One handler in the chain: the domain that sealed (A-labels), and what it reported when it had the message.

    `results`: the text of its ARC-Authentication-Results after i=, for `results.read`. `message_domain`: d= of its
    message signature.
    """

    instance: int
    domain: str
    selector: str
    message_domain: str
    results: str


@dataclass(frozen=True, slots=True)
class Arc:
    """A chain and what it is worth: `result` none, pass, fail, or temperror when a key could not be looked up.

    A chain that passes proves who handled the message and what they said, not that they are to be believed. `links`:
    oldest first. `oldest_pass`: the instance since which the message was not changed, 0 for never changed
    (RFC 8617 §5.2 step 5), None when unknown.
    """

    result: str
    reason: str = ""
    links: tuple[Link, ...] = ()
    oldest_pass: int | None = None


class Validation:
    """ARC of one message: made before its body passes by, asked for evidence afterwards."""

    def __init__(self, message: SignedMessage) -> None:
        self._message = message
        self._sets: list[ArcSet] = []
        self._broken = ""
        self._keys: dict[tuple[str, str, str], list[PublicKey]] = {}
        try:
            self._sets = gather(message)
        except BrokenChain as error:
            self._broken = str(error)
        for one in self._sets:
            if one.message and (one.instance == len(self._sets) or one.message.length is None):
                message.bodies.want(one.message.relaxed_body, one.message.length)

    async def evidence(self, lookups: Lookups, deadline: float) -> Arc:
        """Validate the chain; `deadline`: a moment of the running loop's clock, then temperror."""
        if self._broken:
            return Arc("fail", self._broken)
        if not self._sets:
            return Arc("none")
        self._message.bodies.finish()
        links = tuple(map(_link, self._sets))
        try:
            async with asyncio.timeout_at(deadline):
                reason = await self._validate(lookups)
        except KeyTrouble as trouble:
            return Arc("temperror" if trouble.result == "temperror" else "fail", trouble.reason, links)
        except TimeoutError:
            return Arc("temperror", "the chain was not validated in time", links)
        if reason:
            return Arc("fail", reason, links)
        try:
            async with asyncio.timeout_at(deadline):
                oldest = await self._oldest_pass(lookups)
        except TimeoutError:
            oldest = None
        return Arc("pass", "", links, oldest)

    async def _validate(self, lookups: Lookups) -> str:
        """Why the chain fails, "" when it holds (RFC 8617 §5.2 steps 4 and 6). Raises KeyTrouble."""
        newest = self._sets[-1]
        reason = await self._message_reason(newest, lookups)
        if reason:
            return reason
        for place, (seal, octets) in enumerate(sealed_octets(self._sets), 1):
            keys = await self._keys_of(seal.selector, seal.domain, seal.algorithm, lookups)
            if not any(key.made(seal.signature, octets) for key in keys):
                return f"the seal of instance {place} does not fit"
        return ""

    async def _message_reason(self, one: ArcSet, lookups: Lookups) -> str:
        """Why a message signature does not hold, "" when it does. Raises KeyTrouble."""
        claim = one.message
        if claim is None:
            return f"the message signature of instance {one.instance} makes no sense"
        bodies = self._message.bodies
        if claim.length is not None and claim.length != bodies.length(claim.relaxed_body):
            return f"instance {one.instance} signed only a part of the body"
        if bodies.digest(claim.relaxed_body, claim.length) != claim.body_hash:
            return f"the body was changed after instance {one.instance}"
        keys = await self._keys_of(claim.selector, claim.domain, claim.algorithm, lookups)
        octets = self._message.signed_octets(claim)
        if not any(key.made(claim.signature, octets) for key in keys):
            return f"the message signature of instance {one.instance} does not fit"
        return ""

    async def _oldest_pass(self, lookups: Lookups) -> int | None:
        """RFC 8617 §5.2 step 5: from the newest back to the first message signature that does not hold."""
        for one in reversed(self._sets[:-1]):
            try:
                if _open(one.message) or await self._message_reason(one, lookups):
                    return one.instance + 1
            except KeyTrouble as trouble:
                return None if trouble.result == "temperror" else one.instance + 1
        return 0

    async def _keys_of(self, selector: str, domain: str, algorithm: str, lookups: Lookups) -> list[PublicKey]:
        asked = (selector, domain, algorithm)
        if asked not in self._keys:
            self._keys[asked] = await find_keys(selector, domain, algorithm, lookups)
        return self._keys[asked]


def _open(claim: Claim | None) -> bool:
    return claim is not None and claim.length is not None


def _link(one: ArcSet) -> Link:
    return Link(
        instance=one.instance,
        domain=a_label(one.seal.domain),
        selector=one.seal.selector,
        message_domain=a_label(one.message.domain) if one.message else "",
        results=one.results,
    )


async def validate(header: bytes, body: Iterable[bytes], lookups: Lookups, *, deadline: float) -> Arc:
    """ARC of a whole message: its header (fields with CRLF) and its body in chunks. Never raises."""
    message = SignedMessage(header)
    validation = Validation(message)
    for chunk in body:
        message.feed(chunk)
    return await validation.evidence(lookups, deadline)
