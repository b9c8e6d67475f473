"""How many connections and how much of everything: the engine's bounds, and the doorkeeper who counts clients."""

from __future__ import annotations

import ipaddress

from posthouse import configuration
from posthouse.reception.crowd import Crowd
from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply
from posthouse.smtp.session import Limits

PARAMETERS = 1024  # octets that the parameters of MAIL and RCPT may add to a command line (RFC 3461 §4, RFC 1870 §3)

MOST_REMEMBERED = 10_000  # clients of which is remembered when they were told about in the log

TOLD_SECONDS = 10.0


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
    """Counts the connections of all listeners, and says no to too many. `crowd`: of the host's other processes."""

    def __init__(self, most: int, most_per_client: int, crowd: Crowd | None = None) -> None:
        self._most, self._most_per_client, self._crowd = most, most_per_client, crowd
        self._inside: dict[str, int] = {}
        self._told: dict[str, float] = {}
        self.count = 0

    def enter(self, key: str) -> Reply | None:
        """Let a client in (None) or say why not. `key` is from `client_key`. 0 as a bound means: no bound."""
        inside = self._inside.get(key, 0)
        of_client, of_all, crowd, slot = inside, self.count, self._crowd, 0
        if crowd is not None:
            slot = crowd.slot(key)
            elsewhere = crowd.elsewhere(slot)
            of_client, of_all = inside + elsewhere[0], self.count + elsewhere[1]
        if 0 < self._most <= of_all:
            return catalogue.SERVER_BUSY
        if 0 < self._most_per_client <= of_client:
            return catalogue.TOO_MANY_CONNECTIONS
        self._inside[key] = inside + 1
        self.count += 1
        if crowd is not None:
            crowd.change(slot, 1)
        return None

    def worth_telling(self, key: str, now: float) -> bool:
        """Whether the refusal of this client should be logged: once in TOLD_SECONDS, or a flood would fill the log."""
        if now - self._told.get(key, float("-inf")) < TOLD_SECONDS:
            return False
        if len(self._told) >= MOST_REMEMBERED:
            self._told.clear()
        self._told[key] = now
        return True

    def leave(self, key: str) -> None:
        """A client that was let in has gone."""
        self.count -= 1
        if self._crowd is not None:
            self._crowd.change(self._crowd.slot(key), -1)
        left = self._inside[key] - 1
        if left:
            self._inside[key] = left
        else:
            del self._inside[key]
