"""DMARC (RFC 9989): whether anything that was proved speaks for the author, and what the author's domain asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from posthouse.address import mailboxes
from posthouse.authenticity.dmarc_record import POLICIES, Record
from posthouse.authenticity.dmarc_walk import Walk, Walker
from posthouse.authenticity.names import a_label, below
from posthouse.dns.lookups import Lookups, TemporaryFailure

__all__ = ["Dmarc", "author_domains", "evaluate", "evaluate_authors"]

MOST_IDENTIFIERS = 10  # of each kind that may cost a walk
MOST_AUTHORS = 5  # of one message that are evaluated, RFC 9989 §11.5
_MILDER = {"reject": "quarantine", "quarantine": "none", "none": "none"}


@dataclass(frozen=True, slots=True)
class Dmarc:
    """What DMARC says of one author domain.

    `result`: pass, fail, none (no record applies) or temperror. `policy`: what the domain asks for if this fails, after
    sp, np and t=y; None without one or while it is unknown. `published_policy`: the same before t=y. `policy_domain`:
    where the record stands; `organization`: the organizational domain, "" where it was not needed or not found.
    `aligned_dkim`, `aligned_spf`: the identifiers that speak for the author. `reason`: a sentence unless it passed.
    """

    result: str
    domain: str = ""
    policy: str | None = None
    published_policy: str | None = None
    testing: bool = False
    policy_domain: str = ""
    organization: str = ""
    aligned_dkim: tuple[str, ...] = ()
    aligned_spf: tuple[str, ...] = ()
    record: Record | None = None
    reason: str = ""


def author_domains(from_values: Iterable[str]) -> tuple[str, ...]:
    """The different domains of the authors in all From fields (unfolded values), as A-labels."""
    addresses = (address for value in from_values for _, address in mailboxes(value))
    return tuple(dict.fromkeys(a_label(address.rpartition("@")[2]) for address in addresses if "@" in address))


async def evaluate_authors(
    domains: Sequence[str], dkim: Sequence[str], spf: Sequence[str], lookups: Lookups, *, deadline: float
) -> Dmarc:
    """DMARC of a message with any number of author domains: of several, the strictest that fails (RFC 9989 §11.5)."""
    if not domains:
        return Dmarc("none", reason="the message names no author")
    found = [await evaluate(domain, dkim, spf, lookups, deadline=deadline) for domain in domains[:MOST_AUTHORS]]
    return max(found, key=_severity)


def _severity(one: Dmarc) -> tuple[int, int]:
    order = ("pass", "none", "temperror", "fail")
    return order.index(one.result), POLICIES.index(one.policy) if one.policy else -1


async def evaluate(author: str, dkim: Sequence[str], spf: Sequence[str], lookups: Lookups, *, deadline: float) -> Dmarc:
    """DMARC of one author domain. `dkim`: d= of signatures that passed; `spf`: domains that SPF passed for.

    HELO's domain belongs into `spf` only for a null return path (RFC 9989 §3.2.4). `deadline`: a moment of the running
    loop's clock, then temperror. Never raises.
    """
    domain = a_label(author)
    if not domain or domain.startswith("["):
        return Dmarc("none", domain, reason="the author has no domain name")
    try:
        async with asyncio.timeout_at(deadline):
            return await _evaluate(domain, dkim, spf, Walker(lookups))
    except TimeoutError:
        return Dmarc("temperror", domain, reason="the policy was not found in time")


async def _evaluate(domain: str, dkim: Sequence[str], spf: Sequence[str], walker: Walker) -> Dmarc:
    walk = await walker.walk(domain)
    found = _applied(walk)
    if found is None:
        if walk.trouble:
            return Dmarc("temperror", domain, reason=walk.trouble)
        return Dmarc("none", domain, organization=walk.organization, reason="no DMARC record applies")
    place, record = found
    if not record.usable:
        reason = f"the record of {place} asks for nothing"
        return Dmarc("none", domain, organization=walk.organization, record=record, reason=reason)
    published, trouble = await _published(domain, place, record, walker)
    known = Dmarc(
        "none",
        domain,
        published and (_MILDER[published] if record.testing else published),
        published,
        record.testing,
        place,
        walk.organization,
        record=record,
    )
    by_spf, spf_trouble = await _aligned(spf, record.spf_mode, walk, walker)
    by_dkim, dkim_trouble = await _aligned(dkim, record.dkim_mode, walk, walker)
    if by_spf or by_dkim:
        return replace(known, result="pass", aligned_dkim=by_dkim, aligned_spf=by_spf)
    trouble = trouble or spf_trouble or dkim_trouble
    if trouble:
        # RFC 9989 §5.3.6: without the answers the policy may not be applied
        return replace(known, result="temperror", policy=None, reason=trouble)
    return replace(known, result="fail", reason=f"nothing that was proved speaks for {domain}")


def _applied(walk: Walk) -> tuple[str, Record] | None:
    """The record that applies (RFC 9989 §4.10.1): the author's, else its organization's, else its public suffix's."""
    for place in (walk.domain, walk.organization):
        record = walk.record_of(place)
        if record is not None:
            return place, record
    return walk.suffix


async def _published(domain: str, place: str, record: Record, walker: Walker) -> tuple[str | None, str]:
    """p, sp or np (RFC 9989 §4.7); None and a sentence when it cannot be told which."""
    if domain == place:
        return record.policy, ""
    if record.subdomains == record.missing:
        return record.subdomains, ""
    try:
        return (record.subdomains if await walker.exists(domain) else record.missing), ""
    except TemporaryFailure as failure:
        return None, str(failure)


async def _aligned(identifiers: Sequence[str], mode: str, author: Walk, walker: Walker) -> tuple[tuple[str, ...], str]:
    """The identifiers that align (RFC 9989 §4.4), and a sentence when one could not be judged."""
    aligned: list[str] = []
    trouble = ""
    for identifier in list(dict.fromkeys(map(a_label, identifiers)))[:MOST_IDENTIFIERS]:
        if identifier == author.domain:
            aligned.append(identifier)
            continue
        if mode == "strict" or identifier.rpartition(".")[2] != author.domain.rpartition(".")[2]:
            continue
        if not author.organization:
            trouble = trouble or author.trouble
            continue
        if not below(identifier, author.organization):
            continue  # its own organization cannot be this one
        walk = await walker.walk(identifier)
        if walk.organization == author.organization:
            aligned.append(identifier)
        elif not walk.organization:
            trouble = trouble or walk.trouble
    return tuple(aligned), trouble
