"""Ways out that the operator chose: fixed next hops by domain, and bulk mail that leaves by an address of its own."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from posthouse.configuration.declaring import setting

if TYPE_CHECKING:
    from posthouse.configuration.whole import Configuration

OFFERED, VERIFIED, NEVER = "offered", "verified", "never"  # TLS towards a next hop
ORIGINS = ("list", "transfer", "inside", "submission", "lmtp", "report", "notice")
LMTP_PORT = 24  # RFC 2033 §5 wants another one than 25; this is the one that is registered for it
_EVERYBODY = "*"


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of a list of hosts. `port` is 0 where it names none; `mx`: `name` is a domain whose MX hosts are
    meant. A UNIX socket has its path for a name."""

    name: str
    port: int = 0
    mx: bool = False


@dataclass(frozen=True)
class NextHop:
    """Where mail for a domain goes, however its MX says: `[next_hops."a.example"]`, `".a.example"` for every name
    below it, `"*"` for all others. The longest fit wins. Addresses that are ours are never asked for here."""

    hosts: list[str] = setting(
        [],
        "Tried in this order: `[192.0.2.1]` or `[mail.a.example]:2525` (that host, no MX lookup), `a.example` (the MX "
        "hosts of that domain), `/path` (a UNIX socket, LMTP alone). Empty: the MX hosts of the recipient's domain.",
        "next-hops",
    )
    fallback: list[str] = setting([], "Tried when none of the others can be reached; written the same.", "next-hops")
    port: int = setting(0, "Port where a host names none. 0: `port` of [delivery], 24 with `lmtp`.")
    lmtp: bool = setting(False, "Speak LMTP (RFC 2033): each recipient gets an answer of its own.")
    tls: str = setting(
        OFFERED,
        "`offered`: STARTTLS when it is offered, whoever's certificate it is; `verified`: mail waits until there is "
        "TLS with a certificate for the host that is written here; `never`.",
        "next-hop-tls",
    )
    tls_from_start: bool = setting(False, "TLS from the first byte (port 465) instead of STARTTLS.")
    authorities: str = setting("", "Certificates (PEM) to verify with. Empty: those of the system.", "path")
    user: str = setting("", "Name to sign in with (AUTH PLAIN); needs `tls` verified. Empty: nobody signs in.")
    password: str = setting("", "Its password.", "secret")
    source: list[str] = setting(
        [], "Our own address to send from, one of each family; a family without one is not used.", "addresses"
    )
    hello: str = setting("", "Our name in EHLO. Empty: `hostname`.")
    connections: int = setting(0, "Most connections at the same time. 0: as [delivery] says.")


@dataclass(frozen=True)
class Bulk:
    """Mail that leaves by an address of its own, so that a block of that address leaves other mail alone. It is known
    by both of `origins` and `return_paths`. Domains whose next hop is written down by name get theirs as always."""

    origins: list[str] = setting(
        ["list"], f"Where it came from, some of: {', '.join(f'`{one}`' for one in ORIGINS)} "
        "(`inside`: a listener of `inside_addresses`).", "origins",
    )  # fmt: skip
    return_paths: list[str] = setting(["*"], "Envelope senders; `*` stands for anything: `*-bounces@lists.example`.")
    source: list[str] = setting(
        [], "Our own address to send from, one of each family; a family without one is not used.", "addresses"
    )
    hello: str = setting("", "Our name in EHLO. Empty: `hostname`.")
    connections: int = setting(0, "Most connections to one destination. 0: as [delivery] says.")


def place(text: str) -> Place:
    """Read one entry of `hosts`. Raises ValueError with the rule that it breaks."""
    if text.startswith("/"):
        return Place(text)
    literal = re.fullmatch(r"\[(?:IPv6:)?([^\[\]\s]+)\](?::(\d{1,5}))?", text, re.IGNORECASE)
    domain = re.fullmatch(r"([^\s\[\]:/@]+)(?::(\d{1,5}))?", text)
    match = literal or domain
    if match is None or int(match[2] or 0) > 65535:
        raise ValueError("must be [ADDRESS], [HOST]:PORT, DOMAIN (its MX hosts) or the /path of a UNIX socket")
    return Place(match[1].lower().rstrip("."), int(match[2] or 0), literal is None)


def next_hop_of(domain: str, next_hops: Mapping[str, NextHop]) -> tuple[str, NextHop] | None:
    """The entry for a domain (A-labels, lower case) with its key: itself, else the nearest `.parent`, else `*`."""
    if domain in next_hops:
        return domain, next_hops[domain]
    rest = domain
    while not domain.startswith("[") and "." in rest:
        rest = rest.partition(".")[2]
        if f".{rest}" in next_hops:
            return f".{rest}", next_hops[f".{rest}"]
    return (_EVERYBODY, next_hops[_EVERYBODY]) if _EVERYBODY in next_hops else None


def check_leaving(kind: str, value: str) -> None:
    """Raise ValueError with the rule that a value of these kinds breaks."""
    if kind == "next-hops":
        place(value)
    elif kind == "next-hop-tls" and value not in (OFFERED, VERIFIED, NEVER):
        raise ValueError(f"must be one of {OFFERED}, {VERIFIED}, {NEVER}")
    elif kind == "origins" and value not in ORIGINS:
        raise ValueError(f"must be some of {', '.join(ORIGINS)}")
    elif kind == "addresses":
        try:
            ipaddress.ip_address(value)
        except ValueError:
            raise ValueError("must be an IP address") from None


def contradictions(configuration: Configuration) -> Iterator[tuple[tuple[str, ...], str]]:
    """(setting, rule) for what the ways out say against each other."""
    for name, hop in configuration.next_hops.items():
        table = ("next_hops", name)
        if name != _EVERYBODY and not re.fullmatch(r"\.?[^\s@:/*]+", name):
            yield table, 'must be a domain, a domain behind a dot, or "*"'
        if name == _EVERYBODY and configuration.delivery.smarthost and hop.hosts:
            yield (*table, "hosts"), "and [delivery] smarthost say the same thing twice; keep one"
        if not hop.lmtp and any(one.startswith("/") for one in (*hop.hosts, *hop.fallback)):
            yield (*table, "lmtp"), "must be true for a UNIX socket"
        if hop.tls_from_start and hop.tls == NEVER:
            yield (*table, "tls"), "and tls_from_start contradict each other"
        if hop.authorities and (rule := _unreadable(hop.authorities)):
            yield (*table, "authorities"), rule
        if hop.user and hop.tls != VERIFIED:
            yield (*table, "user"), 'needs tls = "verified", or the password would go to whoever listens'
        yield from (((*table, "source"), rule) for rule in _sources(hop.source))
    for name, bulk in configuration.bulk.items():
        yield from ((("bulk", name, "source"), rule) for rule in _sources(bulk.source))


def _unreadable(path: str) -> str:
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:  # ssl.SSLError is one
        return f"names a file that cannot be used: {path}: {error.strerror or error}"
    return ""


def _sources(addresses: list[str]) -> Iterator[str]:
    families = [":" in address for address in addresses]
    if len(families) != len(set(families)):
        yield "must have at most one address of each family"
