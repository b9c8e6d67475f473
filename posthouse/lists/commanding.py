"""What commands by mail do: told at once where it harms nobody, obeyed when the address itself has confirmed them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from posthouse.address import AddressError, key_of, mailboxes
from posthouse.database import transaction
from posthouse.lists import addresses, approval, bounces, holding, joining, notices, roster, subscription, vacation
from posthouse.lists.commands import (
    ADD,
    APPROVE,
    INFO,
    LISTS,
    MEMBERS,
    OPTIONS,
    REJECT,
    REMOVE,
    SET,
    UNTIL,
    WHO,
    Command,
    parsed,
    setting_of,
)
from posthouse.lists.errors import ListError, NoSuchHeld, NoSuchRequest
from posthouse.lists.joining import member_of
from posthouse.lists.models import ENABLED, MEMBER, MODERATOR, OWNER, MailingList, Membership
from posthouse.lists.subscription import Confirmed

MOST_SHOWN = 1000  # members, or lists, in one answer
NOT_FOR_YOU = "only the people who run the list may do this"


def confirm(token: str, now: int, *, by: str = "web", because: int = 0) -> Confirmed:
    """`subscription.confirm`, which also obeys confirmed commands and mails what they did. `now` in milliseconds.

    Raises TokenSpent, JoiningClosed.
    """
    with transaction():
        done = subscription.confirm(token, now, by=by, because=because)
        if done.commands:
            row = subscription.list_of(addresses.list_pk(done.list_address))
            results = [f"{_shown(one)}\n    {obey(row, done.address, one, now, by)}" for one in done.commands]
            send_results(row, done.address, results, now, because, proven=True)
        return done


def send_results(
    row: MailingList, to: str, results: Sequence[str], now: int, because: int = 0, answers: str = "", *,
    proven: bool,
) -> bool:  # fmt: skip
    """Mail what commands did or found out; False when the address had enough answers today.

    `proven`: the address has confirmed the commands, or its domain answers for the message that brought them.
    """
    values = {"address": to, "results": "\n\n".join(results)}
    sent = notices.send(
        row, "results", [to], values, now=now, because=because, answers=answers, bounded=True, proven=proven
    )
    return bool(sent)


def is_staff(row: MailingList, address: str, *, owner: bool = False) -> bool:
    """Whether this address, or another verified one of its account, runs the list."""
    try:
        key = key_of(address)
    except AddressError:
        return False
    roles = (OWNER,) if owner else (OWNER, MODERATOR)
    rows = Membership.objects.filter(mailing_list=row, role__in=roles)
    return (
        rows.filter(address__key=key).exists()
        or rows.filter(
            address__verified_at__isnull=False,
            address__account__addresses__key=key,
            address__account__addresses__verified_at__isnull=False,
        ).exists()
    )


def tell(row: MailingList, address: str, command: Command) -> str:
    """What info, lists, who, members and options answer this address."""
    if command.act == INFO:
        return _info(row)
    if command.act == LISTS:
        return _lists(row)
    if command.act in (WHO, MEMBERS):
        return _who(row, address, command.act)
    assert command.act == OPTIONS, command
    return _options(row, address)


def obey(row: MailingList, address: str, text: str, now: int, by: str) -> str:
    """Do one confirmed command of this address: the sentence that says what happened."""
    command = parsed(text)
    if command is None:
        return "This is no command any more."
    try:
        if command.act == SET:
            return _set(row, address, command, now, by)
        if not is_staff(row, address, owner=command.act in (ADD, REMOVE)):
            return f"Not done: {NOT_FOR_YOU}."
        if command.act in (ADD, REMOVE):
            return _change_roster(row, command, now, f"{address} ({by})")
        return _decide(row, command, f"{address} ({by})", now)
    except ListError as error:
        return f"Not done: {error}."


def _shown(command: str) -> str:
    return f"> {command.splitlines()[0][:200]}"


def _info(row: MailingList) -> str:
    owner, request = (addresses.of(row.address, role) for role in (addresses.OWNER, addresses.REQUEST))
    lines = [f"{row.display_name} <{row.address}>", row.description, "", row.info.strip(), ""]
    if row.state != "active":
        lines.append(f"The list is {row.state}. {row.state_reason}".strip())
    lines += [
        f"Joining: {row.subscription_policy}; leaving: {row.unsubscription_policy}; archive: {row.archive_policy}",
        f"Owners: {owner}; commands: {request}",
    ]
    return "\n".join(line for at, line in enumerate(lines) if line or (at and lines[at - 1]))


def _lists(row: MailingList) -> str:
    found = MailingList.objects.filter(domain=row.domain, advertised=True).order_by("list_name")
    shown = found.values_list("list_name", "description")[:MOST_SHOWN]
    lines = [f"{name}@{row.domain.name}{'  ' if about else ''}{about}" for name, about in shown]
    return "\n".join(lines) or f"No list at {row.domain.name} is shown in public."


def _who(row: MailingList, address: str, act: str) -> str:
    staff = is_staff(row, address)
    visible = row.member_roster_visibility
    if act == MEMBERS and not staff:
        return f"Not told: {NOT_FOR_YOU}."
    is_member = staff or visible == "public" or (visible == "members" and _member(row, address) is not None)
    if not is_member:
        return "The members of this list are not shown to you."
    found = [one for one in roster.members(row.pk, limit=MOST_SHOWN) if staff or not one.hide_address]
    total = Membership.objects.filter(mailing_list=row, role=MEMBER).count()
    lines = [_mailbox(one.display_name, one.address) for one in found]
    if total > len(found):
        lines.append(f"({total} members in all)")
    return "\n".join(lines) or "Nobody is on the list, or nobody who wants to be shown."


def _mailbox(name: str, address: str) -> str:
    """`Ana <ana@far.example>`; a name with anything but words in it stands in quotes, so that it can be read again."""
    if not name:
        return address
    plain = all(word.isalnum() for word in name.replace("-", " ").split())
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f"{name} <{address}>" if plain else f'"{quoted}" <{address}>'


def _member(row: MailingList, address: str) -> Membership | None:
    try:
        return member_of(row, key_of(address))
    except AddressError:
        return None


def _options(row: MailingList, address: str) -> str:
    member = _member(row, address)
    if member is None:
        return f"{address} is not a member of {row.address}."
    [facts] = [one for one in roster.find(member.address.original) if one.list_address == row.address
               and one.role == MEMBER]  # fmt: skip
    yes = {True: "on", False: "off"}
    digest = {"regular": "off", "mime_digests": "mime", "plaintext_digests": "plain", "summary_digests": "summary"}
    return "\n".join(
        [
            f"Settings of {facts.address} on {row.address}; change one with `set NAME VALUE`:",
            f"    delivery    {'on' if facts.delivery_status == 'enabled' else f'off ({facts.delivery_status})'}",
            f"    digest      {digest.get(facts.delivery_mode, 'off')}",
            f"    myposts     {yes[facts.receive_own_postings]}",
            f"    duplicates  {yes[facts.receive_list_copy]}",
            f"    ack         {yes[facts.acknowledge_posts]}",
            f"    hide        {yes[facts.hide_address]}",
            f"    language    {facts.preferred_language or '(the list decides)'}",
        ]
    )


def _set(row: MailingList, address: str, command: Command, now: int, by: str) -> str:
    member = _member(row, address)
    if member is None:
        return f"Not done: {address} is not a member of {row.address}."
    until = UNTIL.fullmatch(command.rest.removeprefix("delivery "))
    if until:
        try:
            day = datetime.fromisoformat(until[1]).replace(tzinfo=UTC)
        except ValueError:
            return f"Not done: {until[1]} is no day."
        vacation.begin(row.pk, member.address.original, day, f"{address} ({by})", now)
        return "Done."
    name, value = setting_of(command.rest)
    if name == "delivery_status" and member.delivery_status == "by_moderator":
        return "Not done: the owners have stopped the delivery; write to them."
    begins = (name, value) == ("delivery_status", ENABLED)
    if not (begins and bounces.restart(row.pk, member.address.original, f"{address} ({by})", now)):
        roster.set_preferences(row.pk, member.address.original, MEMBER, **{name: value})
    return "Done."


def _change_roster(row: MailingList, command: Command, now: int, by: str) -> str:
    found = mailboxes(command.rest)
    if not found:
        return "Not done: that is no address."
    name, address = found[0]
    try:
        key = key_of(address)
    except AddressError as error:
        return f"Not done: {address} is no address: {error.rule}."
    if command.act == ADD:
        return "Done." if joining.join(row, address, name, now, by) else f"{address} is a member already."
    return "Done." if joining.leave(row, key, address, now, by) else f"{address} is not a member."


def _decide(row: MailingList, command: Command, by: str, now: int) -> str:
    word, _, rest = command.rest.partition(" ")
    if word == "request":
        number, _, reason = rest.partition(" ")
        if approval.show(int(number)).list_address != row.address:
            raise NoSuchRequest(f"no request waits under the number {number}")
        if command.act == APPROVE:
            approval.approve(int(number), by, now)
        elif command.act == REJECT:
            approval.reject(int(number), reason, by, now)
        else:
            approval.discard(int(number), by, now)
        return "Done."
    if holding.show_held(int(word)).list_address != row.address:
        raise NoSuchHeld(f"no posting is held under the number {word}")
    if command.act == APPROVE:
        holding.release(int(word), by, now)
    elif command.act == REJECT:
        holding.reject(int(word), rest or "No reason was given.", by, now)
    else:
        holding.discard(int(word), by, now)
    return "Done."
