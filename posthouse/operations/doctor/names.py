"""What the DNS says of this host and its domains: addresses of both families, their names, MX records."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

import dns.name

from posthouse.configuration import Configuration, endpoint
from posthouse.dns.lookups import LookupFailure, Lookups, NoSuchName, TemporaryFailure, absolute
from posthouse.dns.networks import has_address
from posthouse.operations.doctor.finding import GOOD, NOTE, UNKNOWN, WRONG, Finding

MOST_DOMAINS = 1000
FAMILIES = {"IPv4": "A", "IPv6": "AAAA"}
_ANYWHERE = {"IPv4": "0.0.0.0:25", "IPv6": "[::]:25"}

T = TypeVar("T")
Heard = tuple[T | None, LookupFailure | None]


@dataclass(frozen=True)
class Said:
    """What the DNS said: addresses by family, names by address, MX host names by domain; or why it did not."""

    addresses: dict[str, Heard[list[str]]]
    names: dict[str, Heard[list[str]]]
    mail_hosts: dict[str, Heard[list[str]]]


async def ask(host: str, domains: Collection[str], lookups: Lookups) -> Said:
    """Ask the DNS about our name and at most MOST_DOMAINS domains. Never raises for what it says."""
    found = await asyncio.gather(*(_heard(_addresses(_question(host), kind, lookups)) for kind in FAMILIES.values()))
    addresses = dict(zip(FAMILIES, found, strict=True))
    known = [address for some, _ in found for address in some or ()]
    names = await asyncio.gather(*(_heard(lookups.ptr(address)) for address in known))
    ours = list(domains)[:MOST_DOMAINS]
    hosts = await asyncio.gather(*(_heard(_mx(domain, lookups)) for domain in ours))
    return Said(addresses, dict(zip(known, names, strict=True)), dict(zip(ours, hosts, strict=True)))


def judge(configuration: Configuration, said: Said) -> list[Finding]:
    """What that means for this configuration."""
    host = configuration.host.lower().rstrip(".")
    found = [_family(configuration, host, family, *said.addresses[family]) for family in FAMILIES]
    for address, (names, failure) in said.names.items():
        found.append(_reverse(host, address, names, failure))
        if not has_address(address):
            sentence = f"This machine does not have {address} itself."
            found.append(
                Finding("address-elsewhere", NOTE, sentence, "Right behind a router that translates addresses.")
            )
    found += [_domain(host, domain, *heard) for domain, heard in said.mail_hosts.items()]
    return found


def _family(
    configuration: Configuration, host: str, family: str, found: Sequence[str] | None, failure: LookupFailure | None
) -> Finding:
    kind, name = FAMILIES[family], f"host-{family.lower()}"
    if isinstance(failure, TemporaryFailure):
        return Finding(name, UNKNOWN, f"The {kind} records of {host} could not be looked up: {failure}.")
    listeners = [endpoint(text)[0] for text in configuration.reception.transfer]
    of_family = [one for one in listeners if (":" in one) == (family == "IPv6")]
    listens = any(one in (found or ()) or not ipaddress.ip_address(one).is_loopback for one in of_family)
    if found:
        told = f"{host} has the {family} address {', '.join(found)}"
        if listens or not listeners:
            return Finding(name, GOOD, f"{told}.")
        hint = f'Add "{_ANYWHERE[family]}" to [reception] transfer, or take the {kind} record out of the DNS.'
        return Finding(name, WRONG, f"{told}, and no listener for mail from other hosts takes {family}.", hint)
    if listens:
        hint = f"Publish an {kind} record for {host}, or take {family} out of [reception] transfer."
        return Finding(name, WRONG, f"{host} has no {family} address, and a listener waits for {family}.", hint)
    if family == "IPv4":
        return Finding(
            name, WRONG, f"{host} has no {family} address.", f"Publish an A record for {host}: most need it."
        )
    return Finding(name, NOTE, f"{host} has no {family} address, and no listener waits for it.")


def _reverse(host: str, address: str, names: Sequence[str] | None, failure: LookupFailure | None) -> Finding:
    ip = ipaddress.ip_address(address)
    if not ip.is_global:
        return Finding("reverse-name", NOTE, f"{address} is not reached from the Internet.")
    if isinstance(failure, TemporaryFailure):
        return Finding("reverse-name", UNKNOWN, f"The name of {address} could not be looked up: {failure}.")
    if names and host in names:
        return Finding("reverse-name", GOOD, f"The name of {address} is {host}.")
    known = f"is {', '.join(names)}, not {host}" if names else "is not published"
    hint = "Many hosts refuse mail from it: whoever gave you the address publishes its PTR record."
    return Finding("reverse-name", WRONG, f"The name of {address} {known}.", hint)


def _domain(host: str, domain: str, hosts: Sequence[str] | None, failure: LookupFailure | None) -> Finding:
    if isinstance(failure, TemporaryFailure):
        return Finding("domain-mx", UNKNOWN, f"The MX records of {domain} could not be looked up: {failure}.")
    if hosts and host in hosts:
        return Finding("domain-mx", GOOD, f"Mail for {domain} is led to {host}.")
    if hosts:
        hint = "Right where these hand its mail to us."
        return Finding("domain-mx", NOTE, f"Mail for {domain} is led to {', '.join(hosts)}, not to {host}.", hint)
    return Finding("domain-mx", WRONG, f"{domain} has no MX record.", f"Publish: {domain}. MX 10 {host}.")


async def _addresses(name: dns.name.Name, kind: str, lookups: Lookups) -> list[str]:
    return [str(record.address) for record in (await lookups.ask(name, kind)).records]


async def _mx(domain: str, lookups: Lookups) -> list[str]:
    return [one.name or "." for one in sorted(await lookups.mx(domain), key=lambda one: one.preference)]


async def _heard(question: Awaitable[T]) -> Heard[T]:
    try:
        return await question, None
    except LookupFailure as error:
        return None, error


def _question(host: str) -> dns.name.Name:
    """Our name as a question; one that breaks the rules for names has no records."""
    try:
        return absolute(host)
    except NoSuchName:
        return dns.name.from_text("invalid.")
