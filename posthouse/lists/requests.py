"""Commands by mail: -join, -leave, -confirm+TOKEN, and words sent to -request; no password is ever asked for."""

from __future__ import annotations

from posthouse import maillog
from posthouse.address import AddressError, key_of
from posthouse.lists import commanding, notices, proven, subscription
from posthouse.lists.addresses import CONFIRM, JOIN, LEAVE
from posthouse.lists.arrived import DELIVERED, Arrived, Taken
from posthouse.lists.commands import (
    CONFIRMED_FIRST,
    HELP,
    MISUSED,
    OF_STAFF,
    Command,
    commands_in,
    options_of,
    values_of,
)
from posthouse.lists.errors import BadAddress, JoiningClosed, TokenSpent
from posthouse.lists.manners import is_answer_of_machine, is_automatic
from posthouse.lists.models import MailingList


def take(mailing_list: MailingList, arrived: Arrived, role: str, detail: str, now: int) -> Taken:
    """A message to one of the command addresses. `detail`: the token of -confirm+TOKEN. `now` in milliseconds.

    Automatic mail is never answered and never obeyed: a vacation note must not confirm anything (RFC 3834 §2).
    """
    why = is_automatic(arrived.fields, arrived.return_path) or is_answer_of_machine(arrived.fields)
    address = arrived.author[1]
    if why or not address or _is_own(mailing_list, address):
        reason = why or "it has no author who could be answered"
        maillog.judged(now, arrived.item, mailing_list.address, "discard", role, f"Not obeyed: {reason}.")
        return Taken(DELIVERED, f"not obeyed: {reason}", "2.0.0")
    done: list[str] = []
    told: list[str] = []
    later: list[Command] = []
    for command in commands_in(arrived, role, detail):
        if command.act in (JOIN, LEAVE, CONFIRM, HELP):
            done.append(_obey(mailing_list, arrived, command, now))
        elif command.act == MISUSED:
            told.append(
                f"> set {command.rest}\n    Not done: {command.rest} takes one of these: {values_of(command.rest)}."
            )
        elif command.act in OF_STAFF and not commanding.is_staff(mailing_list, address):
            told.append(f"> {command.act}\n    Not done: {commanding.NOT_FOR_YOU}.")
        elif command.act in CONFIRMED_FIRST:
            later.append(command)
        else:
            told.append(f"> {command.act}\n{commanding.tell(mailing_list, address, command)}")
    if told:
        sure, answers = proven.is_proven(arrived), arrived.message_id
        sent = commanding.send_results(mailing_list, address, told, now, arrived.item, answers, proven=sure)
        done.append("answered" if sent else "not answered: enough answers for today")
    if later:
        done.append(_ask_back(mailing_list, arrived, later, now))
    return Taken(DELIVERED, "; ".join(done), "2.0.0")


def _ask_back(mailing_list: MailingList, arrived: Arrived, commands: list[Command], now: int) -> str:
    """A From field can say anything: what changes something is done when the address itself has confirmed it."""
    address, words = arrived.author[1], [str(command) for command in commands]
    sent = subscription.ask_for_commands(
        mailing_list, address, key_of(address), words, now, arrived.item, proven=proven.is_proven(arrived)
    )
    return "asked to confirm " + ", ".join(command.act for command in commands) if sent == subscription.ASKED else sent


def _is_own(mailing_list: MailingList, address: str) -> bool:
    """Whether the author is one of the list's own addresses: answering it would go in a circle."""
    key = key_of(address)
    local, _, host = key.rpartition("@")
    name = mailing_list.list_name
    return host == mailing_list.domain.name and (local == name or local.startswith((f"{name}-", f"{name}+")))


def _obey(mailing_list: MailingList, arrived: Arrived, command: Command, now: int) -> str:
    name, address = arrived.author
    named, preferences = options_of(command.rest) if command.act in (JOIN, LEAVE) else ("", {})
    address = named or address  # another address of theirs, which confirms for itself
    item, pk = arrived.item, mailing_list.pk
    try:
        if command.act == JOIN:
            return subscription.request_join(
                pk, address, name, now, by="mail", because=item, preferences=preferences
            )  # fmt: skip
        if command.act == LEAVE:
            return subscription.request_leave(pk, address, now, by="mail", because=item)
        if command.act == CONFIRM:
            done = commanding.confirm(command.rest, now, by="mail", because=item)
            return f"confirmed to {done.act}"
    except JoiningClosed as error:
        return _answer(mailing_list, arrived, "closed", {"address": address, "reason": str(error)}, now)
    except TokenSpent:
        return _answer(mailing_list, arrived, "spent", {}, now)
    except (BadAddress, AddressError) as error:
        return str(error)
    # What was not understood is not repeated: an answer to a forged address must not carry a stranger's words.
    complaint = "" if command.rest else "Your message holds no command that is known here.\n\n"
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
        proven=proven.is_proven(arrived),
    )
    return f"answered with {kind}" if sent else f"not answered with {kind}: enough answers for today"
