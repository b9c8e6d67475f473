"""Joining and leaving: asked for, confirmed by the address itself (double opt-in), decided by moderators, done."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from posthouse import configuration, maillog
from posthouse.address import AddressError, parse
from posthouse.database import transaction
from posthouse.directory.models import Address
from posthouse.directory.moments import moment
from posthouse.lists import addresses, joining, notices, relocating, roster, siblings, tokens
from posthouse.lists.bans import ban_of
from posthouse.lists.errors import BadAddress, JoiningClosed, ListError, NoSuchList, TokenSpent
from posthouse.lists.expressions import Patience
from posthouse.lists.joining import JOIN, LEAVE, member_of
from posthouse.lists.models import ACTIVE, MailingList, Pending
from posthouse.lists.named import naming
from posthouse.lists.people_models import JoinAttempt
from posthouse.lists.settings import items

INVITE, COMMAND, MOVE = "invite", "command", "move"
ADDRESS, MODERATOR = "address", "moderator"  # whose word a pending act waits for
TOKEN_LIFE = timedelta(days=3)
LIFE_OF_INVITATIONS = timedelta(days=30)
LIFE_WITH_MODERATORS = timedelta(days=180)  # as Mailman's
BETWEEN_CONFIRMATIONS = timedelta(hours=1)  # an address gets at most one confirmation of a list in this time
A_DAY = timedelta(days=1)
MOST_CONFIRMATIONS = 5  # to join or leave, mailed to one address in a day, of all lists together
MOST_COMMANDS = 10  # confirmations of commands of one address that are open
MOST_WAITING = 2000  # requests of one list that wait for its moderators

ASKED, ASKED_BEFORE, JOINED, LEFT, WAITS, MOVED = "asked", "asked-before", "joined", "left", "waits", "moved"
ALREADY, NOT_A_MEMBER = "already-member", "not-a-member"
_CONFIRMED_FIRST = ("confirm", "confirm_then_moderate")
_MODERATED = ("moderate", "confirm_then_moderate")


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What a confirmation did, or would do.

    `act`: join, leave, invite (joins too), move or command; `changed`: False when it was so already, or when it `waits`
    for a moderator now; `commands`: the words that are to be obeyed; `by_moderator`: whose word the token stands for.
    """

    list_address: str
    list_name: str
    address: str
    act: str
    changed: bool
    expires_at: datetime
    waits: bool = False
    commands: tuple[str, ...] = ()
    by_moderator: bool = False


def request_join(
    mailing_list: int | str,
    address: str,
    name: str,
    now: int,
    *,
    by: str = "web",
    because: int = 0,
    verified: bool = False,
    preferences: Mapping[str, str | bool] | None = None,
) -> str:
    """Ask to join: ASKED, ASKED_BEFORE (no second mail within the hour), WAITS, JOINED or ALREADY. `now` in ms.

    `verified`: whoever asks has proved that the address is theirs (they are signed in), so no confirmation is sent.
    What a stranger may see must not depend on the answer: only the address' owner is told, by mail.
    Raises NoSuchList, BadAddress, JoiningClosed.
    """
    with transaction():
        row, shown, key = _asked(mailing_list, address)
        refuse_closed(row, key)
        maillog.subscription(now, because, row.address, shown, "asked to join", by)
        if member_of(row, key) is not None:
            notices.send(row, ALREADY, [shown], {"address": shown}, now=now, because=because, bounded=True)
            return ALREADY
        # Under `open` and `moderate` too an address that nobody has verified confirms first, as Mailman has it.
        known = verified or (row.subscription_policy not in _CONFIRMED_FIRST and _is_verified(key))
        details = json.dumps(dict(preferences)) if preferences else ""
        if not known:
            return _ask(row, JOIN, shown, key, name, now, because, details)
        return _after_confirmation(row, JOIN, shown, key, name, now, by, because, details)


