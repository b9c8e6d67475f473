"""How many connections and how much of everything: the engine's bounds, and the doorkeeper who counts clients."""

from __future__ import annotations

import ipaddress
import resource

from posthouse import configuration
from posthouse.reception.crowd import Crowd
from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply
from posthouse.smtp.session import Limits

PARAMETERS = 1024  # octets that the parameters of MAIL and RCPT may add to a command line (RFC 3461 §4, RFC 1870 §3)

MOST_REMEMBERED = 10_000  # clients of which is remembered when they were told about in the log

TOLD_SECONDS = 10.0
GROUPS = {"stranger": 0, "account": 1, "relay": 2}  # roles that are counted apart
OTHER_FILES = 512  # of a process: its databases, logs, listeners, messages on their way, questions to other hosts


def engine_limits(limits: configuration.Limits, soft_refusals: bool = False) -> Limits:
    """The configured bounds as the engine wants them."""
    return Limits(
        message_size=limits.message_size,
        command_line=limits.command_line + PARAMETERS,
        content_line=limits.content_line,
        header_size=limits.header_size,
        header_count=limits.header_count,
        recipients=limits.recipients,
        soft_errors=limits.soft_errors,
        hard_errors=limits.hard_errors,
        unknown_commands=limits.unknown_commands,
        idle_seconds=limits.idle_seconds,
        data_seconds=limits.data_seconds,
        total_seconds=limits.total_seconds,
        soft_refusals=soft_refusals,
    )


def client_key(address: str) -> str:
    """What is counted as one client: an IPv4 address, or the /64 of an IPv6 address (one client has all of it)."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{ipaddress.IPv6Address(int(parsed) >> 64 << 64)}/64"


class Doorkeeper:
    """Counts the connections of all listeners, and says no to too many. `crowd`: of the host's other processes.

    Strangers, people who sign in and our own hosts are counted apart and have `most` each: however many strangers sit
    there, they keep neither those who submit mail out, nor the mail server in front.
    """

    def __init__(self, most: int, most_per_client: int, crowd: Crowd | None = None) -> None:
        self._most, self._most_per_client, self._crowd = most, most_per_client, crowd
        self._inside: dict[str, int] = {}
        self._told: dict[str, float] = {}
        self._groups = [0] * len(GROUPS)

    @property
    def count(self) -> int:
        """How many are inside here."""
        return sum(self._groups)

    def enter(self, key: str, role: str = "stranger") -> Reply | None:
        """Let a client in (None) or say why not. `key` is from `client_key`. 0 as a bound means: no bound."""
        inside, group = self._inside.get(key, 0), GROUPS[role]
        of_client, of_group, crowd, slot = inside, self._groups[group], self._crowd, 0
        if crowd is not None:
            slot = crowd.slot(key)
            elsewhere = crowd.elsewhere(slot, group)
            of_client, of_group = inside + elsewhere[0], of_group + elsewhere[1]
        if 0 < self._most <= of_group:
            return catalogue.SERVER_BUSY
        if 0 < self._most_per_client <= of_client:
            return catalogue.TOO_MANY_CONNECTIONS
        self._inside[key] = inside + 1
        self._groups[group] += 1
        if crowd is not None:
            crowd.change(slot, 1, group)
        return None

    def worth_telling(self, key: str, now: float) -> bool:
        """Whether the refusal of this client should be logged: once in TOLD_SECONDS, or a flood would fill the log."""
        if now - self._told.get(key, float("-inf")) < TOLD_SECONDS:
            return False
        if len(self._told) >= MOST_REMEMBERED:
            self._told.clear()
        self._told[key] = now
        return True

    def leave(self, key: str, role: str = "stranger") -> None:
        """A client that was let in with this role has gone."""
        group = GROUPS[role]
        self._groups[group] -= 1
        if self._crowd is not None:
            self._crowd.change(self._crowd.slot(key), -1, group)
        left = self._inside[key] - 1
        if left:
            self._inside[key] = left
        else:
            del self._inside[key]


def make_room(connections: int) -> int:
    """Let this process have so many connections of each group open: many systems begin with 1,024 files in all.

    Returns how many files it may have open now, as far as the system lets it.
    """
    wanted = len(GROUPS) * connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= allowed:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    except (OSError, ValueError):
        return soft
    return allowed
