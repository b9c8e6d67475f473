"""The tables of the file: what can be set of each part of the house."""

from __future__ import annotations

from dataclasses import dataclass

from posthouse.configuration.declaring import MIB, setting


@dataclass(frozen=True)
class Database:
    """Where everything but large message content is kept."""

    url: str = setting(
        "",
        "`sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST:PORT/NAME`. "
        "Empty: `posthouse.sqlite3` in the data directory.",
        "database-url",
    )


@dataclass(frozen=True)
class Reception:
    """Where mail arrives. Each listener is a list of ADDRESS:PORT; an empty list switches the listener off."""

    transfer: list[str] = setting(["127.0.0.1:2525", "[::1]:2525"], "SMTP from other hosts (port 25).", "listen")
    submission: list[str] = setting(["127.0.0.1:2587", "[::1]:2587"], "Submission with STARTTLS (port 587).", "listen")
    submissions: list[str] = setting([], "Submission with TLS from the first byte (port 465).", "listen")
    lmtp: list[str] = setting(["127.0.0.1:8024", "[::1]:8024"], "LMTP from an MTA in front of Posthouse.", "listen")
    relay_networks: list[str] = setting(
        [],
        "Networks (CIDR) whose hosts may send through us to anywhere without signing in. "
        "Empty: nobody, loopback included.",
        "networks",
    )
    relay_domains: list[str] = setting(
        [],
        "Domains we take mail for and pass on (backup MX); `.domain` means all names below it. Empty: none.",
        "domains",
    )
    primary_mx_here: bool = setting(
        False,
        "Domains whose best MX is this host (by name or address, never loopback) are ours, as if they were listed; "
        "addresses in them exist only where aliases or lists say so.",
    )
    soft_refusals: bool = setting(
        False,
        "Say 4yz instead of every 5yz, and keep what others refuse in the queue until it is too old: nothing is lost "
        "while a configuration is tried out. Not for production.",
    )
    banner: str = setting("Posthouse", "The word behind the host name in the greeting.")


@dataclass(frozen=True)
class Tls:
    """The certificate of the mail listeners. Files are read again by themselves when they change."""

    certificate: str = setting("", "Certificate chain in PEM. Empty: STARTTLS is not offered.", "path")
    key: str = setting("", "Its private key in PEM.", "path")


@dataclass(frozen=True)
class Delivery:
    """How mail leaves."""

    smarthost: str = setting("", "HOST:PORT that takes all outgoing mail. Empty: deliver to the MX hosts.", "host-port")
    port: int = setting(25, "Port of MX hosts.")
    messages_per_connection: int = setting(30, "Messages sent over one connection before it is closed.")
    connections_per_destination: int = setting(20, "Most connections to one destination at the same time.")
    recipients_per_transaction: int = setting(
        100, "Most recipients in one transaction when content and return path agree."
    )
    concurrency: int = setting(200, "Most connections to all destinations together.")
    ignore_targets: list[str] = setting(
        [
            "0.0.0.0/8", "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
            "::/128", "::1/128", "fe80::/10", "fec0::/10", "fc00::/7", "ff00::/8",
        ],
        "Networks that an MX record must not lead us to. Add `2000::/3` to leave out IPv6. A smarthost is exempt.",
        "networks",
    )  # fmt: skip
    tls: bool = setting(True, "Use STARTTLS whenever the other side offers it.")
    tls_exempt: list[str] = setting(
        [], "Networks of hosts that are sent to without TLS, although they offer it.", "networks"
    )
    give_up_after: int = setting(5 * 86400, "Seconds after which undelivered mail is returned.")
    warn_after: int = setting(4 * 3600, "Seconds after which the return path is told of a delay. 0: never.")


@dataclass(frozen=True)
class Dns:
    """Where names are looked up."""

    nameservers: list[str] = setting([], "ADDRESS:PORT of resolvers. Empty: those of the system.", "listen")
    timeout: float = setting(5.0, "Seconds for one question, all tries together.")
    trusted: bool = setting(
        False,
        "The nameservers validate DNSSEC and nobody can tamper with what they say on its way to us: their word that an "
        "answer is proven (AD, RFC 6840 §5.8) is believed and noted. For a resolver of yours on this machine.",
    )