def request_leave(
    mailing_list: int | str, address: str, now: int, *, by: str = "web", because: int = 0, verified: bool = False
) -> str:
    """Ask to leave: ASKED, ASKED_BEFORE, WAITS, LEFT or NOT_A_MEMBER; any verified address of the member's will do.

    `now` in milliseconds; `verified` as in `request_join`. Raises NoSuchList, BadAddress.
    """
    with transaction():
        row, shown, key = _asked(mailing_list, address)
        maillog.subscription(now, because, row.address, shown, "asked to leave", by)
        if member_of(row, key) is None:
            notices.send(row, NOT_A_MEMBER, [shown], {"address": shown}, now=now, because=because, bounded=True)
            return NOT_A_MEMBER
        if row.unsubscription_policy in _CONFIRMED_FIRST and not verified:
            return _ask(row, LEAVE, shown, key, "", now, because)
        return _after_confirmation(row, LEAVE, shown, key, "", now, by, because)


def invite(mailing_list: int | str, address: str, name: str, now: int, *, by: str, words: str = "") -> str:
    """Invite an address: it joins by confirming, whatever the policy. ASKED, ASKED_BEFORE or ALREADY. `now` in ms.

    `words` of the inviter stand in the message. Raises NoSuchList, BadAddress, JoiningClosed (not active, or banned).
    """
    with transaction():
        row, shown, key = _asked(mailing_list, address)
        refuse_closed(row, key, invited=True)
        if member_of(row, key) is not None:
            return ALREADY
        maillog.subscription(now, 0, row.address, shown, "invited", by)
        return _ask(row, INVITE, shown, key, name, now, 0, extra={"words": words.strip()[:2000]})


def request_move(mailing_list: int | str, address: str, new: str, now: int, *, by: str) -> str:
    """Ask the address `new` whether a member's mail shall go there: ASKED, ASKED_BEFORE, ALREADY, or MOVED at once
    where it is known to be the same person's. `now` in milliseconds.

    Raises NoSuchList, BadAddress, ListError: no such member, `new` is another member's, or it is banned.
    """
    with transaction():
        row, shown, key = _asked(mailing_list, new)
        member = relocating.standing_at(row, _asked(row.pk, address)[2])
        if not relocating.is_free(row, member, key):
            return ALREADY
        there = member_of(row, key)
        if there is not None and there.pk == member.pk:  # another verified address of the same account
            relocating.relocate(row.pk, member.address.original, shown, by, now)
            return MOVED
        maillog.subscription(now, 0, row.address, shown, "asked to take the place of another address", by)
        details = json.dumps({"from": member.address.key})
        return _ask(row, MOVE, shown, key, "", now, 0, details)


def refuse_closed(row: MailingList, key: str, invited: bool = False) -> None:
    """Raise JoiningClosed when this address cannot join the list, with the reason as a sentence."""
    if row.state != ACTIVE:
        if why := " ".join(row.state_reason.split()):
            raise JoiningClosed(f"{row.address} is {row.state}: it takes no new members ({why})")
        raise JoiningClosed(f"{row.address} is {row.state}: it takes no new members")
    if row.subscription_policy == "closed" and not invited:
        raise JoiningClosed(f"{row.address} takes new members by invitation; write to its owners")
    if ban_of(row.pk, [key]):
        raise JoiningClosed(f"this address cannot join {row.address}; write to its owners")


def confirm(token: str, now: int, *, by: str = "web", because: int = 0) -> Confirmed:
    """Do what was asked for and use the token up. `now` in milliseconds. Raises TokenSpent, JoiningClosed.

    The commands of an act `command` are for `commanding` to obey.
    """
    with transaction():
        pending = _pending(token, now)
        if not Pending.objects.filter(pk=pending.pk).delete()[0]:
            raise TokenSpent("this confirmation was used already, has expired, or is not complete")
        row, shown, key = pending.mailing_list, pending.original, pending.address
        if pending.waits_for == MODERATOR:
            return _confirmed(pending, decide(pending, now, by, because))
        maillog.subscription(now, because, row.address, shown, f"confirmed to {pending.act}", by)
        if pending.act == COMMAND:
            return _confirmed(pending, True)
        Address.objects.filter(key=key, account__isnull=False, verified_at=None).update(verified_at=moment(now))
        if pending.act == MOVE:
            return _confirmed(pending, _moved(pending, now, by))
        if pending.act == INVITE:
            refuse_closed(row, key, invited=True)
            return _confirmed(pending, joining.join(row, shown, pending.display_name, now, by, because))
        if pending.act == JOIN:
            refuse_closed(row, key)
        done = _after_confirmation(
            row, pending.act, shown, key, pending.display_name, now, by, because, pending.details
        )  # fmt: skip
        return _confirmed(pending, done in (JOINED, LEFT), done == WAITS)


