"""Sibling lists: whose members get copies too, and how one of those ends that."""

from __future__ import annotations

from collections.abc import Iterable

from posthouse.directory.models import Address
from posthouse.lists.addresses import list_pk
from posthouse.lists.errors import NoSuchList
from posthouse.lists.models import BY_USER, MEMBER, MailingList, Membership
from posthouse.lists.settings import items


def numbers(row: MailingList, addresses: Iterable[str]) -> list[int]:
    """The numbers of these lists, but for the list itself and those that are gone."""
    found: dict[int, None] = {}
    for address in addresses:
        try:
            found[list_pk(address)] = None
        except NoSuchList:
            continue
    found.pop(row.pk, None)
    return list(found)


def end_copies(row: MailingList, key: str) -> bool:
    """Send no more copies to somebody who is on an included list: whether they were.

    They are on this list then, with delivery stopped: what a person wants here counts before that.
    """
    if not row.regular_include_lists:
        return False
    included = numbers(row, items(row.regular_include_lists))
    address = Address.objects.filter(key=key, membership__mailing_list_id__in=included, membership__role=MEMBER).first()
    if address is None:
        return False
    Membership.objects.update_or_create(
        mailing_list=row, address=address, role=MEMBER, defaults={"delivery_status": BY_USER}
    )
    return True
