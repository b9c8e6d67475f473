"""People across lists: accounts joined to one, subscriptions moved to other addresses, somebody taken off all lists."""

from __future__ import annotations

from dataclasses import dataclass

from posthouse import maillog
from posthouse.database import transaction
from posthouse.directory import accounts, addresses, belonging
from posthouse.directory.accounts import AccountFacts
from posthouse.directory.errors import BadAddress as NoAddress
from posthouse.directory.models import Address
from posthouse.lists import relocating
from posthouse.lists.errors import BadAddress, ListError
from posthouse.lists.models import MEMBER, OWNER, MailingList, Membership, Pending


def confirm_address(token: str, account_id: int, now: int) -> AccountFacts:
    """`directory.belonging.confirm_address`, with one subscription per list afterwards. Raises LinkSpent."""
    with transaction():
        facts = belonging.confirm_address(token, account_id, now)
        unite(account_id)
        return facts


def give(account_id: int, address: str, now: int) -> AccountFacts:
    """`directory.belonging.give`, with one subscription per list afterwards. Raises BadAddress, NoSuchAccount."""
    with transaction():
        facts = belonging.give(account_id, address, now)
        unite(account_id)
        return facts


def merge(kept: int, other: int) -> AccountFacts:
    """`directory.belonging.merge`, with one subscription per list afterwards. Raises NoSuchAccount, DirectoryError."""
    with transaction():
        facts = belonging.merge(kept, other)
        unite(kept)
        return facts


def unite(account_id: int) -> int:
    """Keep the oldest of several memberships of one person in one role of one list; how many went."""
    rows = Membership.objects.filter(address__account_id=account_id, address__verified_at__isnull=False)
    seen: set[tuple[int, str]] = set()
    surplus = []
    for pk, mailing_list, role in rows.order_by("id").values_list("pk", "mailing_list_id", "role"):
        if (mailing_list, role) in seen:
            surplus.append(pk)
        seen.add((mailing_list, role))
    for start in range(0, len(surplus), 400):
        Membership.objects.filter(pk__in=surplus[start : start + 400]).delete()
    return len(surplus)


def move(account_id: int, number: int, address: str, by: str, now: int) -> str:
    """Let a membership (by its number) of an account be by another of its verified addresses: the list's address.

    Preferences, topics and roles stay. `now` in milliseconds. Raises ListError: not theirs, or there already.
    """
    with transaction():
        own = Address.objects.filter(account_id=account_id, verified_at__isnull=False)
        row = Membership.objects.select_related("mailing_list__domain", "address").filter(pk=number, role=MEMBER)
        found = row.filter(address__in=own).first()
        if found is None:
            raise ListError("you are not on this list any more")
        wanted = own.filter(key=_key(address)).first()
        if wanted is None:
            raise ListError("this is not an address of your account")
        if wanted.pk == found.address_id:
            return found.mailing_list.address
        relocating.put(found, wanted, by, now)
        return found.mailing_list.address


@dataclass(frozen=True, slots=True)
class Removal:
    """What taking somebody off every list did, or would do. `ownerless`: lists that nobody owns afterwards."""

    addresses: tuple[str, ...]
    lists: tuple[tuple[str, str, str], ...]  # (list, role, address)
    requests: int
    ownerless: tuple[str, ...]
    dry_run: bool = False


def remove_everywhere(
    address: str, now: int, *, by: str, whole_account: bool = False, dry_run: bool = False
) -> Removal:
    """Take an address off every list in every role, with what waits for it; archives stay. `now` in milliseconds.

    `whole_account`: all addresses of the account that owns it. Safe to repeat. Raises BadAddress.
    """
    with transaction():
        keys = {_key(address): address.strip()}
        account = accounts.find(address) if whole_account else None
        for one in account.addresses if account else ():
            keys.setdefault(_key(one), one)
        rows = Membership.objects.filter(address__key__in=list(keys))
        found = list(rows.select_related("mailing_list__domain", "address").order_by("id"))
        asked = Pending.objects.filter(address__in=list(keys))
        owned = {row.mailing_list_id for row in found if row.role == OWNER}
        others = Membership.objects.filter(role=OWNER, mailing_list__in=owned).exclude(address__key__in=list(keys))
        left = set(others.values_list("mailing_list_id", flat=True))
        alone = MailingList.objects.filter(pk__in=owned - left).select_related("domain")
        done = Removal(
            addresses=tuple(keys.values()),
            lists=tuple((row.mailing_list.address, row.role, row.address.original) for row in found),
            requests=asked.count(),
            ownerless=tuple(sorted(row.address for row in alone)),
            dry_run=dry_run,
        )
        if not dry_run:
            asked.delete()
            rows.delete()
            for name, role, shown in done.lists:
                maillog.subscription(now, 0, name, shown, f"was removed as {role}, from every list", by)
        return done


def _key(address: str) -> str:
    try:
        return addresses.checked(address).key
    except NoAddress as error:
        raise BadAddress(str(error)) from error
