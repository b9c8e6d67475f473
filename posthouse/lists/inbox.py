"""What waits for moderators, a page at a time: on a list, or on all that somebody decides about; what was discarded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from posthouse.directory.models import Account
from posthouse.lists.addresses import list_pk
from posthouse.lists.errors import NoSuchHeld
from posthouse.lists.models import MODERATOR, OWNER, HeldPosting, MailingList, Membership, Pending

T = TypeVar("T", HeldPosting, Pending)

_A_MODERATOR = "moderator"  # as `Pending.waits_for` says it
MOST = 500  # that one call gives when nobody says how many


@dataclass(frozen=True, slots=True)
class HeldFacts:
    """A posting that waits. `content_id`: its exact bytes, in `content.keeping`.

    `discarded_at`, `discarded_by`: of one that was thrown away and can be restored; None where it waits.
    """

    id: int
    list_address: str
    author: str
    subject: str
    message_id: str
    size: int
    rule: str
    reason: str
    held_at: datetime
    item: int
    return_path: str
    content_id: int
    hits: tuple[str, ...] = ()
    discarded_at: datetime | None = None
    discarded_by: str = ""


@dataclass(frozen=True, slots=True)
class Charge:
    """A list that somebody runs or moderates: what it is called, and how much waits there for a decision."""

    address: str
    name: str
    owner: bool
    state: str
    held: int
    requests: int


def in_charge_of(account: int) -> list[Charge]:
    """The lists that an account owns or moderates by its verified addresses, by name. One question."""
    theirs = Membership.objects.filter(
        role__in=(OWNER, MODERATOR), address__account_id=account, address__verified_at__isnull=False
    )
    rows = MailingList.objects.filter(pk__in=theirs.values("mailing_list_id")).annotate(
        owned=Exists(theirs.filter(mailing_list_id=OuterRef("pk"), role=OWNER)),
        held=_number(HeldPosting.objects.all()),
        requests=_number(Pending.objects.filter(waits_for=_A_MODERATOR)),
    )
    found = [
        Charge(one.address, one.display_name or one.list_name, one.owned, one.state, one.held, one.requests)
        for one in rows.select_related("domain")
    ]
    return sorted(found, key=lambda one: (one.name.casefold(), one.address))


def _number(rows: QuerySet[HeldPosting] | QuerySet[Pending]) -> Coalesce:
    """How many of these rows belong to the list of the outer question."""
    own = rows.filter(mailing_list_id=OuterRef("pk")).order_by().values("mailing_list_id")
    return Coalesce(Subquery(own.annotate(number=Count("id")).values("number")), 0)


def held(
    mailing_list: int | str | None = None, account: int | None = None, *, limit: int = MOST, skip: int = 0
) -> list[HeldFacts]:
    """What waits, oldest first: on one list, or on all that an account decides about, or everywhere; a page of it.

    Raises NoSuchList.
    """
    rows = _of(HeldPosting.objects.all(), mailing_list, account).order_by("id")
    return [_facts(row) for row in rows[skip : skip + limit]]


def count(mailing_list: int | str | None = None, account: int | None = None) -> int:
    """How many wait there. Raises NoSuchList."""
    return _of(HeldPosting.objects.all(), mailing_list, account).count()


def discarded(
    mailing_list: int | str | None = None, account: int | None = None, *, limit: int = MOST, skip: int = 0
) -> list[HeldFacts]:
    """What was thrown away and can be restored, the latest first; a page of it. Raises NoSuchList."""
    rows = _of(HeldPosting.everything.exclude(discarded_at=None), mailing_list, account)
    return [_facts(row) for row in rows.order_by("-discarded_at", "-id")[skip : skip + limit]]


def show_held(number: int) -> HeldFacts:
    """One posting that waits. Raises NoSuchHeld."""
    row = _of(HeldPosting.objects.filter(pk=number), None, None).first()
    if row is None:
        raise NoSuchHeld(f"no posting is held under number {number}; it may have been decided already")
    return _facts(row)


def from_author(number: int, *, limit: int = MOST) -> list[HeldFacts]:
    """What waits on the same list from the author of this posting, it too. Raises NoSuchHeld."""
    one = show_held(number)
    rows = _of(HeldPosting.objects.filter(author__iexact=one.author), one.list_address, None)
    return [_facts(row) for row in rows.order_by("id")[:limit]]


def _of(rows: QuerySet[HeldPosting], mailing_list: int | str | None, account: int | None) -> QuerySet[HeldPosting]:
    rows = rows.filter(mailing_list__removed_at=None)  # a removed list's wait for its return
    if mailing_list is not None:
        rows = rows.filter(mailing_list_id=list_pk(mailing_list))
    return decided_by(rows, account).select_related("mailing_list__domain")


def decided_by(rows: QuerySet[T], account: int | None) -> QuerySet[T]:
    """Those of the lists that an account owns or moderates by a verified address; all for a superuser, and for None."""
    if account is None or Account.objects.filter(pk=account, is_superuser=True).exists():
        return rows
    theirs = Membership.objects.filter(
        role__in=(OWNER, MODERATOR), address__account_id=account, address__verified_at__isnull=False
    )
    return rows.filter(mailing_list_id__in=theirs.values("mailing_list_id"))


def _facts(row: HeldPosting) -> HeldFacts:
    return HeldFacts(
        id=row.pk,
        list_address=row.mailing_list.address,
        author=row.author,
        subject=row.subject,
        message_id=row.message_id,
        size=row.size,
        rule=row.rule,
        reason=row.reason,
        held_at=row.held_at,
        item=row.item,
        return_path=row.return_path,
        content_id=row.content_id,
        hits=tuple(row.hits.splitlines()),
        discarded_at=row.discarded_at,
        discarded_by=row.discarded_by,
    )
