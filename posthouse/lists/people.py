"""People with several addresses: accounts joined to one, with one subscription per list afterwards."""

from __future__ import annotations

from posthouse.database import transaction
from posthouse.directory import belonging
from posthouse.directory.accounts import AccountFacts
from posthouse.lists.models import Membership


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
