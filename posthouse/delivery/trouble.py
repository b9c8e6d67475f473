"""What every failure means: one reply or exception at one stage becomes one Trouble. Pure; nothing else decides this.

Read `of_reply` from top to bottom: the first line that fits wins.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from enum import Enum

from posthouse.dns.lookups import LookupFailure, TemporaryFailure
from posthouse.dns.mail_hosts import NoMailHost, Why
from posthouse.queue.outcome import DEFERRED, FAILED
from posthouse.smtp.reply import MalformedReply, Reply

MOST_REASON = 500  # characters of a reason that are kept


class Stage(Enum):
    """Where in a delivery something went wrong."""

    LOOKUP = "looking up the domain"
    CONNECT = "connecting"
    GREETING = "greeting"
    HELLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL FROM"
    RCPT = "RCPT TO"
    DATA = "DATA"
    FINAL = "end of data"


class Scope(Enum):
    """What a failure is about."""

    RECIPIENT = "recipient"
    TRANSACTION = "transaction"
    HOST = "host"  # nothing more can be sent to this host now
    DESTINATION = "destination"  # nor to any other host of the destination


@dataclass(frozen=True, slots=True)
class Trouble:
    """The meaning of a failure.

    `result` holds when nothing else is tried. `try_next_host`: another host of the destination may do better now.
    `at_once`: the same host will take it in another transaction now.
    """

    result: str
    scope: Scope
    reason: str
    status: str  # RFC 3463
    try_next_host: bool = False
    at_once: bool = False


# RFC 3463: these say that the message or its return path is wrong, whichever host one asks.
_ABOUT_THE_MESSAGE = ("5.1.7", "5.1.8", "5.2.3", "5.3.4", "5.5.4", "5.6.")
_DEFAULT_STATUS = {
    Stage.LOOKUP: "4.3",
    Stage.CONNECT: "4.1",
    Stage.GREETING: "3.0",
    Stage.HELLO: "3.0",
    Stage.STARTTLS: "7.5",
    Stage.AUTH: "7.8",
    Stage.MAIL: "0.0",
    Stage.RCPT: "1.0",
    Stage.DATA: "0.0",
    Stage.FINAL: "0.0",
}


def of_reply(stage: Stage, reply: Reply, *, others_accepted: bool = False) -> Trouble:
    """What a 4yz or 5yz reply means. `others_accepted`: recipients of the same transaction were accepted before."""
    reason = short(f"{stage.value}: {reply}")
    status = status_of(stage, reply)
    if reply.code == 421:  # RFC 5321 §3.8: the host closes the connection, whatever was asked
        return Trouble(DEFERRED, Scope.HOST, reason, status, try_next_host=True)
    match stage:
        case Stage.GREETING if reply.code == 521:  # RFC 7504 §3: this host never takes mail; another one may
            return Trouble(FAILED, Scope.HOST, reason, status, try_next_host=True)
        case Stage.GREETING | Stage.HELLO | Stage.CONNECT | Stage.AUTH:
            # Also 5yz: it is this host's opinion of us, not a verdict on the message, and often mended within hours.
            return Trouble(DEFERRED, Scope.HOST, reason, _soft(status), try_next_host=True)
        case Stage.STARTTLS:  # offered and then refused: opportunistic encryption goes on without (RFC 7435 §3)
            return Trouble(DEFERRED, Scope.HOST, reason, _soft(status), at_once=True)
        case Stage.MAIL if reply.permanent:
            about_message = status.startswith(_ABOUT_THE_MESSAGE) or reply.code == 552
            return Trouble(FAILED, Scope.TRANSACTION, reason, status, try_next_host=not about_message)
        case Stage.MAIL:
            return Trouble(DEFERRED, Scope.TRANSACTION, reason, status, try_next_host=True)
        case Stage.RCPT if reply.code == 452 and others_accepted and status in ("4.5.3", "4.1.0"):
            # RFC 5321 §4.5.3.1.10: too many recipients; the rest goes in another transaction
            return Trouble(DEFERRED, Scope.RECIPIENT, reason, status, at_once=True)
        case Stage.RCPT if reply.code == 552 and (status in ("5.5.3", "5.1.0")):
            # RFC 5321 §4.5.3.1.10: the old spelling of 452, to be read as temporary
            return Trouble(DEFERRED, Scope.RECIPIENT, reason, _soft(status), at_once=others_accepted)
        case Stage.RCPT if reply.permanent:
            return Trouble(FAILED, Scope.RECIPIENT, reason, status)
        case Stage.RCPT:
            return Trouble(DEFERRED, Scope.RECIPIENT, reason, status, try_next_host=status.startswith("4.3."))
        case _ if reply.permanent:  # DATA and the final dot: about this message
            return Trouble(FAILED, Scope.TRANSACTION, reason, status)
        case _:
            return Trouble(DEFERRED, Scope.TRANSACTION, reason, status, try_next_host=status.startswith("4.3."))


def of_loss(reason: str, *, maybe_taken: bool) -> Trouble:
    """What it means that the connection ended before a recipient's last reply.

    `maybe_taken`: the end of the message was written and its reply never came (RFC 1047). The message may have been
    taken; sending it to another host at once would make a second copy likely, waiting makes it rarer.
    """
    if maybe_taken:
        note = "the message was sent whole but its reply never came: it may arrive twice"
        return Trouble(DEFERRED, Scope.TRANSACTION, short(f"{Stage.FINAL.value}: {reason} ({note})"), "4.4.2")
    return Trouble(DEFERRED, Scope.HOST, short(f"conversation: {reason}"), "4.4.2", try_next_host=True)


def of_exception(stage: Stage, error: BaseException) -> Trouble:
    """What an exception while a connection is made means."""
    words = short(f"{stage.value}: {_words(error)}")
    if isinstance(error, LookupFailure):
        return of_lookup(error)
    if isinstance(error, MalformedReply):
        return Trouble(DEFERRED, Scope.HOST, words, "4.5.0", try_next_host=True)
    if isinstance(error, ssl.SSLError) or stage is Stage.STARTTLS:
        # TLS that does not work is worth no more than none: the same host again, in the clear (RFC 7435 §3).
        return Trouble(DEFERRED, Scope.HOST, words, "4.7.5", try_next_host=True, at_once=True)
    status = "4.4.1" if stage is Stage.CONNECT else "4.4.2"
    return Trouble(DEFERRED, Scope.HOST, words, status, try_next_host=True)


def not_verified(host: str, words: str) -> Trouble:
    """A next hop that must prove who it is does not: the mail waits, it never goes in the clear."""
    return Trouble(DEFERRED, Scope.HOST, short(f"TLS of {host} is not verified: {words}"), "4.7.5", try_next_host=True)


def no_sign_in(host: str) -> Trouble:
    """A next hop that we should sign in to does not offer it."""
    return Trouble(DEFERRED, Scope.HOST, f"{host} offers no AUTH PLAIN, and [next_hops] has a user for it", "4.7.8")


def of_lookup(error: LookupFailure) -> Trouble:
    """What a failed DNS lookup of a destination means."""
    if isinstance(error, TemporaryFailure):
        return Trouble(DEFERRED, Scope.DESTINATION, short(f"DNS: {error}"), "4.4.3")
    return Trouble(FAILED, Scope.DESTINATION, short(f"DNS: {error}"), "5.1.2")  # RFC 5321 §5.1


def of_no_mail_host(domain: str, error: NoMailHost) -> Trouble:
    """What it means that no host can be dialled for a domain."""
    match error.why:
        case Why.LOOKUP:
            assert error.failure is not None
            return of_lookup(error.failure)
        case Why.NULL_MX:  # RFC 7505 §4.2
            return Trouble(FAILED, Scope.DESTINATION, f"{domain} takes no mail: its MX is null", "5.1.10")
        case Why.LOOPS_BACK:  # RFC 5321 §5.1: the best mail host of a domain that is not ours is this host itself
            where = f"its MX leads to {error.names}, and {domain} is not one of ours"
            reason = f"mail for {domain} loops back to this host: {where}"
            return Trouble(FAILED, Scope.DESTINATION, short(reason), "5.4.6")
        case Why.NO_ADDRESS:
            return Trouble(FAILED, Scope.DESTINATION, short(str(error)), "5.4.4")
        case Why.FORBIDDEN:
            reason = f"every address of {domain} is in [delivery] ignore_targets: {error.names}"
            return Trouble(FAILED, Scope.DESTINATION, short(reason), "5.4.4")


def internal(error: Exception, scope: Scope = Scope.RECIPIENT) -> Trouble:
    """A fault of our own: logged where it happened, tried again later, for it may be mended by then."""
    return Trouble(DEFERRED, scope, short(f"internal error, logged: {type(error).__name__}: {error}"), "4.3.0")


def gave_up(trouble: Trouble, seconds: float) -> Trouble:
    """A deferral that has lasted too long; `seconds` since the message became ours. RFC 5321 §4.5.4.1."""
    reason = short(f"gave up after {_span(seconds)}: {trouble.reason}")
    return Trouble(FAILED, trouble.scope, reason, f"5{trouble.status[1:]}" if trouble.status else "5.4.7")


def status_of(stage: Stage, reply: Reply) -> str:
    """The enhanced status code (RFC 3463): the reply's own when it has one that agrees, else one for the stage."""
    kind = str(reply.code)[0]
    if reply.enhanced and reply.enhanced[0] == kind:
        return reply.enhanced
    return f"{kind}.{_DEFAULT_STATUS[stage]}"


def _soft(status: str) -> str:
    return f"4{status[1:]}"


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def short(text: str) -> str:
    """What somebody else said, as one line of bounded length."""
    flat = " ".join(text.split())
    return flat if len(flat) <= MOST_REASON else f"{flat[: MOST_REASON - 1]}…"


def _span(seconds: float) -> str:
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            number = round(seconds / size)
            return f"{number} {word}{'' if number == 1 else 's'}"
    return "less than a minute"
