"""What happens to a list after its creation: another name, other addresses, another state, removal and the way back."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from posthouse import wake
from posthouse.archive import archives
from posthouse.archive.errors import ArchiveError, NoSuchArchive
from posthouse.content import keeping
from posthouse.database import announce, transaction
from posthouse.directory.moments import moment
from posthouse.lists import notices, roster
from posthouse.lists.digest_models import DigestPosting
from posthouse.lists.errors import BadSetting, ListExists, NoSuchList
from posthouse.lists.facts import ListFacts, checked, free, row_of, show
from posthouse.lists.models import (
    ACTIVE,
    CLOSED,
    DISABLED,
    PAUSED,
    Bounce,
    HeldPosting,
    MailingList,
    Membership,
    Pending,
)
from posthouse.lists.news_models import NewsArticle
from posthouse.lists.people_models import ALIAS, RENAMED, ListAlias

STATES: Mapping[str, str] = {
    ACTIVE: "it works",
    PAUSED: "it takes no postings and no new members for a while; leaving works, its archive can be read",
    CLOSED: "it takes no postings and no new members any more; its archive stays",
    DISABLED: "it discards what comes to it and answers nothing, as if everybody were banned; leaving works",
}
RESTORABLE = timedelta(days=30)  # how long a removed list can be brought back
_MARKED = re.compile(r"~\d+\Z")
_LONGEST_REASON = 255


@dataclass(frozen=True, slots=True)
class RemovedList:
    """A list that was removed and can be restored until `until`."""

    pk: int
    address: str
    members: int
    archive_kept: bool
    removed_at: datetime
    until: datetime


def set_state(address: int | str, state: str, reason: str = "", now: int | None = None) -> ListFacts:
    """Let a list be in one of STATES; its owners and moderators are told. `now` in milliseconds.

    `reason` is shown to visitors. Raises NoSuchList, BadSetting.
    """
    if state not in STATES:
        raise BadSetting(f"a list is {', '.join(STATES)}, not {state!r}")
    at = _now(now)
    with transaction():
        row = row_of(address)
        before, said = row.state, " ".join(reason.split())[:_LONGEST_REASON]
        if (before, row.state_reason) != (state, said):
            row.state, row.state_reason, row.state_since = state, said, moment(at)
            row.save(update_fields=["state", "state_reason", "state_since"])
        if before != state:
            told = roster.staff(row.pk)
            means = STATES[state]
            if told:
                values = {"state": state, "means": means, "reason": said or "(no reason was given)"}
                notices.send(row, "state", told, values, now=at)
        announce(wake.DIRECTORY)
        return show(row.pk)


def rename(old: int | str, new: str, *, new_list_id: bool = False) -> ListFacts:
    """Give a list another address, in one act: members, settings, held mail, bans, templates and archive go along.

    The old address works on, with every suffix, and its pages redirect. The List-Id, which people's filters name
    (RFC 2919 §3), stays unless `new_list_id`. Raises NoSuchList, BadName, ListExists.
    """
    name, host = checked(new)
    with transaction():
        row = row_of(old)
        domain = free(name, host, row.pk)
        before = row.address
        if before == f"{name}@{host}":
            raise ListExists(f"{before} has that name already")
        ListAlias.objects.filter(domain=domain, list_name=name).delete()  # it takes an old name of its own back
        ListAlias.objects.update_or_create(
            domain=row.domain, list_name=row.list_name, defaults={"mailing_list": row, "kind": RENAMED}
        )
        row.list_name, row.domain = name, domain
        if new_list_id:
            row.list_id = f"{name}.{host}"
            if MailingList.everything.filter(list_id=row.list_id).exclude(pk=row.pk).exists():
                raise ListExists(f"another list has the List-Id {row.list_id}")
        row.save(update_fields=["list_name", "domain", "list_id"])
        try:
            archives.rename_archive(before, row.address)
        except NoSuchArchive:
            archives.open_archive(
                row.address,
                row.display_name,
                row.description,
                row.archive_policy,
                row.obscure_addresses,
                row.archive_rendering_mode,
            )
        except ArchiveError as error:
            raise ListExists(f"the archive of a removed list {row.address} is in the way: {error}") from error
        announce(wake.DIRECTORY)
        return show(row.pk)


def add_alias(mailing_list: int | str, address: str) -> ListFacts:
    """Let another address, in any domain of ours, lead to a list too, with every suffix. Raises ListError's kinds."""
    name, host = checked(address)
    with transaction():
        row = row_of(mailing_list)
        domain = free(name, host)
        ListAlias.objects.create(domain=domain, list_name=name, mailing_list=row, kind=ALIAS)
        announce(wake.DIRECTORY)
        return show(row.pk)


