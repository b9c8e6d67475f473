"""The one file, posthouse.toml: every setting typed, documented where it is declared, checked when it is read."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import socket
import tomllib
import typing
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

MIB = 1024 * 1024
FILE_NAME = "posthouse.toml"


class ConfigurationError(Exception):
    """The configuration file cannot be obeyed; the text names the file, the line, the setting and the rule."""


def setting(default: Any, doc: str, kind: str = "") -> Any:
    """Declare a setting: its default, its documentation and, where the type says too little, the kind of its value."""
    metadata = {"doc": doc, "kind": kind}
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


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
    relay_domains: list[str] = setting([], "Domains we take mail for and pass on (backup MX). Empty: none.")
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
    give_up_after: int = setting(5 * 86400, "Seconds after which undelivered mail is returned.")
    warn_after: int = setting(4 * 3600, "Seconds after which the return path is told of a delay. 0: never.")


@dataclass(frozen=True)
class Dns:
    """Where names are looked up."""

    nameservers: list[str] = setting([], "ADDRESS:PORT of resolvers. Empty: those of the system.", "listen")
    timeout: float = setting(5.0, "Seconds for one question, all tries together.")


@dataclass(frozen=True)
class Evidence:
    """Who sent what strangers hand us: SPF, DKIM, ARC, DMARC. It is written down; nothing is refused for it."""

    enabled: bool = setting(True, "Check mail on transfer, except from relay networks. Never in the trial.")
    deadline: float = setting(10.0, "Seconds behind the end of a message for all of it; later answers are temperror.")
    reverse: bool = setting(True, "Look up the client's name, both ways, for Received. Needs `enabled`.")


@dataclass(frozen=True)
class Web:
    """The site."""

    listen: list[str] = setting(["127.0.0.1:8000", "[::1]:8000"], "Where the site answers.", "listen")
    base_url: str = setting("http://localhost:8000", "The address people use, without a final slash.", "url")
    trusted_proxies: list[str] = setting([], "Networks whose X-Forwarded-* headers are believed.", "networks")
    threads: int = setting(1, "Threads of each web process. One is fastest; more help when many take large downloads.")


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
    connections: int = setting(2000, "Most connections at the same time.")
    connections_per_address: int = setting(50, "Most connections of one client address at the same time.")
    minimum_free_disk: int = setting(100 * MIB, "Bytes that must stay free on the disk; else mail is deferred (452).")


@dataclass(frozen=True)
class Maillog:
    """What is remembered of each message's life."""

    retention_days: int = setting(30, "Days that events are kept in the database.")
    stderr: bool = setting(True, "Write each event to standard error too.")


@dataclass(frozen=True)
class Processes:
    """How many processes `posthouse serve` starts for each role."""

    reception: int = setting(1, "Processes that receive mail (share the listeners).")
    delivery: int = setting(1, "Processes that deliver.")
    web: int = setting(2, "Processes that serve the site.")


@dataclass(frozen=True)
class Configuration:
    """All settings. Relative paths are taken from the directory of the file."""

    data_directory: str = setting("var", "Directory for the database, large messages and run-time files.", "path")
    hostname: str = setting(
        "", "Our name in greetings, EHLO and Received. Empty: the machine's full name. It should resolve, both ways."
    )
    user: str = setting("", "User to become after the listeners are bound, when started as root.")
    trial: bool = setting(
        False, "Trial mode: nothing leaves the machine; mail for elsewhere is kept for /trial/outbox."
    )
    database: Database = field(default_factory=Database)
    reception: Reception = field(default_factory=Reception)
    tls: Tls = field(default_factory=Tls)
    delivery: Delivery = field(default_factory=Delivery)
    dns: Dns = field(default_factory=Dns)
    evidence: Evidence = field(default_factory=Evidence)
    web: Web = field(default_factory=Web)
    limits: Limits = field(default_factory=Limits)
    maillog: Maillog = field(default_factory=Maillog)
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
    def database_url(self) -> str:
        """The database's URL, with the default filled in."""
        return self.database.url or f"sqlite:///{self.data / 'posthouse.sqlite3'}"


def endpoint(text: str) -> tuple[str, int]:
    """Split `ADDRESS:PORT` or `[V6]:PORT`. Raises ValueError naming the rule."""
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([^:\[\]]+)):(\d{1,5})", text.strip())
    if not match:
        raise ValueError("must be ADDRESS:PORT, an IPv6 address in brackets")
    port = int(match[3])
    if port > 65535:
        raise ValueError("the port must be at most 65535")
    return match[1] or match[2], port


def find(explicit: str | None = None) -> Path | None:
    """The file to read: --config, POSTHOUSE_CONFIG, the working directory (or the trial's `var` in it), /etc/posthouse.

    None where there is none.

    Raises ConfigurationError when a file was named and does not exist.
    """
    named = explicit or os.environ.get("POSTHOUSE_CONFIG")
    if named:
        if not Path(named).is_file():
            raise ConfigurationError(f"{named}: no such file; create it or name another with --config")
        return Path(named)
    for place in (Path.cwd() / FILE_NAME, Path.cwd() / "var" / FILE_NAME, Path("/etc/posthouse") / FILE_NAME):
        if place.is_file():
            return place
    return None


def load(path: Path | None) -> Configuration:
    """Read and check a file; None gives the defaults. Raises ConfigurationError with every complaint, a line each."""
    if path is None:
        return Configuration()
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: is not TOML: {error}") from error
    values.setdefault("data_directory", Configuration.data_directory)  # the default, too, is relative to the file
    reader = _Reader(path, text)
    result = reader.section(Configuration, values, ())
    if not reader.complaints:
        reader.together(result)
    if reader.complaints:
        raise ConfigurationError("\n".join(reader.complaints))
    return typing.cast(Configuration, result)


