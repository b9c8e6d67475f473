"""One evaluation of SPF policies (RFC 7208 §4.6 to §7): includes, redirects and the limits they share."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

import dns.name
import dns.reversename

from posthouse.authenticity import spf_macros, spf_record
from posthouse.authenticity.names import below, question
from posthouse.authenticity.spf_macros import Expansion, MacroError
from posthouse.authenticity.spf_record import Directive, Record, RecordError
from posthouse.dns.lookups import LookupFailure, Lookups, NoAnswer, NoSuchName, TemporaryFailure

__all__ = ["Evaluation", "Identity", "Ip", "Unfinished"]

MOST_LOOKUPS = 10  # terms that ask the DNS, RFC 7208 §4.6.4
MOST_VOID = 2  # of them that find nothing
MOST_HOSTS = 10  # names of one mx or ptr whose addresses are asked for
MOST_EXPLANATION = 400  # characters that fit a reply

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
Verdict = tuple[str, str, str]  # result, the term that decided, a sentence


class Unfinished(Exception):
    """The evaluation ends here: permerror or temperror, with a sentence."""

    def __init__(self, result: str, reason: str) -> None:
        super().__init__(reason)
        self.result, self.reason = result, reason


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is asked about: the client, the sender with local part, the HELO name; and who asks, when."""

    ip: Ip
    sender: str
    helo: str
    receiver: str
    now: float


