"""Joining and leaving: asked for, confirmed by the address itself (double opt-in), done."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from posthouse import configuration, maillog
from posthouse.address import AddressError, parse
from posthouse.database import transaction
from posthouse.directory.moments import moment
from posthouse.lists import addresses, notices, roster, tokens
from posthouse.lists.errors import BadAddress, JoiningClosed, NoSuchList, TokenSpent
from posthouse.lists.models import MEMBER, MailingList, Membership, Pending

JOIN, LEAVE = "join", "leave"
TOKEN_LIFE = timedelta(days=3)
BETWEEN_CONFIRMATIONS = timedelta(hours=1)  # an address gets at most one confirmation of a list in this time

ASKED, ASKED_BEFORE, JOINED, LEFT = "asked", "asked-before", "joined", "left"
ALREADY, NOT_A_MEMBER = "already-member", "not-a-member"


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What a confirmation did, or would do: `act` is join or leave; `changed`: False when it was so already."""

    list_address: str
    list_name: str
    address: str
    act: str
    changed: bool
    expires_at: datetime


def request_join(
    mailing_list: int | str, address: str, name: str, now: int, *, by: str = "web", because: int = 0
) -> str:
    """Ask to join: ASKED, ASKED_BEFORE (no second mail within the hour), JOINED or ALREADY. `now` in milliseconds.

    What a stranger may see must not depend on which of these it is: only the address' owner is told, by mail.
    Raises NoSuchList, BadAddress, JoiningClosed.
    """
    with transaction():
        row, shown, key = _asked(mailing_list, address)
        if row.subscription_policy == "closed":
            raise JoiningClosed(f"{row.address} takes new members by invitation; write to its owners")
        maillog.subscription(now, because, row.address, shown, "asked to join", by)
        if _membership(row, key) is not None:
            notices.send(row, ALREADY, [shown], {"address": shown}, now=now, because=because, bounded=True)
            return ALREADY
        if row.subscription_policy == "open":
            _join(row, shown, name, now, by, because)
            return JOINED
        return _ask(row, JOIN, shown, key, name, now, because)


def request_leave(mailing_list: int | str, address: str, now: int, *, by: str = "web", because: int = 0) -> str:
    """Ask to leave: ASKED, ASKED_BEFORE, LEFT or NOT_A_MEMBER. `now` in ms. Raises NoSuchList, BadAddress."""
    with transaction():
        row, shown, key = _asked(mailing_list, address)
        maillog.subscription(now, because, row.address, shown, "asked to leave", by)
        if _membership(row, key) is None:
            notices.send(row, NOT_A_MEMBER, [shown], {"address": shown}, now=now, because=because, bounded=True)
            return NOT_A_MEMBER
        if row.unsubscription_policy == "open":
            _leave(row, shown, now, by, because)
            return LEFT
        return _ask(row, LEAVE, shown, key, "", now, because)


def confirm(token: str, now: int, *, by: str = "web", because: int = 0) -> Confirmed:
    """Do what was asked for and use the token up. `now` in milliseconds. Raises TokenSpent."""
    with transaction():
        pending = _pending(token, now)
        if not Pending.objects.filter(pk=pending.pk).delete()[0]:
            raise TokenSpent("this confirmation was used already, has expired, or is not complete")
        row = pending.mailing_list
        maillog.subscription(now, because, row.address, pending.original, f"confirmed to {pending.act}", by)
        if pending.act == JOIN:
            changed = _join(row, pending.original, pending.display_name, now, by, because)
        else:
            changed = _leave(row, pending.original, now, by, because)
        return _confirmed(pending, changed)


def look_at(token: str, now: int | None = None) -> Confirmed:
    """What confirming would do, without doing it. `now` in milliseconds, by itself the present. Raises TokenSpent."""
    return _confirmed(_pending(token, time.time_ns() // 1_000_000 if now is None else now), False)


def leave_now(list_pk: int, address: str, by: str, now: int) -> bool:
    """Take an address off a list without asking again (the unsubscribe link). False when it was not on it.

    Raises NoSuchList, BadAddress. `now` in milliseconds.
    """
    with transaction():
        row, shown, _ = _asked(list_pk, address)
        return _leave(row, shown, now, by, 0)


def list_of(list_pk: int, locked: bool = False) -> MailingList:
    """The list's row with its domain; `locked`: until the commit nobody else has it so. Raises NoSuchList."""
    rows = MailingList.objects.select_related("domain").filter(pk=list_pk)
    row = (rows.select_for_update(of=("self",), no_key=True) if locked else rows).first()
    if row is None:
        raise NoSuchList(f"the list number {list_pk} was removed")
    return row


def _asked(mailing_list: int | str, address: str) -> tuple[MailingList, str, str]:
    row = list_of(addresses.list_pk(mailing_list), locked=True)
    try:
        parsed = parse(address.strip())
    except AddressError as error:
        raise BadAddress(f"{address!r} is no address: {error.rule}") from error
    return row, str(parsed), parsed.key


def _membership(row: MailingList, key: str) -> Membership | None:
    return Membership.objects.filter(mailing_list=row, role=MEMBER, address__key=key).first()


def _ask(row: MailingList, act: str, shown: str, key: str, name: str, now: int, because: int) -> str:
    """Send a confirmation with a new token, which takes the place of an older one."""
    at = moment(now)
    Pending.objects.filter(expires_at__lte=at).delete()
    before = Pending.objects.filter(mailing_list=row, address=key, act=act)
    if before.filter(made_at__gt=at - BETWEEN_CONFIRMATIONS).exists():
        return ASKED_BEFORE
    before.delete()
    token = tokens.new_confirmation()
    expires = at + TOKEN_LIFE
    Pending.objects.create(
        digest=tokens.digest(token),
        mailing_list=row,
        act=act,
        address=key,
        original=shown,
        display_name=" ".join(name.split())[:255],
        made_at=at,
        expires_at=expires,
    )
    values = {
        "address": shown,
        "token": token,
        "confirm_url": f"{configuration.active().web.base_url}/confirm/{token}/",
        "expires": f"{expires:%Y-%m-%d %H:%M} UTC",
    }
    reply_to = addresses.of(row.address, addresses.CONFIRM, token)
    notices.send(row, f"confirm-{act}", [shown], values, now=now, because=because, reply_to=reply_to)
    return ASKED


def _pending(token: str, now: int) -> Pending:
    spent = TokenSpent("this confirmation was used already, has expired, or is not complete")
    if not tokens.confirmation_in(token):
        raise spent
    found = Pending.objects.select_related("mailing_list__domain").filter(digest=tokens.digest(token)).first()
    if found is None or found.expires_at <= moment(now):
        raise spent
    return found


def _confirmed(pending: Pending, changed: bool) -> Confirmed:
    row = pending.mailing_list
    return Confirmed(row.address, row.display_name, pending.original, pending.act, changed, pending.expires_at)


def _join(row: MailingList, shown: str, name: str, now: int, by: str, because: int) -> bool:
    if not roster.add(row.pk, shown, name):
        return False
    maillog.subscription(now, because, row.address, shown, "joined", by)
    if row.send_welcome_message:
        notices.send(row, "welcome", [shown], {"address": shown}, now=now, because=because)
    return True


def _leave(row: MailingList, shown: str, now: int, by: str, because: int) -> bool:
    if not roster.remove(row.pk, shown):
        return False
    maillog.subscription(now, because, row.address, shown, "left", by)
    if row.send_goodbye_message:
        notices.send(row, "goodbye", [shown], {"address": shown}, now=now, because=because)
    return True
