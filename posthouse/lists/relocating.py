"""A membership goes on at another address: choices, topics and the day of joining stay, old bounces do not."""

from __future__ import annotations

from posthouse import maillog
from posthouse.database import transaction
from posthouse.directory import addresses
from posthouse.directory.errors import BadAddress as NoAddress
from posthouse.directory.models import Address
from posthouse.lists.addresses import list_pk
from posthouse.lists.bans import ban_of
from posthouse.lists.bounce_models import Probe
from posthouse.lists.errors import BadAddress, ListError
from posthouse.lists.joining import member_of
from posthouse.lists.models import BY_BOUNCES, MEMBER, MailingList, Membership


def put(row: Membership, wanted: Address, by: str, now: int) -> None:
    """Let the membership be by another address; what bounces of the old one stopped begins again. `now` in ms."""
    before = row.address.original
    fresh = {
        "bounces": 0, "bounce_score": 0.0, "last_bounce": "", "last_bounce_at": None,
        "bounce_warnings": 0, "bounce_stopped_at": None, "bounce_due_at": None,
    }  # fmt: skip
    status = None if row.delivery_status == BY_BOUNCES else row.delivery_status
    with transaction():
        Membership.objects.filter(pk=row.pk).update(address=wanted, delivery_status=status, **fresh)
        Probe.objects.filter(membership_id=row.pk).delete()
        name = row.mailing_list.address
        maillog.subscription(now, 0, name, wanted.original, f"takes the place of {before}", by)


def relocate(mailing_list: int | str, address: str, new: str, by: str, now: int) -> bool:
    """Move a member to the address `new` without asking anybody; False when it is there already. `now` in ms.

    Raises NoSuchList, BadAddress, ListError: no such member, `new` is another member's, or it is banned.
    """
    with transaction():
        row = MailingList.objects.select_related("domain").get(pk=list_pk(mailing_list))
        member = standing_at(row, _key(address))
        if not is_free(row, member, _key(new)):
            return False
        pk = addresses.ensure(new, member.address.display_name)
        put(member, Address.objects.get(pk=pk), by, now)
        return True


def standing_at(row: MailingList, key: str) -> Membership:
    """The membership by this very address. Raises ListError when there is none."""
    rows = Membership.objects.select_related("address", "mailing_list__domain")
    found = rows.filter(mailing_list=row, role=MEMBER, address__key=key).first()
    if found is None:
        raise ListError(f"{key} is not a member of the list")
    return found


def is_free(row: MailingList, member: Membership, key: str) -> bool:
    """Whether the member can go to this address; False when they are there. Raises ListError: another's, or banned."""
    if member.address.key == key:
        return False
    there = member_of(row, key)
    if there is not None and there.pk != member.pk:
        raise ListError(f"{key} is a member of the list already")
    if ban_of(row.pk, [key]):
        raise ListError(f"{key} is banned from the list")
    return True


def _key(address: str) -> str:
    try:
        return addresses.checked(address).key
    except NoAddress as error:
        raise BadAddress(str(error)) from error
