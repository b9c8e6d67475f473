"""Lists are created, shown and set here; what may happen to them later (`changing`) can be called here too."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence

from posthouse import wake
from posthouse.archive import archives
from posthouse.database import announce, transaction
from posthouse.directory import accounts
from posthouse.lists import notices, roster, settings, styles
from posthouse.lists.changing import add_alias, purge, remove, remove_alias, removed, rename, restore, set_state
from posthouse.lists.facts import ListFacts, checked, facts_of, free, row_of, show
from posthouse.lists.models import OWNER, MailingList

__all__ = [
    "ListFacts", "add_alias", "all_lists", "create", "purge", "remove", "remove_alias", "removed", "rename", "restore",
    "set_settings", "set_state", "show",
]  # fmt: skip

# Settings that the archive keeps a copy of, since it knows nothing of lists.
_OF_THE_ARCHIVE = {"display_name", "description", "archive_policy", "obscure_addresses", "archive_rendering_mode"}


def create(
    address: str, owners: Sequence[str], style: str = "discussion", display_name: str = "", now: int | None = None
) -> ListFacts:
    """Make a list with its owners and its archive; routable at once. `now` in milliseconds, by itself the present.

    The people of the trust role and the owners of the domain are told. Raises BadName, ListExists, NoSuchList (its
    domain is not ours), BadAddress (an owner), BadSetting (the style).
    """
    name, host = checked(address)
    shown = " ".join(display_name.split()) or name[:1].upper() + name[1:]
    values = styles.defaults(style, settings.parse("display_name", shown))  # type: ignore[arg-type]
    with transaction():
        domain = free(name, host)
        row = MailingList(list_name=name, domain=domain, list_id=f"{name}.{host}", style=style)
        if MailingList.everything.filter(list_id=row.list_id).exists():  # kept by a list that was renamed
            row.list_id = f"{name}-{secrets.token_hex(4)}.{host}"
        for setting, value in values.items():
            setattr(row, setting, value)
        row.save()
        for owner in owners:
            roster.add(row.pk, owner, role=OWNER)
        archives.open_archive(
            f"{name}@{host}",
            row.display_name,
            row.description,
            row.archive_policy,
            row.obscure_addresses,
            row.archive_rendering_mode,
        )
        told = accounts.told_of_new_lists(host)
        if told:
            at = time.time_ns() // 1_000_000 if now is None else now
            notices.send(row, "new-list", told, {"owners": ", ".join(owners), "style": style}, now=at)
        announce(wake.DIRECTORY)
        return facts_of([row])[0]


def all_lists() -> list[ListFacts]:
    """Every list, by domain and name; as many questions to the database for one as for a thousand."""
    return facts_of(MailingList.objects.select_related("domain").order_by("domain__name", "list_name"))


def set_settings(address: int | str, values: Mapping[str, str]) -> ListFacts:
    """Change settings given as text, all or none. Raises NoSuchList, BadSetting."""
    parsed = {name: settings.parse(name, text) for name, text in values.items()}
    with transaction():
        row = row_of(address)
        for name, value in parsed.items():
            setattr(row, name, value)
        if parsed:
            row.save(update_fields=list(parsed))
        if _OF_THE_ARCHIVE & set(parsed):
            archives.update_archive(
                f"{row.list_name}@{row.domain.name}",
                row.display_name,
                row.description,
                row.archive_policy,
                row.obscure_addresses,
                row.archive_rendering_mode,
            )
        announce(wake.DIRECTORY)
        return facts_of([row])[0]
