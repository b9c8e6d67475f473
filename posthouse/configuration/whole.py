"""All settings together, and what follows from them."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from pathlib import Path

from posthouse.configuration.declaring import expanded, setting
from posthouse.configuration.door import Flood, Greylist
from posthouse.configuration.front import Service
from posthouse.configuration.leaving import Bulk, NextHop
from posthouse.configuration.lookups import Lookup
from posthouse.configuration.news import Nntp
from posthouse.configuration.outsiders import Callout, DnsList, Verification
from posthouse.configuration.policy import Policy
from posthouse.configuration.routing import Pipes, Routing
from posthouse.configuration.scanning import Scanner, Scanning
from posthouse.configuration.sections import (
    Database,
    Delivery,
    Dns,
    Evidence,
    Limits,
    Maillog,
    Processes,
    Reception,
    Tls,
    Web,
)


@dataclass(frozen=True)
class Configuration:
    """All settings. Relative paths are taken from the directory of the file."""

    data_directory: str = setting("var", "Directory for the database, large messages and run-time files.", "path")
    hostname: str = setting(
        "", "Our name in greetings, EHLO and Received. Empty: the machine's full name. It should resolve, both ways."
    )
    origin: str = setting(
        "", "The domain that our own reports come from (mailer-daemon@), often the parent domain. Empty: our name."
    )
    user: str = setting("", "User to become after the listeners are bound, when started as root.")
    trial: bool = setting(
        False, "Trial mode: nothing leaves the machine; mail for elsewhere is kept for /trial/outbox."
    )
    networks: dict[str, list[str]] = setting(
        {},
        'Named lists of networks: `internal = ["10.0.0.0/8", "@other"]`. '
        "Wherever networks are listed, `@internal` stands for all of them.",
        "networks",
    )
    domains: dict[str, list[str]] = setting(
        {},
        'Named lists of domains: `partners = ["example.org", ".example.org", "@other"]`; '
        "a leading dot means every name below. Wherever domains are listed, `@partners` stands for all of them.",
        "domains",
    )
    database: Database = field(default_factory=Database)
    reception: Reception = field(default_factory=Reception)
    routing: Routing = field(default_factory=Routing)
    lookups: dict[str, Lookup] = setting({}, "Databases of others that know addresses of ours.")
    pipes: Pipes = field(default_factory=Pipes)
    service: Service = field(default_factory=Service)
    tls: Tls = field(default_factory=Tls)
    delivery: Delivery = field(default_factory=Delivery)
    next_hops: dict[str, NextHop] = setting({}, "Where mail for some domains goes, instead of their MX hosts.")
    bulk: dict[str, Bulk] = setting({}, "Mail that leaves by an address of its own.")
    dns: Dns = field(default_factory=Dns)
    evidence: Evidence = field(default_factory=Evidence)
    policy: Policy = field(default_factory=Policy)
    greylist: Greylist = field(default_factory=Greylist)
    flood: Flood = field(default_factory=Flood)
    dns_lists: dict[str, DnsList] = setting({}, "DNS lists of clients or of sender domains.")
    callout: Callout = field(default_factory=Callout)
    verification: Verification = field(default_factory=Verification)
    scanning: Scanning = field(default_factory=Scanning)
    scanners: dict[str, Scanner] = setting({}, "Programs that look at content, asked in this order.")
    web: Web = field(default_factory=Web)
    limits: Limits = field(default_factory=Limits)
    maillog: Maillog = field(default_factory=Maillog)
    nntp: Nntp = field(default_factory=Nntp)
    processes: Processes = field(default_factory=Processes)

    @property
    def data(self) -> Path:
        """The data directory."""
        return Path(self.data_directory)

    @property
    def host(self) -> str:
        """Our name, never empty."""
        return self.hostname or socket.getfqdn()

    @property
    def sending_domain(self) -> str:
        """The domain our own reports come from."""
        return self.origin or self.host

    @property
    def database_url(self) -> str:
        """The database's URL, with the default filled in."""
        return self.database.url or f"sqlite:///{self.data / 'posthouse.sqlite3'}"

    def hosts(self, entries: list[str]) -> list[str]:
        """A list of networks with every `@NAME` replaced by what it stands for."""
        return expanded(entries, self.networks)

    def names(self, entries: list[str]) -> list[str]:
        """A list of domains with every `@NAME` replaced by what it stands for."""
        return expanded(entries, self.domains)
