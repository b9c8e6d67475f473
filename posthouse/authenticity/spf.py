"""SPF (RFC 7208): whether a domain allows this client to use its name. Evidence, with the reason and what it cost."""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from functools import cached_property

from posthouse.authenticity.names import a_label, question
from posthouse.authenticity.spf_evaluation import Evaluation, Identity, Ip, Unfinished
from posthouse.dns.lookups import Lookups

__all__ = ["Spf", "check", "check_helo", "check_return_path"]


@dataclass(frozen=True)
class Spf:
    """What SPF says of one identity (RFC 7208 §2.6).

    `result`: none, neutral, pass, fail, softfail, temperror or permerror. `identity`: "mailfrom" or "helo".
    `domain`: the name that was checked. `mechanism`: the term that decided, "" when none did. `reason`: a sentence for
    the operator. `explanation`: the domain's own words for a fail, "" for none: a stranger's text. `lookups`: terms
    that asked the DNS.
    """

    result: str
    identity: str
    domain: str
    sender: str
    mechanism: str = ""
    reason: str = ""
    explanation: str = ""
    lookups: int = 0

    @cached_property
    def domains(self) -> tuple[str, ...]:
        """The domain if this passed: an identifier for DMARC (RFC 9989 §4.3)."""
        return (a_label(self.domain),) if self.result == "pass" else ()


async def check_helo(
    client: str, helo: str, lookups: Lookups, *, deadline: float, now: float = 0.0, receiver: str = ""
) -> Spf:
    """The HELO identity (RFC 7208 §2.3): the name the client gave, as postmaster@ that name."""
    helo = _ascii(helo)
    return await check(
        client,
        helo,
        f"postmaster@{helo}",
        helo,
        lookups,
        identity="helo",
        deadline=deadline,
        now=now,
        receiver=receiver,
    )


async def check_return_path(
    client: str, return_path: str, helo: str, lookups: Lookups, *, deadline: float, now: float = 0.0, receiver: str = ""
) -> Spf:
    """The MAIL FROM identity (RFC 7208 §2.4); a null return path is checked as postmaster@HELO."""
    local, _, domain = return_path.rpartition("@")
    if not return_path:
        local, domain = "postmaster", helo
    domain = _ascii(domain)
    sender = f"{local or 'postmaster'}@{domain}"  # RFC 7208 §4.3: no local part counts as postmaster
    return await check(
        client, domain, sender, helo, lookups, identity="mailfrom", deadline=deadline, now=now, receiver=receiver
    )


async def check(
    client: str,
    domain: str,
    sender: str,
    helo: str,
    lookups: Lookups,
    *,
    identity: str = "mailfrom",
    deadline: float,
    now: float = 0.0,
    receiver: str = "",
) -> Spf:
    """check_host() of RFC 7208 §4 for an IP address. `deadline`: a moment of the running loop's clock, then temperror.

    `now` (seconds since 1970) and `receiver` (our host name) are for macros in explanations. Never raises.
    """
    try:
        ip = _client(client)
    except ValueError:
        return Spf("none", identity, domain, sender, reason=f"{client!r} is no IP address")
    if not _checkable(domain):
        return Spf("none", identity, domain, sender, reason=f"{domain!r} is no name that could publish a policy")
    who = Identity(ip, sender, helo, receiver, now)
    evaluation = Evaluation(who, lookups)
    mechanism = explanation = ""
    try:
        async with asyncio.timeout_at(deadline):
            result, mechanism, reason = await evaluation.host(domain.rstrip("."))
            if result == "fail":
                explanation = await evaluation.explanation()
    except Unfinished as end:
        result, reason = end.result, end.reason
    except TimeoutError:
        # RFC 7208 §4.6.4: a limit on the elapsed time; what it cuts off is a temperror
        if evaluation.verdict:
            result, mechanism, reason = evaluation.verdict  # only the explanation was late
        else:
            result, reason = "temperror", "the policy was not evaluated in time"
    return Spf(result, identity, domain, sender, mechanism, reason, explanation, evaluation.lookups)


def _ascii(domain: str) -> str:
    # RFC 8616 §4: U-labels are looked up and expanded as A-labels
    return domain if domain.isascii() else a_label(domain)


def _client(text: str) -> Ip:
    # RFC 7208 §5: an IPv4 address in IPv6 clothes is an IPv4 address
    ip = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ip


def _checkable(domain: str) -> bool:
    # RFC 7208 §4.3: malformed, a single label, a literal: none
    domain = domain.rstrip(".") if domain.endswith(".") and not domain.endswith("..") else domain
    return "." in domain and not domain.startswith("[") and question(domain) is not None