def remove_alias(address: str) -> ListFacts:
    """Take an alias or an old name away; mail to it is refused from now on. Raises NoSuchList when it is none."""
    name, _, host = address.strip().lower().rpartition("@")
    with transaction():
        found = ListAlias.objects.filter(domain__name=host, list_name=name).first()
        if found is None:
            raise NoSuchList(f"{address} is no other address of a list")
        pk = found.mailing_list_id
        found.delete()
        announce(wake.DIRECTORY)
        return show(pk)


def remove(address: int | str, *, keep_archive: bool = True, now: int | None = None) -> ListFacts:
    """Remove a list; what it was, as facts. For 30 days `restore` brings it back with everything.

    Mail to it is refused at once. Its archive stays to be read, or is hidden now and deleted with the rest. Raises
    NoSuchList. `now` in milliseconds, by itself the present.
    """
    with transaction():
        row = row_of(address)
        facts = show(row.pk)
        Pending.objects.filter(mailing_list=row).delete()
        row.removed_at, row.archive_kept = moment(_now(now)), keep_archive
        if not keep_archive:
            _move_archive(row.address, _marked(row.address, row.pk), "never")
        row.list_name, row.list_id = f"{row.list_name}~{row.pk}", f"{row.list_id}~{row.pk}"
        row.save(update_fields=["removed_at", "archive_kept", "list_name", "list_id"])
        announce(wake.DIRECTORY)
    return facts


def removed() -> list[RemovedList]:
    """The lists that can be restored, the latest first."""
    rows = MailingList.everything.exclude(removed_at=None).select_related("domain").order_by("-removed_at")
    return [
        RemovedList(
            row.pk,
            f"{_bare(row.list_name)}@{row.domain.name}",
            Membership.objects.filter(mailing_list=row, role="member").count(),
            row.archive_kept,
            row.removed_at,
            row.removed_at + RESTORABLE,
        )
        for row in rows
        if row.removed_at is not None
    ]


def restore(address: int | str) -> ListFacts:
    """Bring a removed list back as it was; by its number or address (the latest removed of that address).

    Raises NoSuchList (none was removed in the last 30 days), ListExists (the name is taken meanwhile).
    """
    with transaction():
        found = next((one for one in removed() if address in (one.pk, one.address)), None)
        if found is None:
            raise NoSuchList(f"no list {address} was removed in the last {RESTORABLE.days} days")
        row = MailingList.everything.select_related("domain").get(pk=found.pk)
        name, host = _bare(row.list_name), row.domain.name
        free(name, host, row.pk)
        row.list_name, row.list_id, row.removed_at = name, _bare(row.list_id), None
        if MailingList.everything.filter(list_id=row.list_id).exclude(pk=row.pk).exists():
            raise ListExists(f"another list has the List-Id {row.list_id} now")
        row.save(update_fields=["list_name", "list_id", "removed_at"])
        if not row.archive_kept:
            _move_archive(_marked(row.address, row.pk), row.address, row.archive_policy)
        announce(wake.DIRECTORY)
        return show(row.pk)


def purge(now: int) -> int:
    """Delete for good what was removed more than 30 days ago; how many lists. `now` in milliseconds."""
    gone = MailingList.everything.filter(removed_at__lte=moment(now) - RESTORABLE).select_related("domain")
    for row in list(gone):
        with transaction():
            for waiting in (HeldPosting, DigestPosting, NewsArticle):
                rows = waiting._base_manager.filter(mailing_list=row)
                keeping.release(list(rows.values_list("content_id", flat=True)))
            for kept in (HeldPosting, DigestPosting, NewsArticle, Pending, Bounce, Membership):
                kept._base_manager.filter(mailing_list=row).delete()
            if not row.archive_kept:
                try:
                    archives.remove_archive(_marked(f"{_bare(row.list_name)}@{row.domain.name}", row.pk))
                except NoSuchArchive:
                    pass
            row.delete()
    return len(gone)


def _move_archive(address: str, new: str, policy: str) -> None:
    try:
        archives.rename_archive(address, new)
        archives.update_archive(new, policy=policy)
    except NoSuchArchive:
        return
    except ArchiveError as error:
        raise ListExists(str(error)) from error


def _marked(address: str, pk: int) -> str:
    """The address under which a removed list's archive waits; no list can have it."""
    name, _, host = address.rpartition("@")
    return f"{name}~{pk}@{host}"


def _bare(name: str) -> str:
    return _MARKED.sub("", name)


def _now(now: int | None) -> int:
    return time.time_ns() // 1_000_000 if now is None else now
