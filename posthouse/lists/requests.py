"""Joining, leaving, confirming and help by mail: -join, -leave, -confirm+TOKEN, and words sent to -request."""

from __future__ import annotations

import re

from posthouse import maillog
from posthouse.address import AddressError, key_of
from posthouse.lists import notices, subscription, tokens
from posthouse.lists.addresses import CONFIRM, JOIN, LEAVE
from posthouse.lists.arrived import DELIVERED, Arrived, Taken
from posthouse.lists.errors import BadAddress, JoiningClosed, TokenSpent
from posthouse.lists.manners import is_automatic
from posthouse.lists.models import MailingList
from posthouse.message.parsing import read

MOST_READ = 128 * 1024  # octets of a message to -request that are read
MOST_LINES = 10  # of its text, as Mailman reads
MOST_COMMANDS = 5

_REPLY_MARK = re.compile(r"(?:\s*(?:re|aw|sv|antw|vs|fwd?|wg)\s*:)+\s*", re.IGNORECASE)
_QUOTE = re.compile(r"[>|\s]*")
_TOKEN_IN = re.compile(r"\bconfirm[\s:+]+([a-z2-7]{26})\b", re.IGNORECASE)
_WORDS = {
    "join": JOIN, "subscribe": JOIN,
    "leave": LEAVE, "unsubscribe": LEAVE, "remove": LEAVE,
    "help": "help",
    "end": "end", "stop": "end", "--": "end",
}  # fmt: skip


def take(mailing_list: MailingList, arrived: Arrived, role: str, detail: str, now: int) -> Taken:
    """A message to one of the command addresses. `detail`: the token of -confirm+TOKEN. `now` in milliseconds.

    Automatic mail is never answered and never obeyed: a vacation note must not confirm anything (RFC 3834 §2).
    """
    why = is_automatic(arrived.fields, arrived.return_path)
    address = arrived.author[1]
    if why or not address or _is_own(mailing_list, address):
        reason = why or "it has no author who could be answered"
        maillog.judged(now, arrived.item, mailing_list.address, "discard", role, f"Not obeyed: {reason}.")
        return Taken(DELIVERED, f"not obeyed: {reason}", "2.0.0")
    done = [_obey(mailing_list, arrived, act, token, now) for act, token in _commands(arrived, role, detail)]
    return Taken(DELIVERED, "; ".join(done), "2.0.0")


def _is_own(mailing_list: MailingList, address: str) -> bool:
    """Whether the author is one of the list's own addresses: answering it would go in a circle."""
    key = key_of(address)
    local, _, host = key.rpartition("@")
    name = mailing_list.list_name
    return host == mailing_list.domain.name and (local == name or local.startswith((f"{name}-", f"{name}+")))


def _commands(arrived: Arrived, role: str, detail: str) -> list[tuple[str, str]]:
    """(act, token) pairs that the message asks for."""
    if role in (JOIN, LEAVE):
        return [(role, "")]
    if role == CONFIRM:
        token = tokens.confirmation_in(detail) or _token_in(arrived.subject)
        return [(CONFIRM, token)] if token else _in_text(arrived) or [(CONFIRM, "")]
    return _in_subject(arrived) or _in_text(arrived) or [("help", "")]


def _token_in(text: str) -> str:
    found = _TOKEN_IN.search(text)
    return found[1].lower() if found else ""


def _in_subject(arrived: Arrived) -> list[tuple[str, str]]:
    subject = _REPLY_MARK.sub("", arrived.subject, count=1).strip()
    command = _command(subject)
    return [command] if command and command[0] != "end" else []


def _in_text(arrived: Arrived) -> list[tuple[str, str]]:
    """Commands in the first lines of the text; quoted ones count, since replies quote what they confirm."""
    text = read(arrived.beginning(MOST_READ)).text
    lines = [line for line in (_QUOTE.sub("", line, count=1).strip() for line in text.splitlines()) if line]
    found: list[tuple[str, str]] = []
    for line in lines[:MOST_LINES]:
        command = _command(line)
        if command is None:
            continue
        if command[0] == "end" or len(found) >= MOST_COMMANDS:
            break
        if command not in found:
            found.append(command)
    return found


def _command(line: str) -> tuple[str, str] | None:
    token = _token_in(line)
    if token:
        return CONFIRM, token
    words = line.lower().split()
    if not words or len(words) > 4:  # a sentence that begins with "join" or "help" is no command
        return None
    act = _WORDS.get(words[0].strip(".!,"))
    return (act, "asked for" if act == "help" else "") if act else None


def _obey(mailing_list: MailingList, arrived: Arrived, act: str, token: str, now: int) -> str:
    name, address = arrived.author
    try:
        if act == JOIN:
            return subscription.request_join(mailing_list.pk, address, name, now, by="mail", because=arrived.item)
        if act == LEAVE:
            return subscription.request_leave(mailing_list.pk, address, now, by="mail", because=arrived.item)
        if act == CONFIRM:
            done = subscription.confirm(token, now, by="mail", because=arrived.item)
            return f"confirmed to {done.act}"
    except JoiningClosed:
        return _answer(mailing_list, arrived, "closed", {"address": address}, now)
    except TokenSpent:
        return _answer(mailing_list, arrived, "spent", {}, now)
    except (BadAddress, AddressError) as error:
        return str(error)
    # What was not understood is not repeated: an answer to a forged address must not carry a stranger's words.
    complaint = "" if token else "Your message holds no command that is known here.\n\n"
    return _answer(mailing_list, arrived, "help", {"complaint": complaint}, now)


def _answer(mailing_list: MailingList, arrived: Arrived, kind: str, values: dict[str, str], now: int) -> str:
    sent = notices.send(
        mailing_list,
        kind,
        [arrived.author[1]],
        values,
        now=now,
        because=arrived.item,
        answers=arrived.message_id,
        bounded=True,
    )
    return f"answered with {kind}" if sent else f"not answered with {kind}: enough answers for today"
