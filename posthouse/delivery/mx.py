"""What is dialled: the addresses of a domain's mail hosts with a port, or the reason why there are none."""

from __future__ import annotations

from dataclasses import dataclass

from posthouse.delivery import trouble
from posthouse.delivery.trouble import Trouble
from posthouse.dns.mail_hosts import MailHosts, NoMailHost

MOST_TARGETS = 6  # addresses that one attempt may dial


class NoTargets(Exception):
    """There is no host to try; `trouble` says what that means."""

    def __init__(self, meaning: Trouble) -> None:
        super().__init__(meaning.reason)
        self.trouble = meaning


@dataclass(frozen=True, slots=True)
class Target:
    """One address to dial, or the path of a UNIX socket; `host` is the name it was found by (itself for a literal)."""

    host: str
    address: str
    port: int

    def __str__(self) -> str:
        if self.address.startswith("/"):
            return self.address
        literal = f"[{self.address}]:{self.port}"
        return literal if self.host == self.address else f"{self.host}{literal}"


@dataclass(frozen=True)
class Finder:
    """Finds targets."""

    hosts: MailHosts
    port: int = 25

    async def targets(self, domain: str) -> list[Target]:
        """The targets of a domain (A-labels) or an address literal, best first. Raises NoTargets."""
        try:
            found = await self.hosts.of(domain)
        except NoMailHost as error:
            raise NoTargets(trouble.of_no_mail_host(domain, error)) from None
        return [Target(one.host, one.address, self.port) for one in found[:MOST_TARGETS]]
