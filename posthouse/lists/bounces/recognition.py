"""What a message to -bounces says: whose address failed and how badly, or why it says nothing of the kind. Pure."""

from __future__ import annotations

import email
import email.policy
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass

from posthouse.address import AddressError, key_of, mailboxes
from posthouse.lists.manners import auto_submitted, is_answer_of_machine
from posthouse.message.headers import Fields
from posthouse.message.report import DsnRecipient, read_dsn

MOST_READ = 1024 * 1024  # octets of a standard report that are read: it stands before the returned message
MOST_SCANNED = 64 * 1024  # octets that are searched for the words of mail servers that write no standard report
MOST_RECIPIENTS = 50  # of one report
_MOST_BOUNDARIES = 20  # named in what is searched: the parser needs time that grows with the square of the depth
HARD, SOFT = 1.0, 0.5  # what a failure of the address, and one of the moment or of the message, count

REPORTED, NO_FAILURE, ANSWER, UNKNOWN = "reported", "no-failure", "answer", "unknown"

_REPLY = re.compile(r"(?:\A|: )([2-5])\d\d[ -]")  # behind "gave up after 5 days: RCPT TO: ", where we say so
# The mailbox is there and refused this message, or all messages for now: full, message too long, content, policy.
_SOFT_STATUS = re.compile(r"4\.|5\.2\.[23]\Z|5\.3\.4\Z|5\.[67]\.")
_ANSWER_SUBJECT = re.compile(
    r"\s*(?:out[ -]of[ -](?:the[ -])?office|automatic reply|auto(?:matic)?[ -]?(?:reply|response|answer)|vacation\b|"
    r"away\b|absen|r[ée]ponse automatique|abwesen|automatische antwort)",
    re.IGNORECASE,
)
_MACHINES = ("mailer-daemon", "postmaster", "mailerdaemon", "mail-daemon", "mailer_daemon", "bounce", "double-bounce")
_quiet = logging.getLogger("flufl.bounce")


