"""The chain of ARC sets in a header (RFC 8617 §4): gathered and judged by structure, before anything is verified."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from posthouse.authenticity.canonical import relaxed_field, without_signature
from posthouse.authenticity.keys import ALGORITHMS
from posthouse.authenticity.names import question
from posthouse.authenticity.signature import Claim, SignedMessage, Unusable, read_claim, value_of
from posthouse.authenticity.tags import TagError, base64_of, number_of, read_tags

__all__ = ["MOST_INSTANCES", "ArcSet", "BrokenChain", "Seal", "gather", "sealed_octets", "sealed_sets"]

MOST_INSTANCES = 50  # RFC 8617 §4.2.1
SEAL, MESSAGE, RESULTS = "arc-seal", "arc-message-signature", "arc-authentication-results"
_INSTANCE = re.compile(r"[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*([0-9]{1,4})[ \t\r\n]*;(.*)\Z", re.DOTALL)


class BrokenChain(ValueError):
    """The chain fails whatever its keys say; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Seal:
    """One ARC-Seal as written."""

    raw: bytes
    algorithm: str
    signature: bytes
    validation: str
    domain: str
    selector: str


@dataclass(frozen=True, slots=True)
class ArcSet:
    """The three fields of one instance. `message` is None when an older message signature makes no sense."""

    instance: int
    seal: Seal
    message: Claim | None
    message_raw: bytes
    results_raw: bytes
    results: str


def gather(message: SignedMessage) -> list[ArcSet]:
    """The sets in order, oldest first; [] without any. Raises BrokenChain (RFC 8617 §5.2 steps 1 to 3)."""
    found: dict[str, dict[int, tuple[bytes, str]]] = {}
    for name in (SEAL, MESSAGE, RESULTS):
        fields = message.all(name)
        if len(fields) > MOST_INSTANCES:
            raise BrokenChain(f"the chain has more than {MOST_INSTANCES} sets")
        found[name] = _by_instance(name, fields)
    seals, messages, results = found[SEAL], found[MESSAGE], found[RESULTS]
    if not (seals or messages or results):
        return []
    count = max(map(len, found.values()))
    complete = set(range(1, count + 1))
    if not (set(seals) == set(messages) == set(results) == complete):
        raise BrokenChain("the chain has gaps")
    sets = [
        ArcSet(
            instance, _seal(*seals[instance]), _message(messages[instance][0], instance == count),
            messages[instance][0], *results[instance],
        )
        for instance in range(1, count + 1)
    ]  # fmt: skip
    for one in reversed(sets):
        wanted = "none" if one.instance == 1 else "pass"
        if one.seal.validation != wanted:
            raise BrokenChain(f"instance {one.instance} says cv={one.seal.validation[:10]}, not cv={wanted}")
    return sets


def _by_instance(name: str, fields: list[bytes]) -> dict[int, tuple[bytes, str]]:
    """Fields by their i=; each with the text in which it was found (of results: what follows it)."""
    by_instance: dict[int, tuple[bytes, str]] = {}
    for raw in fields:
        text = value_of(raw)
        try:
            if name == RESULTS:
                match = _INSTANCE.match(text)  # RFC 8617 §4.1.1: i= stands first
                if match is None:
                    raise TagError("does not begin with i=")
                number, text = int(match[1]), match[2].strip(" \t\r\n")
            else:
                number = number_of(read_tags(text), "i", 4) or 0
        except TagError as error:
            raise BrokenChain(f"{name}: {error}") from None
        if not 1 <= number <= MOST_INSTANCES:
            raise BrokenChain(f"{name}: i= must be 1 to {MOST_INSTANCES}")
        if number in by_instance:
            raise BrokenChain(f"{name}: instance {number} stands twice")
        by_instance[number] = (raw, text)
    return by_instance


def _seal(raw: bytes, text: str) -> Seal:
    try:
        tags = read_tags(text)
        for name in ("a", "cv", "d", "s"):
            if not tags.get(name):
                raise TagError(f"the tag {name}= is missing")
        if "h" in tags:
            raise TagError("the tag h= has no place here")  # RFC 8617 §4.1.3: what is sealed is fixed
        if tags["a"] not in ALGORITHMS:
            raise TagError("the algorithm is unknown")
        if not question(tags["d"]):
            raise TagError("the tag d= is no domain")
        number_of(tags, "t")
        return Seal(raw, tags["a"], base64_of(tags, "b"), tags["cv"].lower(), tags["d"], tags["s"])
    except TagError as error:
        raise BrokenChain(f"arc-seal: {error}") from None


def _message(raw: bytes, newest: bool) -> Claim | None:
    try:
        # relaxed unless it says otherwise: so did the drafts of ARC, so do the implementations and their suite
        claim = read_claim(raw, "relaxed/relaxed")
        if SEAL in claim.fields:
            raise Unusable("fail", "it signs a seal")  # RFC 8617 §4.1.2
    except Unusable as error:
        if newest:
            raise BrokenChain(f"arc-message-signature: {error.reason}") from None
        return None  # older ones may be broken: only the newest one must hold
    return claim


def sealed_sets(sets: Iterable[ArcSet]) -> bytes:
    """The relaxed fields of whole sets in the order a seal covers them (RFC 8617 §5.1.1)."""
    return b"".join(_found(one) + relaxed_field(one.seal.raw) for one in sets)


def sealed_octets(sets: Iterable[ArcSet]) -> Iterator[tuple[Seal, bytes]]:
    """Each seal, oldest first, with what it covers: all sets before it, and its own with b= empty."""
    before = b""
    for one in sets:
        found = _found(one)
        yield one.seal, before + found + relaxed_field(without_signature(one.seal.raw))[:-2]
        before += found + relaxed_field(one.seal.raw)


def _found(one: ArcSet) -> bytes:
    return relaxed_field(one.results_raw) + relaxed_field(one.message_raw)
