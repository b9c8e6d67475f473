"""What a check is, and the settings it compares with, ready to be looked up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from posthouse import configuration
from posthouse.address import AddressError, key_of, normal_domain
from posthouse.dns.networks import Networks
from posthouse.reception.policy.facts import Facts
from posthouse.smtp.reply import Reply

CONNECT, RCPT, CONTENT = "connect", "rcpt", "content"  # when a check is answered
STRANGER, RELAY, ACCOUNT = "stranger", "relay", "account"  # roles of a visit


class Rules:
    """The settings that checks compare with, ready to be looked up. Built once."""

    def __init__(
        self,
        policy: configuration.Policy,
        host: str,
        hosts: Callable[[list[str]], list[str]] = list,
        relays: bool = True,
        unverified: bool = False,
        scanned: Collection[tuple[str, str]] = (),
        names: Callable[[list[str]], list[str]] = list,
    ) -> None:
        """`hosts` and `names` expand `@NAME` of networks and domains; `relays`: mail is passed on for somebody;
        `unverified`: also for recipients that cannot be verified now; `scanned`: (listener, role) of visits whose
        mail a scanner was told to look at."""
        self.host = host.lower().rstrip(".")
        self.blocked = Networks(hosts(policy.blocked_networks))
        self.inside_addresses = frozenset(policy.inside_addresses)
        self.inside = Networks(hosts(policy.inside_networks))
        self.client_listed_at, self.domain_listed_at = policy.dns_lists_at, policy.domain_lists_at
        self.bad_standing = policy.bad_standing
        self._sealers = frozenset(_normal(entry) for entry in names(policy.trusted_sealers))
        self.senders = frozenset(_normal(entry) for entry in policy.blocked_senders)
        named = {
            "blocked": policy.blocked_networks,
            "inside_only": self.inside_addresses,
            "blocked_sender": self.senders,
        }
        idle = {name for name, entries in named.items() if not entries}  # they can never hold
        self.idle = frozenset(idle if relays else idle | {"recipient"})
        self.unverified = unverified
        self.scanned = frozenset(scanned)

    def trusts_sealer(self, domain: str) -> bool:
        """Whether what this domain says of a message that it sealed (ARC) is believed."""
        return domain in self._sealers or any(f".{above}" in self._sealers for above in names_above(domain))


Judge = Callable[[Facts, Rules, str], str | None]


@dataclass(frozen=True, slots=True)
class Check:
    """One question. `judge(facts, rules, recipient)` is pure and gives the reason why it holds, None where it does
    not. `name` is the field of `configuration.Policy` with its mode; `needs` names what must be gathered first (see
    `reception.gathering`); `meets` the roles that meet it; `words` the reply where it is
    somebody else's; `told`: the reason is said in the reply."""

    name: str
    stage: str
    judge: Judge
    refuse: Reply
    defer: Reply
    needs: tuple[str, ...] = ()
    meets: frozenset[str] = frozenset((STRANGER,))
    words: Callable[[Facts, str], Reply | None] | None = None
    told: bool = True

    def reply(self, mode: str, reason: str, facts: Facts, recipient: str) -> Reply:
        """What is said for `mode` (defer or refuse)."""
        if self.words is not None:
            said = self.words(facts, recipient)
            if said is not None:
                return said.softened() if mode == "defer" else said
        base = self.defer if mode == "defer" else self.refuse
        return base.with_text(f"{base.text}: {reason}"[:400]) if self.told else base


def takes_reports(recipient: str) -> bool:
    """Whether an address is there for reports, which even broken hosts must be able to send: `NAME-bounces`, with or
    without what stands behind a `+`."""
    return recipient.rpartition("@")[0].lower().partition("+")[0].endswith("-bounces")


def address_key(address: str) -> str:
    """What an address is compared by; one that is no address stands for itself."""
    try:
        return key_of(address)
    except AddressError:
        return address.lower()


def _normal(entry: str) -> str:
    """An entry of `blocked_senders` as it is looked up."""
    if "@" in entry:
        return address_key(entry)
    dot = "." if entry.startswith(".") else ""
    return dot + a_labels(entry.removeprefix("."))


def names_above(domain: str) -> Iterator[str]:
    """Every name that a domain stands under, the nearest first."""
    while "." in domain:
        domain = domain.partition(".")[2]
        yield domain


def a_labels(domain: str) -> str:
    """A domain as it is compared."""
    try:
        return normal_domain(domain)
    except AddressError:
        return domain.lower()