@dataclass(frozen=True)
class Evidence:
    """Who sent what strangers hand us: SPF, DKIM, ARC, DMARC. It is written down; what follows of it says [policy].

    What was found out of a client, a return path and an author serves the next messages for a minute, never longer
    than the TTL of the records it rests on."""

    enabled: bool = setting(True, "Check mail on transfer, except from relay networks. Never in the trial.")
    deadline: float = setting(10.0, "Seconds behind the end of a message for all of it; later answers are temperror.")
    reverse: bool = setting(True, "Look up the client's name, both ways, for Received. Needs `enabled`.")


@dataclass(frozen=True)
class Web:
    """The site."""

    listen: list[str] = setting(["127.0.0.1:8000", "[::1]:8000"], "Where the site answers.", "listen")
    base_url: str = setting("http://localhost:8000", "The address people use, without a final slash.", "url")
    trusted_proxies: list[str] = setting([], "Networks whose X-Forwarded-* headers are believed.", "networks")
    threads: int = setting(
        1,
        "Threads of each web process. One is fastest; more help when many take large attachments. Archives are "
        "downloaded by up to four more, two for a network.",
    )
    deny_networks: list[str] = setting([], "Networks that get nothing but a short 403.", "networks")
    deny_paths: list[str] = setting(
        [],
        "Requests that get nothing but a short 403, by path and query: `*` is any text, `?` one character, `[a-z]` "
        'one of these. `["/wp-*", "*.php*"]`.',
        "glob",
    )
    deny_agents: list[str] = setting(
        [], "The same by the browser's or crawler's name (User-Agent), in any case: `[\"*BadBot*\"]`.", "glob"
    )
    costly_per_minute: int = setting(
        120,
        "How much a network (IPv4 /24, IPv6 /48) may ask in a minute of each web process while nobody is signed in: "
        "a search or the file of a conversation counts 1, that of a whole archive 10. Beyond: 429. 0: no bound.",
    )
    costly_exempt: list[str] = setting([], "Networks that may ask as much as they like.", "networks")


@dataclass(frozen=True)
class Limits:
    """Bounds of reception; each has a reply of its own."""

    message_size: int = setting(200 * MIB, "Most bytes of a message.")
    command_line: int = setting(512, "Most bytes of a command line; parameters of MAIL and RCPT may add 1,024.")
    content_line: int = setting(65536, "Most bytes of a line of content. 0: no limit.")
    header_size: int = setting(256 * 1024, "Most bytes of the header of a message.")
    header_count: int = setting(1000, "Most fields in the header of a message.")
    recipients: int = setting(1000, "Most recipients of a transaction (announced as RCPTMAX, RFC 9422).")
    hops: int = setting(50, "Most Received fields; more means a loop.")
    soft_errors: int = setting(10, "Refused commands after which answers are slowed down.")
    hard_errors: int = setting(20, "Refused commands after which the connection is closed.")
    unknown_commands: int = setting(10, "Unknown commands after which the connection is closed.")
    idle_seconds: float = setting(300.0, "Seconds a client may be silent between commands (RFC 5321 §4.5.3.2.7).")
    data_seconds: float = setting(300.0, "Seconds a client may be silent inside a message.")
    total_seconds: float = setting(7200.0, "Seconds a connection may last.")
    connections: int = setting(
        2000,
        "Most connections of a host at the same time, all reception processes together. Strangers, people who sign in, "
        "and our own hosts (relay networks, LMTP) have so many each.",
    )
    connections_per_address: int = setting(50, "Most connections of one client address to a host at the same time.")
    minimum_free_disk: int = setting(100 * MIB, "Bytes that must stay free on the disk; else mail is deferred (452).")


@dataclass(frozen=True)
class Maillog:
    """What is remembered of each message's life."""

    retention_days: int = setting(30, "Days that events are kept in the database.")
    stderr: bool = setting(True, "`serve` writes each event to standard error too.")


@dataclass(frozen=True)
class Processes:
    """How many processes `posthouse serve` starts for each role."""

    reception: int = setting(1, "Processes that receive mail (share the listeners).")
    delivery: int = setting(1, "Processes that deliver.")
    web: int = setting(2, "Processes that serve the site.")