def describe(configuration: Configuration) -> str:
    """Every setting that is in force, as TOML with its documentation; the password of a database URL is hidden."""
    lines: list[str] = []
    tables: list[tuple[str, Any]] = [("", configuration)]
    for table, section in tables:
        if table:
            lines += ["", f"[{table}]"]
        for item in fields(section):
            value = getattr(section, item.name)
            if is_dataclass(value):
                tables.append((item.name, value))
                continue
            lines.append(f"# {item.metadata['doc']}")
            lines.append(f"{item.name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, str):
        return json.dumps(re.sub(r"(://[^:/@]+:)[^@]*@", r"\1***@", value), ensure_ascii=False)
    return str(value)


_active: Configuration | None = None


def activate(configuration: Configuration) -> None:
    """Make `configuration` the one this process runs with. Must happen before Django's settings are used."""
    global _active
    _active = configuration


def active() -> Configuration:
    """The configuration this process runs with; found and read when nobody activated one."""
    global _active
    if _active is None:
        _active = load(find())
    return _active


class _Reader:
    """Turns the parsed TOML into dataclasses and collects complaints with their lines."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.lines, self.complaints = path, text.splitlines(), list[str]()

    def complain(self, keys: tuple[str, ...], rule: str) -> None:
        self.complaints.append(f"{self.path}, line {self.line(keys)}: {'.'.join(keys)} {rule}")

    def line(self, keys: tuple[str, ...]) -> int:
        """The line a key stands on: tomllib does not tell, so look for it below its table's heading."""
        table = ""
        for number, line in enumerate(self.lines, 1):
            heading = re.match(r"\s*\[\s*([\w.\-\" ]+?)\s*\]\s*(#.*)?$", line)
            if heading:
                table = heading[1].replace('"', "").replace(" ", "")
                if table == ".".join(keys):
                    return number
                continue
            key = re.match(r"\s*([\w.\-\"]+)\s*=", line)
            if key:
                full = f"{table}.{key[1]}" if table else key[1]
                if full.replace('"', "") == ".".join(keys):
                    return number
        return 1

    def section(self, kind: type[Any], values: dict[str, Any], above: tuple[str, ...]) -> Any:
        """One table as its dataclass."""
        known = {item.name: item for item in fields(kind)}
        hints = typing.get_type_hints(kind)
        given: dict[str, Any] = {}
        for name, value in values.items():
            keys = (*above, name)
            if name not in known:
                self.complain(keys, f"is not a setting; known here: {', '.join(sorted(known))}")
            elif is_dataclass(hints[name]):
                if isinstance(value, dict):
                    given[name] = self.section(typing.cast("type[Any]", hints[name]), value, keys)
                else:
                    self.complain(keys, f"must be a table: [{'.'.join(keys)}]")
            else:
                given[name] = self.value(keys, hints[name], known[name].metadata.get("kind", ""), value)
        return kind(**given)

    def value(self, keys: tuple[str, ...], hint: Any, kind: str, value: Any) -> Any:
        """One value, checked for type and kind; paths are made absolute."""
        if hint is float and type(value) is int:
            value = float(value)
        if hint == list[str]:
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                self.complain(keys, 'must be a list of strings: ["...", "..."]')
                return []
        elif type(value) is not hint:
            self.complain(keys, f"must be {_NAMES[hint]}, not {value!r}")
            return value
        elif hint in (int, float) and value < 0:
            self.complain(keys, "must not be negative")
        for item in value if isinstance(value, list) else [value]:
            try:
                _check(kind, item)
            except ValueError as error:
                self.complain(keys, f"{error}: {item!r}")
        if kind == "path" and value:
            return str((self.path.parent / os.path.expanduser(value)).resolve())
        if kind == "database-url" and value.startswith("sqlite:///"):
            return f"sqlite:///{(self.path.parent / value.removeprefix('sqlite:///')).resolve()}"
        if kind == "url":
            return value.rstrip("/")
        return value

    def together(self, configuration: Configuration) -> None:
        """Rules about several settings."""
        tls = configuration.tls
        if bool(tls.certificate) != bool(tls.key):
            self.complain(("tls", "certificate" if tls.certificate else "key"), "needs both certificate and key")
        for name in ("certificate", "key"):
            path = getattr(tls, name)
            if path and not Path(path).is_file():
                self.complain(("tls", name), f"names a file that does not exist: {path}")
        if configuration.reception.submissions and not tls.certificate and not configuration.trial:
            self.complain(("reception", "submissions"), "needs [tls] certificate and key")
        if configuration.limits.hard_errors < configuration.limits.soft_errors:
            self.complain(("limits", "hard_errors"), "must not be below soft_errors")


_NAMES: dict[Any, str] = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}


def _check(kind: str, value: Any) -> None:
    """Raise ValueError with the rule that a value of this kind breaks."""
    if kind == "listen" or (kind == "host-port" and value):
        endpoint(value)
    elif kind == "networks":
        try:
            ipaddress.ip_network(value)
        except ValueError:
            raise ValueError("must be networks in CIDR form, host bits zero, like 192.0.2.0/24") from None
    elif kind == "url":
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError("must be an address that begins with http:// or https://")
    elif kind == "database-url" and value and not re.match(r"(sqlite:///.|postgres(ql)?://.)", value):
        raise ValueError("must begin with sqlite:/// or postgresql://")
