"""Whether a DNS list can be believed: its self-check (RFC 5782 §5), over and over again, and what is said of it.

A list that lists everybody, nobody or nonsense, that does not want our questions or does not answer them is dead: it
is not asked, and nothing it said before counts, until it passes the check again.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

from posthouse import maillog
from posthouse.dns.codes import ERRORS, LISTS
from posthouse.dns.lookups import Answer, LookupFailure, Lookups, NoAnswer, NoSuchName, absolute

BELIEVED = 300.0  # seconds a passed check holds; it is repeated while the list goes on being asked
BELIEVED_FOR_A_HIT = 60.0  # a list that died by listing everybody must not refuse anybody for longer
AGAIN = 60.0  # seconds until a dead list is looked at again
MOST_FAILURES = 3  # questions without an answer, one after another, after which a list is dead

IPV4, IPV6, DOMAIN = "IPv4", "IPv6", "domain"
# RFC 5782 §5: (what every list has, what no list has)
TEST_ENTRIES = {
    IPV4: ("2.0.0.127", "1.0.0.127"),
    IPV6: tuple(
        ".".join(reversed(ipaddress.IPv6Address(f"::ffff:127.0.0.{last}").exploded.replace(":", ""))) for last in (2, 1)
    ),
    DOMAIN: ("TEST", "INVALID"),
}


class Dead(Exception):
    """The list said something that no list says; the text is what."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of a check. `part`: IPv4, IPv6 or domain; `reason`: a sentence, "" for a list that is well."""

    name: str
    zone: str
    part: str
    alive: bool
    reason: str


def codes_of(answer: Answer) -> list[ipaddress.IPv4Address]:
    """The codes in an answer. Raises Dead for what is no code (RFC 5782 §2.3, and the custom of 127.255.255.x)."""
    found = [ipaddress.IPv4Address(str(record.address)) for record in answer.records[:32]]
    for code in found:
        if code not in LISTS:
            raise Dead(f"it answers {code}, which is no code of a list: the domain may have another owner now")
        if code in ERRORS:
            raise Dead(f"it answers {code}: it does not want the questions of our nameserver")
    return found


class Health:
    """The health of one part of a list. `clock`: seconds since 1970."""

    def __init__(
        self, name: str, zone: str, part: str, test: str, lookups: Lookups, clock: Callable[[], float]
    ) -> None:
        self.name, self.zone, self.part = name, zone, part
        self._listed, self._unlisted = test or TEST_ENTRIES[part][0], TEST_ENTRIES[part][1]
        self._lookups, self._clock = lookups, clock
        self._alive: bool | None = None  # None: never checked
        self._checked = float("-inf")
        self._failures = 0
        self._checking: asyncio.Task[None] | None = None
        self.reason = ""

    async def ready(self) -> bool:
        """Whether it may be asked; waits for the very first check only. Repeats the check in the background."""
        age = self._clock() - self._checked
        if age >= (AGAIN if self._alive is False else BELIEVED):
            checking = self._begin()
            if self._alive is None:
                await asyncio.shield(checking)
        return bool(self._alive)

    async def confirmed(self) -> bool:
        """Whether it may be believed that it lists somebody: the check must be a fresh one."""
        if self._alive and self._clock() - self._checked >= BELIEVED_FOR_A_HIT:
            await asyncio.shield(self._begin())
        return bool(self._alive)

    def answered(self) -> None:
        """It answered a question."""
        self._failures = 0

    def failed(self, reason: str) -> None:
        """It did not answer a question."""
        self._failures += 1
        if self._failures >= MOST_FAILURES:
            self.died(f"it does not answer: {reason}")

    def died(self, reason: str) -> None:
        """It is not to be believed until it passes the check again."""
        self._conclude(reason)

    async def check(self) -> Checked:
        """The check, now."""
        await asyncio.shield(self._begin())
        return Checked(self.name, self.zone, self.part, bool(self._alive), self.reason)

    def close(self) -> None:
        """End a check that is under way."""
        if self._checking is not None:
            self._checking.cancel()

    def _begin(self) -> asyncio.Task[None]:
        if self._checking is None:
            self._checking = asyncio.get_running_loop().create_task(self._check())
            self._checking.add_done_callback(self._over)
        return self._checking

    def _over(self, task: asyncio.Task[None]) -> None:
        self._checking = None
        if not task.cancelled():
            task.exception()

    async def _check(self) -> None:
        listed, unlisted = await asyncio.gather(self._look(self._listed), self._look(self._unlisted))
        if isinstance(listed, str) or isinstance(unlisted, str):
            self._conclude(listed if isinstance(listed, str) else str(unlisted))
        elif unlisted:
            self._conclude(f"it lists {self._unlisted}, which no list may: it lists everybody (RFC 5782 section 5)")
        elif not listed:
            self._conclude(f"it does not list {self._listed}, which every list must (RFC 5782 section 5)")
        else:
            self._conclude("")

    async def _look(self, entry: str) -> bool | str:
        """Whether an entry is listed; or why that cannot be known."""
        try:
            return bool(codes_of(await self._lookups.ask(absolute(f"{entry}.{self.zone}"), "A")))
        except (NoSuchName, NoAnswer):
            return False
        except Dead as dead:
            return str(dead)
        except LookupFailure as error:
            return f"it does not answer: {error}"

    def _conclude(self, reason: str) -> None:
        """Remember how it is, and tell it when that is news."""
        was, self._alive, self._checked = self._alive, not reason, self._clock()
        self._failures, self.reason = 0, reason
        if was is self._alive or (was is None and self._alive):
            return
        maillog.dns_list(int(self._clock() * 1000), self.name, f"{self.zone} ({self.part})", self._alive, reason)