@dataclass(frozen=True, slots=True)
class Failure:
    """An address that failed. `weight`: HARD or SOFT; texts are "" where the message does not say, or no address."""

    address: str
    status: str
    diagnostic: str
    weight: float


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a message says. `kind`: REPORTED (then there are failures), NO_FAILURE (delays, good news), ANSWER of a
    machine to the author, or UNKNOWN; `late`: addresses for which the far side still tries; `why`: in words."""

    kind: str
    failures: tuple[Failure, ...] = ()
    late: tuple[str, ...] = ()
    why: str = ""


def recognise(content: bytes, fields: Fields, return_path: str, named: str = "") -> Recognised:
    """Read a message that came to a bounce address; never raises, reads a bounded part of it.

    `content`: its beginning; `fields`: its header; `return_path`: of its envelope; `named`: whom VERP names. A
    standard report (RFC 3464) is believed first. Where there is none, the words of known mail servers are searched
    for, but only in what may be a mail server's letter: null return path (RFC 5321 §4.5.5) or a machine's author, and
    no mark of an automatic answer to a person (RFC 3834).
    """
    facts = read_dsn(content[:MOST_READ])
    reported = _of_report(facts.recipients) if facts else None
    if facts and reported and (reported.failures or any(one.action or one.status for one in facts.recipients)):
        return reported
    answer = _is_answer(fields)
    if not answer and not return_path and _wrote(fields, named):
        answer = "it is an automatic answer of the member"
    if answer:
        return Recognised(ANSWER, why=answer)
    if return_path and not _is_machine(return_path) and not _machine_wrote(fields):
        return Recognised(UNKNOWN, why="a person may have written it")
    late, failed = _scanned(content[:MOST_SCANNED])
    if failed:
        said = "the message says so, without a status code"
        return Recognised(REPORTED, tuple(Failure(address, "", said, HARD) for address in failed), late)
    if late:
        return Recognised(NO_FAILURE, late=late, why="it says that delivery is late")
    return Recognised(UNKNOWN, why="it is no delivery report that can be read")


def weight_of(status: str, diagnostic: str) -> float:
    """HARD when the address failed; SOFT when the failure is one of the moment or of the message (RFC 3463 §3)."""
    reply = _REPLY.search(diagnostic)
    return SOFT if _SOFT_STATUS.match(status) or (reply and reply[1] == "4") else HARD


def _of_report(recipients: Iterable[DsnRecipient]) -> Recognised:
    failures: dict[str, Failure] = {}
    late: list[str] = []
    others: set[str] = set()
    for one in recipients:
        address = one.original_address or one.address
        if _is_failure(one):
            weight = weight_of(one.status, one.diagnostic)
            failures.setdefault(address.lower(), Failure(_good(address), one.status, one.diagnostic, weight))
        else:
            others.add(one.action or "nothing")
            if one.action in ("delayed", "") and len(late) < MOST_RECIPIENTS and _good(address):
                late.append(address)
    if failures:
        return Recognised(REPORTED, tuple(failures.values())[:MOST_RECIPIENTS], tuple(late))
    named = ", ".join(sorted(others))[:80]
    return Recognised(NO_FAILURE, late=tuple(late), why=f"it reports no failure but {named}")


def _is_failure(one: DsnRecipient) -> bool:
    """A failure for good; delays and successes are none (RFC 3464 §2.3.3), whatever code they carry."""
    if one.action:
        return one.action == "failed" and not one.status.startswith("2")
    return one.status.startswith("5")


def _is_answer(fields: Fields) -> str:
    """Why this is a machine's answer to an author (vacation, challenge), as words; "" when it may be a report."""
    if why := is_answer_of_machine(fields):
        return f"it is an automatic answer: {why}"
    if _ANSWER_SUBJECT.match(fields.decoded("subject") or ""):
        return "it is an automatic answer: so its subject says"
    if auto_submitted(fields) in ("auto-replied", "auto-notified"):
        # RFC 3834 §5; mail servers mark their reports so too
        if "vacation" in (fields.first("auto-submitted") or "").lower():
            return "it is an automatic answer: vacation"
        report = (fields.first("content-type") or "").lstrip().lower().startswith("multipart/report")
        if not report and "x-failed-recipients" not in fields and not _machine_wrote(fields):
            return "it is an automatic answer, not a report of a failure"
    return ""


def _wrote(fields: Fields, named: str) -> bool:
    """Whether the author is the address that would have failed: its vacation note or challenge, not its report."""
    people = mailboxes((fields.first("from") or "")[:2000])[:5]
    return bool(named) and any(address.lower() == named.lower() for _, address in people)


def _machine_wrote(fields: Fields) -> bool:
    for value in fields.all("from")[:3]:
        if any(_is_machine(address) for _, address in mailboxes(value)[:5]):
            return True
        if "mailer-daemon" in value[:500].lower():
            return True
    return False


def _is_machine(address: str) -> bool:
    return address.rpartition("@")[0].lower().startswith(_MACHINES)


def _scanned(content: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(late, failed) addresses by the words of known mail servers."""
    if content.count(b"oundary") > _MOST_BOUNDARIES:
        return (), ()
    from flufl.bounce import all_failures  # read when the first such letter comes: an idle house does without

    _quiet.setLevel(logging.CRITICAL)
    try:
        late, failed = all_failures(email.message_from_bytes(content, policy=email.policy.compat32))
    except Exception:  # its detectors meet broken MIME of any kind; what they cannot read says nothing
        return (), ()
    return _addresses(late), _addresses(failed)


def _addresses(found: Iterable[object]) -> tuple[str, ...]:
    texts = (raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw) for raw in found)
    return tuple(sorted(text for text in texts if _good(text))[:MOST_RECIPIENTS])


def _good(address: str) -> str:
    """The address, "" when it is none: some reports hide a part of it."""
    try:
        key_of(address)
    except AddressError:
        return ""
    return address