def _moved(pending: Pending, now: int, by: str) -> bool:
    try:
        return relocating.relocate(
            pending.mailing_list_id, json.loads(pending.details)["from"], pending.original, by, now
        )
    except ListError as error:  # somebody left, joined or was banned meanwhile
        raise JoiningClosed(str(error)) from error


def decide(pending: Pending, now: int, by: str, because: int = 0) -> bool:
    """Do what a moderator has approved; the row is the caller's to delete."""
    row = pending.mailing_list
    maillog.subscription(now, because, row.address, pending.original, f"approved to {pending.act}", by)
    if pending.act == LEAVE:
        return joining.leave(row, pending.address, pending.original, now, by, because)
    preferences = json.loads(pending.details) if pending.details else None
    return joining.join(row, pending.original, pending.display_name, now, by, because, preferences)


def look_at(token: str, now: int | None = None) -> Confirmed:
    """What confirming would do, without doing it. `now` in milliseconds, by itself the present. Raises TokenSpent."""
    return _confirmed(_pending(token, time.time_ns() // 1_000_000 if now is None else now), False)


def leave_now(list_pk: int, address: str, by: str, now: int) -> bool:
    """Take an address off a list without asking again (the unsubscribe link). False when it was not on it.

    Who gets copies because they are on an included list gets none any more.
    Raises NoSuchList, BadAddress. `now` in milliseconds.
    """
    with transaction():
        row, shown, key = _asked(list_pk, address)
        left = joining.leave(row, key, shown, now, by)
        return siblings.end_copies(row, key) or left


def ask_for_commands(
    row: MailingList, shown: str, key: str, commands: list[str], now: int, because: int, *, proven: bool
) -> str:
    """Ask the address itself whether these commands are to be obeyed: a From field alone proves nothing.

    `proven`: its domain answers for the message with the commands, which only widens how often it may be asked.
    """
    shown_commands = "\n".join(f"    {one}" for one in commands)
    details = json.dumps(commands)
    return _ask(row, COMMAND, shown, key, "", now, because, details, {"commands": shown_commands}, proven)


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


def _is_verified(key: str) -> bool:
    return Address.objects.filter(key=key, verified_at__isnull=False, account__isnull=False).exists()


def _approved_by_itself(row: MailingList, key: str) -> bool:
    return bool(naming(items(row.subscribe_auto_approval), key, Patience()))


def _after_confirmation(
    row: MailingList, act: str, shown: str, key: str, name: str, now: int, by: str, because: int, details: str = ""
) -> str:
    """The address has agreed: on to the moderators where the policy says so, else done."""
    policy = row.subscription_policy if act == JOIN else row.unsubscription_policy
    if policy in _MODERATED and not (act == JOIN and _approved_by_itself(row, key)):
        return _ask_moderators(row, act, shown, key, name, now, because, details)
    if act == LEAVE:
        return LEFT if joining.leave(row, key, shown, now, by, because) else NOT_A_MEMBER
    preferences = json.loads(details) if details else None
    return JOINED if joining.join(row, shown, name, now, by, because, preferences) else ALREADY


def _ask(
    row: MailingList,
    act: str,
    shown: str,
    key: str,
    name: str,
    now: int,
    because: int,
    details: str = "",
    extra: Mapping[str, str] | None = None,
    proven: bool = False,
) -> str:
    """Send a confirmation with a new token, which takes the place of an older one."""
    at = moment(now)
    Pending.objects.filter(expires_at__lte=at).delete()
    before = Pending.objects.filter(mailing_list=row, address=key, act=act, waits_for=ADDRESS)
    if act == COMMAND:  # several may wait, each with its own token
        before.filter(pk__in=list(before.order_by("-id").values_list("pk", flat=True)[MOST_COMMANDS - 1 :])).delete()
    elif before.filter(made_at__gt=at - BETWEEN_CONFIRMATIONS).exists() or _asked_too_often(act, key, at):
        return ASKED_BEFORE
    else:
        before.delete()
    token = tokens.new_confirmation()
    expires = at + (LIFE_OF_INVITATIONS if act == INVITE else TOKEN_LIFE)
    _keep(row, act, ADDRESS, token, shown, key, name, at, expires, details)
    values = {"address": shown, **_links(token, expires), **(extra or {})}
    reply_to = addresses.of(row.address, addresses.CONFIRM, token)
    bounded = act == COMMAND
    sent = notices.send(
        row, f"confirm-{act}", [shown], values, now=now, because=because, reply_to=reply_to, bounded=bounded,
        proven=proven,
    )  # fmt: skip
    return ASKED if sent else ASKED_BEFORE


def _asked_too_often(act: str, key: str, at: datetime) -> bool:
    """Whether an address got its confirmations of today, of all lists together: anybody can ask in its name."""
    if act not in (JOIN, LEAVE):
        return False
    JoinAttempt.objects.filter(at__lt=at - A_DAY).delete()
    subject = f"told:{key}"[:340]
    if JoinAttempt.objects.filter(subject=subject).count() >= MOST_CONFIRMATIONS:
        return True
    JoinAttempt.objects.create(subject=subject, at=at)
    return False


def _ask_moderators(
    row: MailingList, act: str, shown: str, key: str, name: str, now: int, because: int, details: str
) -> str:
    """Keep the request for the moderators and tell them, unless it waits there already."""
    at = moment(now)
    Pending.objects.filter(expires_at__lte=at).delete()
    waiting = Pending.objects.filter(mailing_list=row, waits_for=MODERATOR)
    if waiting.filter(address=key, act=act).exists():
        return WAITS
    if waiting.count() >= MOST_WAITING:
        raise JoiningClosed(f"too many requests wait for the moderators of {row.address}; write to its owners")
    token = tokens.new_confirmation()
    expires = at + LIFE_WITH_MODERATORS
    number = _keep(row, act, MODERATOR, token, shown, key, name, at, expires, details)
    values = {"address": shown, "number": str(number), **_links(token, expires)}
    values["member"] = f"{' '.join(name.split())} <{shown}>" if name.strip() else shown
    if row.admin_immed_notify:
        reply_to = addresses.of(row.address, addresses.CONFIRM, token)
        staff = roster.staff(row.pk)
        notices.send(row, f"request-{act}", staff, values, now=now, because=because, reply_to=reply_to)
    notices.send(row, f"waits-{act}", [shown], {"address": shown}, now=now, because=because, bounded=True)
    return WAITS


def _keep(
    row: MailingList,
    act: str,
    waits_for: str,
    token: str,
    shown: str,
    key: str,
    name: str,
    at: datetime,
    expires: datetime,
    details: str,
) -> int:
    made = Pending.objects.create(
        digest=tokens.digest(token),
        mailing_list=row,
        act=act,
        waits_for=waits_for,
        address=key,
        original=shown,
        display_name=" ".join(name.split())[:255],
        details=details,
        made_at=at,
        expires_at=expires,
    )
    return int(made.pk)


def _links(token: str, expires: datetime) -> dict[str, str]:
    base = configuration.active().web.base_url
    return {
        "token": token,
        "confirm_url": f"{base}/confirm/{token}/",
        "expires": f"{expires:%Y-%m-%d %H:%M} UTC",
    }


def _pending(token: str, now: int) -> Pending:
    spent = TokenSpent("this confirmation was used already, has expired, or is not complete")
    if not tokens.confirmation_in(token):
        raise spent
    found = Pending.objects.select_related("mailing_list__domain").filter(digest=tokens.digest(token)).first()
    if found is None or found.expires_at <= moment(now) or found.mailing_list.removed_at is not None:
        raise spent
    return found


def _confirmed(pending: Pending, changed: bool, waits: bool = False) -> Confirmed:
    row = pending.mailing_list
    commands = tuple(json.loads(pending.details)) if pending.act == COMMAND else ()
    moderated = pending.waits_for == MODERATOR
    return Confirmed(
        row.address, row.display_name, pending.original, pending.act, changed, pending.expires_at, waits, commands,
        moderated,
    )  # fmt: skip
