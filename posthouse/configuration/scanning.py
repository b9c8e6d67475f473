"""Programs that look at the content of mail: SpamAssassin, rspamd, ClamAV, and whatever speaks the milter protocol."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from posthouse.configuration.declaring import endpoint, setting

MOST_PATIENCE = 540
KINDS = ("spamd", "rspamd", "clamav", "milter")
LISTENERS = ("transfer", "submission", "submissions", "lmtp")
_CHOICES = {
    "kind": KINDS,
    "when_down": ("accept", "defer"),
    "larger": ("skip", "first_part"),
    "report": ("full", "symbols", "none"),
}


@dataclass(frozen=True)
class Scanner:
    """One scanner, `[scanners.NAME]`. They are asked in the order of the file; each sees what those before it added."""

    kind: str = setting("spamd", "`spamd` (SpamAssassin), `rspamd`, `clamav` (clamd) or `milter`.")
    servers: list[str] = setting(
        [], "Where it answers: ADDRESS:PORT or unix:/PATH, tried in turn. rspamd: its normal worker, port 11333."
    )
    connect_timeout: float = setting(5.0, "Seconds to reach one server before the next one is tried.")
    deadline: float = setting(
        60.0, "Seconds a server has for its answer about a message (a milter: for each of its answers)."
    )
    when_down: str = setting(
        "accept", "No server answers: `accept` the message unscanned, with a line in the log, or `defer` it (451)."
    )
    domains: list[str] = setting([], "Recipient domains whose mail is scanned. Empty: all.", "domains")
    listeners: list[str] = setting(
        ["transfer"],
        "Listeners whose mail is scanned: transfer, submission, submissions, lmtp (an MTA in front has looked already, "
        "and would have to bounce what we refuse).",
    )
    relay_networks: bool = setting(False, "Scan mail from relay networks too.")
    exempt_networks: list[str] = setting([], "Networks whose mail is not scanned.", "networks")
    scan_up_to: int = setting(
        0, "Octets; larger messages are not scanned. 0: 40,960 for spamd and rspamd, no bound for clamav and milter."
    )
    larger: str = setting(
        "skip", "What happens to larger messages: `skip` them, or scan the `first_part`. A milter sees all or nothing."
    )
    tag_at: float = setting(1.0, "Above this score X-Spam-Score and X-Spam-Report are added (tenths count).")
    refuse_at: float = setting(12.0, "Above this score the check `spam` of [policy] applies (tenths count).")
    report: str = setting(
        "full", "spamd: ask for the `full` report, the names of the rules (`symbols`), or `none` but the score."
    )
    per_user: bool = setting(
        False,
        "Scan by the recipient's own preferences. By SMTP recipients are taken in one transaction each (452 to the "
        "others); by LMTP, which has a reply for each, a message is scanned for each of up to ten of them, or for nine "
        "and once more by the site's preferences for all others.",
    )
    user: str = setting("", "spamd, rspamd: the user whose preferences apply when not `per_user`. Empty: its default.")
    password: str = setting("", "rspamd: the password it wants, if any.", "secret")

    @property
    def most(self) -> int:
        """Octets that are scanned at most; 0: all (D2: 40 KB for what reads text)."""
        return self.scan_up_to or (40 * 1024 if self.kind in ("spamd", "rspamd") else 0)

    @property
    def trusted(self) -> list[tuple[str, str]]:
        """(listener, role) of our own hosts and people whose mail it looks at (C7: only where that is asked for)."""
        roles = {"transfer": "relay" if self.relay_networks else "", "lmtp": "relay"}
        pairs = [(listener, roles.get(listener, "account")) for listener in self.listeners]
        return [pair for pair in pairs if pair[1]]


@dataclass(frozen=True)
class Scanning:
    """What all scanners share."""

    directory: str = setting(
        "scan",
        "Where large bodies that a milter replaced lie meanwhile; may be a tmpfs. The files have no names there: "
        "a crash leaves none behind. Relative: to the data directory.",
    )
    patience: float = setting(
        300.0,
        "Seconds that all scanners together have for one message; one that has not answered by then counts as down. "
        "A client waits 600 for the reply to its message (RFC 5321 §4.5.3.2.6), so at most 540.",
    )


def misused_scanning(scanning: Scanning) -> Iterator[tuple[tuple[str, ...], str]]:
    """(setting, rule) for everything in [scanning] that cannot be obeyed."""
    if not 0 < scanning.patience <= MOST_PATIENCE:
        yield ("scanning", "patience"), f"must be more than 0 and at most {MOST_PATIENCE}"


def misused_scanners(scanners: dict[str, Scanner]) -> Iterator[tuple[tuple[str, ...], str]]:
    """(setting, rule) for everything in [scanners] that cannot be obeyed."""
    for name, scanner in scanners.items():
        for choice, allowed in _CHOICES.items():
            if getattr(scanner, choice) not in allowed:
                yield ("scanners", name, choice), f"must be one of {', '.join(allowed)}"
        if not scanner.servers:
            yield ("scanners", name, "servers"), "must name at least one server"
        for server in scanner.servers:
            if not _reachable(server):
                yield ("scanners", name, "servers"), f"must be ADDRESS:PORT or unix:/PATH: {server!r}"
        for listener in scanner.listeners:
            if listener not in LISTENERS:
                yield ("scanners", name, "listeners"), f"must be among {', '.join(LISTENERS)}: {listener!r}"
        if scanner.kind == "milter" and scanner.larger == "first_part":
            yield ("scanners", name, "larger"), "must be skip for a milter: it may sign or replace what it sees"
        if scanner.refuse_at < scanner.tag_at:
            yield ("scanners", name, "refuse_at"), "must not be below tag_at"
        for seconds in ("connect_timeout", "deadline"):
            if not getattr(scanner, seconds) > 0:
                yield ("scanners", name, seconds), "must be more than 0"
        if re.search(r"[\s\x00-\x1f]", scanner.user):
            yield ("scanners", name, "user"), "must not hold spaces"


def _reachable(server: str) -> bool:
    if server.startswith("unix:"):
        return server.startswith("unix:/")
    try:
        return endpoint(server)[1] > 0
    except ValueError:
        return False