class Evaluation:
    """check_host() with the limits of one message's check. Use it once."""

    def __init__(self, who: Identity, lookups: Lookups) -> None:
        self._who, self._dns = who, lookups
        self._kind = "A" if who.ip.version == 4 else "AAAA"
        self._number = int(who.ip)
        self._width = who.ip.max_prefixlen
        self.lookups = 0
        self._void = 0
        self._validated: list[str] | None = None
        self._explained: tuple[Expansion, str] | None = None
        self.verdict: Verdict | None = None

    async def host(self, domain: str) -> Verdict:
        """The result for a domain. Raises Unfinished."""
        record = await self._record(domain)
        if record is None:
            self.verdict = ("none", "", f"{domain} publishes no SPF policy")
        else:
            self.verdict = await self._follow(record, domain)
        return self.verdict

    async def _follow(self, record: Record, domain: str) -> Verdict:
        """A record and those it redirects to (RFC 7208 §6.1)."""
        while True:
            verdict = await self._directives(record, domain)
            if verdict is not None:
                # RFC 7208 §6.2: the explanation of the record that decided: an include's is overwritten here
                self._explained = (record.explanation, domain) if record.explanation else None
                return verdict
            if record.redirect is None:
                return "neutral", "", f"no term of {domain}'s policy matched"  # RFC 7208 §4.7
            self._count("redirect")
            target = spf_macros.shorten(await self._expand(record.redirect, domain))
            following = await self._record(target)
            if following is None:
                raise Unfinished("permerror", f"{domain} redirects to {target!r}, which has no policy")
            record, domain = following, target

    async def _directives(self, record: Record, domain: str) -> Verdict | None:
        for directive in record.directives:
            if directive.asks:
                self._count(directive.text)
            if await self._matches(directive, domain):
                return directive.result, directive.text, f"{directive.text} of {domain} matched"
        return None

    async def _matches(self, directive: Directive, domain: str) -> bool:
        kind = directive.mechanism
        if kind == "all":
            return True
        if kind in ("ip4", "ip6"):
            bits = directive.bits4 if kind == "ip4" else directive.bits6
            return (self._width == 32) == (kind == "ip4") and self._near(directive.network, bits)
        target = domain
        if directive.domain is not None:
            target = spf_macros.shorten(await self._expand(directive.domain, domain))
        if kind == "include":
            return await self._include(target, domain)
        if kind == "ptr":
            return any(below(name, target.lower()) for name in await self._names())
        if kind == "exists":
            return bool(await self._ask(target, "A", counts=True))  # RFC 7208 §5.7: A, also over IPv6
        bits = directive.bits4 if self._width == 32 else directive.bits6
        if kind == "a":
            return self._near_any(await self._ask(target, self._kind, counts=True), bits)
        return await self._mx(target, bits)

    async def _include(self, target: str, domain: str) -> bool:
        """RFC 7208 §5.2: only a pass matches."""
        record = await self._record(target)
        if record is None:
            raise Unfinished("permerror", f"{domain} includes {target!r}, which has no policy")
        result, _, _ = await self._follow(record, target)
        return result == "pass"

    async def _mx(self, target: str, bits: int) -> bool:
        hosts = await self._ask(target, "MX", counts=True)
        if len(hosts) > MOST_HOSTS:
            raise Unfinished("permerror", f"{target} has more than {MOST_HOSTS} MX hosts")  # RFC 7208 §4.6.4
        for host in hosts:
            if host.exchange == dns.name.root:
                continue  # a null MX, RFC 7505
            if self._near_any(await self._ask_name(host.exchange, self._kind), bits):
                return True
        return False

    def _near_any(self, records: tuple[Any, ...], bits: int) -> bool:
        return any(self._near(int(ipaddress.ip_address(str(record.address))), bits) for record in records)

    def _near(self, network: int, bits: int) -> bool:
        return (self._number ^ network) >> (self._width - bits) == 0

    async def _names(self) -> list[str]:
        """The client's names that lead back to it (RFC 7208 §5.5); errors only mean fewer of them."""
        if self._validated is not None:
            return self._validated
        self._validated = []
        try:
            answer = await self._dns.ask(dns.reversename.from_address(str(self._who.ip)), "PTR")
        except LookupFailure:
            return self._validated
        for record in answer.records[:MOST_HOSTS]:
            try:
                addresses = await self._ask_name(record.target, self._kind)
            except Unfinished:
                continue
            if self._near_any(addresses, self._width):
                self._validated.append(record.target.to_text(omit_final_dot=True).lower())
        return self._validated

    async def _record(self, domain: str) -> Record | None:
        """The one SPF record of a name, None when there is none (RFC 7208 §4.4, §4.5)."""
        name = question(domain)
        if name is None:
            return None
        answers = await self._ask_name(name, "TXT")
        found = spf_record.select([b"".join(answer.strings) for answer in answers])
        if not found:
            return None
        if len(found) > 1:
            raise Unfinished("permerror", f"{domain} publishes {len(found)} SPF policies")
        try:
            return spf_record.parse(found[0])
        except RecordError as error:
            raise Unfinished("permerror", f"the policy of {domain} is not valid: {error}") from None

    async def _ask(self, target: str, kind: str, counts: bool) -> tuple[Any, ...]:
        name = question(target)
        if name is None:
            return ()  # RFC 7208 §4.8: a name that cannot exist matches nothing
        records = await self._ask_name(name, kind)
        if counts and not records:
            self._void += 1
            if self._void > MOST_VOID:
                raise Unfinished("permerror", f"more than {MOST_VOID} lookups of the policy found nothing")
        return records

    async def _ask_name(self, name: dns.name.Name, kind: str) -> tuple[Any, ...]:
        try:
            return (await self._dns.ask(name, kind)).records
        except (NoSuchName, NoAnswer):
            return ()
        except TemporaryFailure as error:
            raise Unfinished("temperror", str(error)) from None

    def _count(self, term: str) -> None:
        self.lookups += 1
        if self.lookups > MOST_LOOKUPS:
            raise Unfinished("permerror", f"the policy needs more than {MOST_LOOKUPS} lookups (at {term})")

    async def explanation(self) -> str:
        """The domain's words for a fail (RFC 7208 §6.2): printable ASCII, bounded; "" for anything else."""
        if self._explained is None:
            return ""
        pieces, domain = self._explained
        try:
            name = question(spf_macros.shorten(await self._expand(pieces, domain)))
            answers = await self._ask_name(name, "TXT") if name else ()
            if len(answers) != 1:
                return ""
            raw = b"".join(answers[0].strings).decode("ascii")
            text = await self._expand(spf_macros.read(raw, spf_macros.IN_EXPLANATION), domain)
        except (Unfinished, MacroError, UnicodeDecodeError):
            return ""
        return text[:MOST_EXPLANATION] if text.isascii() and text.isprintable() else ""

    async def _expand(self, pieces: Expansion, domain: str) -> str:
        if len(pieces) == 1 and isinstance(pieces[0], str):
            return pieces[0]

        async def value_of(letter: str) -> str:
            return await self._name_for(domain) if letter == "p" else self._value(letter, domain)

        return await spf_macros.expand(pieces, value_of)

    async def _name_for(self, domain: str) -> str:
        """The p macro (RFC 7208 §7.3): the domain itself, else a name below it, else any; "unknown" for none."""
        names = await self._names()
        wanted = domain.lower()
        if wanted in names:
            return wanted
        return next((name for name in names if below(name, wanted)), names[0] if names else "unknown")

    def _value(self, letter: str, domain: str) -> str:
        who = self._who
        if letter == "s":
            return who.sender
        if letter == "l":
            return who.sender.rpartition("@")[0]
        if letter == "o":
            return who.sender.rpartition("@")[2]
        if letter == "d":
            return domain
        if letter == "i":
            return str(who.ip) if self._width == 32 else ".".join(f"{self._number:032X}")
        if letter == "v":
            return "in-addr" if self._width == 32 else "ip6"
        if letter == "h":
            return who.helo
        if letter == "c":
            return str(who.ip)
        return who.receiver or "unknown" if letter == "r" else str(int(who.now))
