"""Whether an entry of a setting names an address: an address, `@domain`, `@list@domain` or a `^expression`."""

from __future__ import annotations

from collections.abc import Iterable

from posthouse.lists.expressions import Patience
from posthouse.lists.models import MEMBER, Membership


def names(item: str, key: str, patience: Patience) -> bool:
    """Whether the entry names this address (key)."""
    if item.startswith("^"):
        return patience.finds(item, key)
    if not item.startswith("@"):
        return item == key
    name, at, host = item[1:].rpartition("@")
    if not at:
        return key.endswith(item)
    return Membership.objects.filter(
        mailing_list__list_name=name, mailing_list__domain__name=host, role=MEMBER, address__key=key
    ).exists()


def naming(entries: Iterable[str], key: str, patience: Patience) -> str:
    """The first entry that names this address, "" when none does."""
    return next((item for item in entries if names(item, key, patience)), "")
