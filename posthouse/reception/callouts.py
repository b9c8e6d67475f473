"""What other hosts say of addresses: return paths (callouts, courteous and rare), and recipients we would pass on.

Every answer is remembered for a while, by all hosts; who asks the same at the same time shares one question. Nothing
here raises: what cannot be found out is "unknown".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from posthouse.address import AddressError, mailboxes, parse
from posthouse.configuration import Configuration
from posthouse.configuration.leaving import next_hop_of
from posthouse.database import Bridge, Unavailable
from posthouse.dns.cache import Cache
from posthouse.dns.lookups import Lookups
from posthouse.encounters.verification import DOMAIN, RECIPIENT, SENDER
from posthouse.message.envelope import NULL_RETURN_PATH
from posthouse.message.headers import Fields
from posthouse.reception.asking import Heard, Target, ask, leave
from posthouse.reception.heard import Remembered
from posthouse.reception.policy.facts import Verified
from posthouse.reception.policy.question import takes_reports
from posthouse.reception.ways import NoHost, Ways
from posthouse.smtp.reply import Reply

_log = logging.getLogger(__name__)
YES, NO, UNKNOWN = "yes", "no", "unknown"
ANYTHING, CLOSED = "anything", "closed"  # what is known of a domain
UNKNOWN_KEPT = 60  # seconds until an address whose host said "later", or did not answer, is asked about again
DOWN_KEPT = 30  # seconds until a next hop that did not answer is dialled again
MOST_HOSTS = 10_000  # whose questions are counted
MOST_AUTHORS = 5  # of one message that are asked about

Found = tuple[str, str]  # an answer with its words


class Callouts:
    """For all connections of one process. `clock`: seconds since 1970; `random` gives 0 <= x < 1; `ours` tells whether
    mail for a domain (A-labels) stays with us or is relayed by us."""

    def __init__(
        self,
        configuration: Configuration,
        lookups: Lookups,
        bridge: Bridge,
        clock: Callable[[], float],
        random: Callable[[], float],
        ours: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._callout, self._verification = configuration.callout, configuration.verification
        self._smarthost, self._next_hops = bool(configuration.delivery.smarthost), configuration.next_hops
        self._clock, self._random, self._ours = clock, random, ours
        self._ways = Ways(configuration, lookups, random)
        self._heard = Remembered(bridge, clock)
        self._rates = Rates(self._callout.per_minute, clock)
        self._down: Cache[str, str] = Cache(MOST_HOSTS, clock)
        self._return_path = self._verification.return_path or f"postmaster@{configuration.host}"
        self._senders = asyncio.Semaphore(max(1, self._callout.connections))
        self._recipients = asyncio.Semaphore(max(1, self._verification.connections))
        self._asking: dict[tuple[str, str], asyncio.Task[Found]] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    async def sender(self, address: str, recipient: str) -> Verified:
        """Whether a return path exists, by asking its host with the null return path (a callout).

        "no" only for a definite answer about that address; whatever is temporary, or about us, is "unknown". Never for
        the null return path, for our own domains, or when the recipient takes reports (`NAME-bounces`).
        """
        if address == NULL_RETURN_PATH:
            return Verified(address, UNKNOWN, "not asked: the null return path")
        if takes_reports(recipient):
            return Verified(address, UNKNOWN, "not asked: reports must always get through")
        try:
            wanted = parse(address)
            if await self._ours(wanted.domain):
                return Verified(address, UNKNOWN, "not asked: the domain is ours")
            return await self._of_sender(str(wanted), wanted.domain, address)
        except AddressError as error:
            return Verified(address, UNKNOWN, f"not asked: {error.rule}")
        except Unavailable as error:
            return Verified(address, UNKNOWN, f"not asked: {error}")
        except Exception:
            _log.exception("A callout failed for a fault of ours")
            return Verified(address, UNKNOWN, "it could not be asked")

    async def authors(self, header: bytes, recipients: Sequence[str]) -> tuple[Verified, ...]:
        """The same for the authors in From of a message's header, unless all recipients take reports."""
        people = [one for one in recipients if not takes_reports(one)]
        if not people:
            return ()
        found = dict.fromkeys(address for value in Fields(header).all("from") for _, address in mailboxes(value))
        asked = [one for one in found if "@" in one][:MOST_AUTHORS]
        return tuple(await asyncio.gather(*(self.sender(one, people[0]) for one in asked)))

    async def recipient(self, address: str, next_hop: str) -> Verified:
        """Whether the host that we pass mail for the domain `next_hop` on to takes this recipient.

        "no": it refuses it. "unknown": it cannot be asked, and as `verification.when_down` has it the recipient is not
        taken for granted.
        """
        if self._smarthost and next_hop_of(next_hop, self._next_hops) is None:
            # Its MX may not be reachable from here at all, and the smarthost takes whatever we pass on.
            return Verified(address, YES, "its mail goes to the smarthost, which knows nothing of it")
        try:
            return await self._of_recipient(str(parse(address)), next_hop, address)
        except AddressError as error:
            return Verified(address, UNKNOWN, error.rule)
        except Exception:
            _log.exception("A recipient was not verified for a fault of ours")
            return Verified(address, UNKNOWN, "it could not be asked")

    async def flush(self) -> None:
        """Write what was heard. Never raises; call it every second."""
        await self._heard.flush()

    def forget(self) -> None:
        """Read everything anew: an operator forgot something."""
        self._heard.forget()
        self._down.forget()

    async def close(self) -> None:
        """Ask nothing more, and write what was heard."""
        for task in [*self._asking.values(), *self._leaving]:
            task.cancel()
        await self._heard.flush()

    # -- return paths ---------------------------------------------------------------------------------------------

    async def _of_sender(self, wanted: str, domain: str, address: str) -> Verified:
        known = await self._heard.of((SENDER, wanted), (DOMAIN, domain))
        found = known.get((SENDER, wanted))
        if found is not None:
            return Verified(address, found.answer, found.reply, cached=True)
        found = known.get((DOMAIN, domain))
        if found is not None:
            return Verified(address, YES if found.answer == ANYTHING else UNKNOWN, found.reply, cached=True)
        answer, words = await self._shared((SENDER, wanted), self._ask_sender(wanted, domain))
        return Verified(address, answer, words)

    async def _ask_sender(self, wanted: str, domain: str) -> Found:
        settings = self._callout
        if self._senders.locked():  # hosts that keep us waiting must not keep others from sending here
            return UNKNOWN, "not asked: enough questions are under way"
        try:
            async with asyncio.timeout(settings.total_seconds), self._senders:
                targets = await self._ways.of_sender(domain)
                return await self._callout_to(targets, wanted, domain)
        except NoHost as error:
            if error.certain:  # the DNS remembers it, and nothing was asked of anybody
                return NO, str(error)
            return self._unknown(wanted, str(error))
        except TimeoutError:
            return self._unknown(wanted, f"no host answered within {settings.total_seconds:g} s")

    async def _callout_to(self, targets: list[Target], wanted: str, domain: str) -> Found:
        settings, words = self._callout, ""
        for target in targets:
            if not self._rates.take(target.host):
                # Not remembered: nothing was heard, and a moment later it may be asked.
                return UNKNOWN, f"not asked: {target.host} was asked often enough in this minute"
            made_up = f"{int(self._random() * 2**52):x}-nobody@{domain}" if settings.random else ""
            heard = await self._question(target, settings.step_seconds, NULL_RETURN_PATH, wanted, made_up)
            words = heard.words(target)
            reply = heard.reply
            if heard.made_up is not None and heard.made_up.positive:
                words = f"{target} says yes to any address"
                self._heard.keep(DOMAIN, domain, ANYTHING, words, settings.anything_seconds)
                return YES, words
            if reply is None or reply.temporary:
                if heard.stage == "rcpt":
                    break  # it knows the address, and what it says of it is "later"
                continue
            if heard.stage == "rcpt" and reply.positive:
                self._heard.keep(SENDER, wanted, YES, words, settings.positive_seconds)
                return YES, words
            if heard.stage == "rcpt" and about_the_address(reply):
                self._heard.keep(SENDER, wanted, NO, words, settings.negative_seconds)
                return NO, words
            # It refuses us or the null return path, not the address: that is no reason to refuse its mail, and asking
            # again would not be kind.
            self._heard.keep(DOMAIN, domain, CLOSED, words, settings.closed_seconds)
            return UNKNOWN, words
        return self._unknown(wanted, words)

    def _unknown(self, wanted: str, words: str) -> Found:
        self._heard.keep(SENDER, wanted, UNKNOWN, words, UNKNOWN_KEPT, shared=False)
        return UNKNOWN, words

    # -- recipients -----------------------------------------------------------------------------------------------

    async def _of_recipient(self, wanted: str, next_hop: str, address: str) -> Verified:
        settings, whom = self._verification, f"{wanted} {next_hop}"
        found = (await self._heard.of((RECIPIENT, whom))).get((RECIPIENT, whom))
        if found is not None:
            age = int(self._clock() * 1000) - found.asked_at
            if found.answer != YES or age < settings.positive_seconds * 1000:
                return Verified(address, found.answer, found.reply, cached=True)
        down = self._down.get(next_hop)
        if down is not None:
            answer, words = UNKNOWN, down
        else:
            asked = self._ask_recipient(wanted, next_hop, found is not None)
            answer, words = await self._shared((RECIPIENT, whom), asked)
        if answer == UNKNOWN and found is not None and settings.when_down != "defer":
            return Verified(address, YES, f"{found.reply}; it cannot be asked now: {words}", cached=True)
        return Verified(address, answer, words)

    async def _ask_recipient(self, wanted: str, next_hop: str, known: bool) -> Found:
        settings, whom, words = self._verification, f"{wanted} {next_hop}", ""
        try:
            async with asyncio.timeout(settings.total_seconds):
                await self._recipients.acquire()
        except TimeoutError:  # nobody was asked, so nothing is known of that host
            return UNKNOWN, "too many other questions are under way"
        try:
            async with asyncio.timeout(settings.total_seconds):
                for target in await self._ways.of_recipient(next_hop):
                    heard = await self._question(target, settings.step_seconds, self._return_path, wanted)
                    words = heard.words(target)
                    if heard.stage != "rcpt" or heard.reply is None:
                        continue
                    if heard.reply.positive:
                        self._heard.keep(RECIPIENT, whom, YES, words, settings.known_seconds)
                        return YES, words
                    if heard.reply.permanent:  # whatever its reason: it would not take the mail (E16)
                        self._heard.keep(RECIPIENT, whom, NO, words, settings.negative_seconds, shared=known)
                        return NO, words
                    return UNKNOWN, words
        except NoHost as error:
            words = str(error)
        except TimeoutError:
            words = f"it did not answer within {settings.total_seconds:g} s"
        finally:
            self._recipients.release()
        self._down.keep(next_hop, words, DOWN_KEPT)
        return UNKNOWN, words

    # -- asking ---------------------------------------------------------------------------------------------------

    async def _question(self, target: Target, step: float, return_path: str, wanted: str, made_up: str = "") -> Heard:
        heard, client = await ask(target, step, return_path, wanted, made_up)
        goodbye = asyncio.get_running_loop().create_task(leave(client))
        self._leaving.add(goodbye)
        goodbye.add_done_callback(self._leaving.discard)
        return heard

    async def _shared(self, key: tuple[str, str], asked: Coroutine[Any, Any, Found]) -> Found:
        """The answer to a question that others may be waiting for too; it goes on when all of them have gone."""
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.get_running_loop().create_task(asked)
            task.add_done_callback(lambda done: self._answered(key, done))
        else:
            asked.close()
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                return UNKNOWN, "this host is closing"
            raise

    def _answered(self, key: tuple[str, str], task: asyncio.Task[Found]) -> None:
        self._asking.pop(key, None)
        if not task.cancelled():
            task.exception()


def about_the_address(reply: Reply) -> bool:
    """Whether a 5yz to RCPT says that the address does not exist (RFC 3463 §3.2, §3.3), rather than that the host does
    not want us, the null return path, or mail like this."""
    if not reply.permanent:
        return False
    _, _, status = reply.enhanced.partition(".")
    if status and not status.startswith("0."):
        return status in ("1.1", "1.2", "1.3", "1.4", "1.6", "1.10", "2.1", "4.4", "4.6")
    return reply.code in (550, 551, 553, 556)  # RFC 5321 §4.2.2, RFC 7504 §3.1


class Rates:
    """So many questions to each host in a minute, and no more: each waits for its share of it. `clock`: seconds."""

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._most, self._clock = per_minute, clock
        self._hosts: Cache[str, tuple[float, float]] = Cache(MOST_HOSTS, clock)  # what is left, and when

    def take(self, host: str) -> bool:
        """Whether one more may be asked now."""
        now = self._clock()
        left, since = self._hosts.get(host) or (float(self._most), now)
        left = min(float(self._most), left + (now - since) * self._most / 60)
        taken = left >= 1
        self._hosts.keep(host, (left - 1 if taken else left, now), 120)
        return taken
