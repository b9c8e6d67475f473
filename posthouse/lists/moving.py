"""Domains with their lists: all move to another domain and stay reachable by the old one, until it is retired."""

from __future__ import annotations

from dataclasses import dataclass

from posthouse import wake
from posthouse.database import announce, transaction
from posthouse.directory import domains
from posthouse.directory.errors import DomainInUse
from posthouse.directory.models import Domain, DomainOwner
from posthouse.lists import changing
from posthouse.lists.errors import ListError
from posthouse.lists.models import MailingList
from posthouse.lists.people_models import ListAlias
from posthouse.lists.text_models import ListText


@dataclass(frozen=True, slots=True)
class Moved:
    """A domain whose lists moved: (old address, new address) of each."""

    old: str
    new: str
    lists: tuple[tuple[str, str], ...]


def rename_domain(old: str, new: str, *, new_list_id: bool = False) -> Moved:
    """Move every list of a domain into another, all or none; `new` is made ours when it is not. Old addresses work on.

    Owners, description and templates of the old domain go along; it stays ours and stands for the new one, so that
    every old address and page leads on until `remove_domain` retires it. Raises BadDomain, ListError's kinds.
    """
    before = domains.normal_name(old)
    with transaction():
        source = domains.show(before)
        after = domains.normal_name(new)
        if after == before:
            raise ListError(f"{after} has that name already")
        if not domains.is_ours(after):
            domains.add(after, source.description)
        target = domains.show(after)
        moved = []
        for row in MailingList.objects.filter(domain_id=source.id).select_related("domain").order_by("list_name"):
            was = row.address
            moved.append((was, changing.rename(row.pk, f"{row.list_name}@{after}", new_list_id=new_list_id).address))
        for account in DomainOwner.objects.filter(domain_id=source.id).values_list("account_id", flat=True):
            DomainOwner.objects.get_or_create(domain_id=target.id, account_id=account)
        for text in ListText.objects.filter(domain_id=source.id, mailing_list=None):
            kept = ListText.objects.filter(domain_id=target.id, name=text.name, language=text.language)
            if not kept.exists():
                ListText.objects.filter(pk=text.pk).update(domain_id=target.id)
        if not (target.stands_for or Domain.objects.filter(stands_for_id=source.id).exists()):
            domains.stand_for(before, after)
        announce(wake.DIRECTORY)
    return Moved(before, after, tuple(moved))


def remove_domain(name: str, *, with_old_names: bool = False) -> int:
    """Let a domain be ours no longer: mail for it is refused; how many old names of lists went with it.

    Only an empty domain goes: no list (a removed one that can still be restored counts), no alias, no domain that
    stands for it. `with_old_names`: addresses in it by which lists of other domains were reached stop working.
    Raises BadDomain, DomainInUse.
    """
    with transaction():
        facts = domains.show(name)
        names = ListAlias.objects.filter(domain_id=facts.id)
        count = names.count()
        if count and not with_old_names:
            raise DomainInUse(
                f"{count} addresses in {facts.name} still lead to lists of other domains; retire them as well "
                "with --with-old-names"
            )
        names.delete()
        domains.remove(facts.name)
    return count
