"""Adding a set to an ARC chain (RFC 8617 §5.1): what we found, the message as we send it, and the chain until here."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from posthouse.authenticity.arc_chain import MOST_INSTANCES, BrokenChain, gather, sealed_sets
from posthouse.authenticity.canonical import relaxed_field
from posthouse.authenticity.dkim_signing import SIGNED, PrivateKey, algorithm_of, choose, field_of, signature_over
from posthouse.authenticity.signature import SignedMessage, value_of
from posthouse.authenticity.tags import TagError, number_of, read_tags

__all__ = ["SEALED", "seal"]

SEALED = (*SIGNED, "dkim-signature")  # RFC 8617 §4.1.2: DKIM signatures too, Authentication-Results never


def seal(
    header: bytes,
    hashed: bytes,
    results: str,
    validation: str,
    domain: str,
    selector: str,
    key: PrivateKey,
    *,
    now: float,
    headers: Sequence[str] = SEALED,
) -> bytes:
    """The three fields of a new set with their CRLFs, to be put above `header`; b"" when none may be added.

    `hashed`: `dkim_signing.body_hash` of the body as sent. `results`: authserv-id and methods as `results.written`
    gives them. `validation`: what `arc.validate` said on arrival: "none", "pass" or "fail". None may be added above
    cv=fail or above the fiftieth (RFC 8617 §5.1.2, §4.2.1).
    """
    message = SignedMessage(header)
    instance = _next_instance(message)
    if instance is None:
        return b""
    validation = validation if validation in ("none", "pass") else "fail"
    try:
        before = sealed_sets(gather(message)) if validation != "fail" else b""
    except BrokenChain:
        validation, before = "fail", b""
    found = _folded(f"ARC-Authentication-Results: i={instance}; {results}")
    names, signed = choose(message.fields, headers, ())
    tags = [
        ("a", algorithm_of(key)), ("b", ""), ("bh", base64.b64encode(hashed).decode("ascii")),
        ("c", "relaxed/relaxed"), ("d", domain), ("h", ":".join(names)), ("i", str(instance)), ("s", selector),
        ("t", str(int(now))),
    ]  # fmt: skip
    over = _signed("ARC-Message-Signature", tags, b"".join(signed), key)
    tags = [
        ("a", algorithm_of(key)), ("b", ""), ("cv", validation), ("d", domain), ("i", str(instance)), ("s", selector),
        ("t", str(int(now))),
    ]  # fmt: skip
    # RFC 8617 §5.1.2: a seal over a broken chain covers its own set alone
    sealed = _signed("ARC-Seal", tags, before + relaxed_field(found) + relaxed_field(over), key)
    return sealed + over + found


def _signed(name: str, tags: list[tuple[str, str]], octets: bytes, key: PrivateKey) -> bytes:
    unsigned = field_of(name, tags)
    signature = signature_over(octets + relaxed_field(unsigned)[:-2], key)
    return field_of(name, [("b", signature) if tag == "b" else (tag, value) for tag, value in tags])


def _next_instance(message: SignedMessage) -> int | None:
    highest, validation = 0, ""
    for raw in message.all("arc-seal"):
        try:
            tags = read_tags(value_of(raw))
            instance = number_of(tags, "i", 4) or 0
        except TagError:
            continue
        if instance >= highest:
            highest, validation = instance, tags.get("cv", "").lower()
    if validation == "fail" or highest >= MOST_INSTANCES:
        return None
    return highest + 1


def _folded(field: str) -> bytes:
    parts = [part.strip() for part in field.replace("\r", "").replace("\n", " ").split(";")]
    return ";\r\n ".join(part for part in parts if part).encode("utf-8", "replace") + b"\r\n"
