"""Held postings: released as if they had just been accepted, rejected with a reason, discarded; once."""

from __future__ import annotations

import hashlib

import pytest

from posthouse import maillog
from posthouse.archive.models import Posting
from posthouse.content.models import Content
from posthouse.directory import accounts
from posthouse.lists import creation, holding, periodic, roster
from posthouse.lists.errors import ListError, NoSuchHeld
from posthouse.lists.models import HeldPosting
from posthouse.message.headers import Fields
from posthouse.queue.models import Event
from posthouse.queue.trace import trace
from tests.lists.scene import DAY, NOW, arrives, copies, has_list, letter, notices_for, posts, waiting
from tests.people import ANA, BEN, EVE, GARDEN, OWEN

both = pytest.mark.usefixtures("database")
sqlite = pytest.mark.usefixtures("sqlite")


@both
def test_a_released_posting_reaches_members_and_archive_with_its_own_bytes() -> None:
    has_list(members=[ANA, BEN])
    posts(EVE)
    [held] = holding.held(GARDEN)
    assert (held.list_address, held.author, held.rule) == (GARDEN, EVE, "nonmember")

    assert holding.release(held.id, "owen", NOW + DAY) == 2

    assert copies() == [ANA, BEN]
    [(_, content, _)] = waiting()
    assert Fields(content).first("from") == EVE
    row = Content.objects.get(pk=Posting.objects.get().content_id)
    assert (bytes(row.digest), row.uses) == (hashlib.sha256(letter(EVE)).digest(), 2)  # archive, next digest
    maillog.flush()
    events = Event.objects.filter(item=held.item).order_by("id").values_list("kind", flat=True)
    assert [kind for kind in events if kind in ("judged", "moderated", "filed")] == ["judged", "moderated", "filed"]


@both
def test_a_rejected_posting_goes_back_with_the_reason() -> None:
    has_list(respond_to_post_requests="no")
    posts(EVE)
    [held] = holding.held()
    with pytest.raises(ListError, match="why"):
        holding.reject(held.id, "  ", "owen", NOW)

    holding.reject(held.id, "Please write about gardens.", "owen", NOW)

    [told] = notices_for(EVE)
    assert b"Please write about gardens." in told
    assert Fields(told).first("in-reply-to") == "<tomatoes@far.example>"
    assert (HeldPosting.objects.count(), Posting.objects.count()) == (0, 0)
    assert hashlib.sha256(letter(EVE)).digest() not in [bytes(row.digest) for row in Content.objects.all()]


@sqlite
def test_a_discarded_posting_is_gone_and_nobody_is_told() -> None:
    has_list(respond_to_post_requests="no", admin_immed_notify="no")
    posts(EVE)
    holding.discard(holding.held()[0].id, "owen", NOW)
    assert (holding.held(), holding.count()) == ([], 0)
    assert notices_for(EVE) == notices_for(OWEN) == []
    assert periodic.run_now("expiry", NOW + 15 * DAY).failed == ()
    assert (Content.objects.count(), HeldPosting.everything.count()) == (0, 0)


@sqlite
def test_a_discarded_posting_can_be_restored_for_some_days() -> None:
    has_list(members=[ANA])
    posts(EVE)
    [held] = holding.held()
    holding.ban_author(held.id, "owen", NOW)
    assert holding.held(GARDEN) == [] and creation.show(GARDEN).held == 0
    [gone] = holding.discarded(GARDEN)
    assert (gone.id, gone.discarded_by, gone.subject) == (held.id, "owen", held.subject)
    periodic.run_now("expiry", NOW + 13 * DAY)
    back = holding.restore(held.id, "owen", NOW + 13 * DAY)
    assert back.discarded_at is None and holding.count(GARDEN) == 1
    with pytest.raises(NoSuchHeld):
        holding.restore(held.id, "owen", NOW + 13 * DAY)  # once
    assert holding.release(held.id, "owen", NOW + 13 * DAY) == 1
    assert HeldPosting.everything.count() == 0
    assert any("restored by owen" in line.sentence for line in trace(EVE))


@sqlite
def test_what_expired_can_be_restored_and_then_waits_anew() -> None:
    has_list(members=[ANA], max_days_to_hold="5")
    posts(EVE)
    number = holding.held()[0].id
    periodic.run_now("expiry", NOW + 6 * DAY)
    assert holding.held() == [] and holding.discarded()[0].discarded_by == "max_days_to_hold"
    holding.restore(number, "owen", NOW + 6 * DAY)
    periodic.run_now("expiry", NOW + 7 * DAY)
    assert holding.count() == 1


@sqlite
def test_what_waits_is_shown_a_page_at_a_time() -> None:
    has_list(respond_to_post_requests="no", admin_immed_notify="no")
    for number in range(5):
        posts(EVE, "x", GARDEN, f"Subject {number}", NOW, f"Message-ID: <{number}@far.example>")
    first, second = holding.held(GARDEN, limit=3), holding.held(GARDEN, limit=3, skip=3)
    assert [one.subject for one in first + second] == [f"Subject {number}" for number in range(5)]
    assert holding.count(GARDEN) == 5 and len(holding.from_author(first[0].id, limit=2)) == 2
    holding.decide_many([one.id for one in first], "discard", "owen", NOW)
    assert [one.subject for one in holding.discarded(limit=1, skip=1)] == ["Subject 1"]


@sqlite
def test_a_thousand_held_postings_cost_one_page() -> None:
    pk = has_list()
    posts(EVE)
    row = HeldPosting.objects.get()
    values = {one.attname: getattr(row, one.attname) for one in HeldPosting._meta.fields if one.attname != "id"}
    HeldPosting.objects.bulk_create(HeldPosting(**values) for _ in range(1000))
    assert len(holding.held(pk)) == 500 and holding.count(pk) == 1001


@sqlite
def test_a_posting_is_decided_once() -> None:
    has_list(members=[ANA])
    posts(EVE)
    [held] = holding.held()
    holding.release(held.id, "owen", NOW)
    for again in (
        lambda: holding.release(held.id, "ben", NOW),
        lambda: holding.reject(held.id, "no", "ben", NOW),
        lambda: holding.discard(held.id, "ben", NOW),
        lambda: holding.show_held(held.id),
    ):
        with pytest.raises(NoSuchHeld):
            again()
    assert copies() == [ANA]


@sqlite
def test_an_account_sees_what_waits_on_the_lists_it_runs() -> None:
    has_list()
    has_list("other@lists.example", owners=[BEN])
    posts(EVE)
    posts(EVE, to="other@lists.example")
    owen = accounts.create(OWEN)
    root = accounts.create(ANA, superuser=True)
    assert [one.list_address for one in holding.held(account=owen.id)] == [GARDEN]
    assert len(holding.held(account=root.id)) == len(holding.held()) == 2
    roster.add("other@lists.example", OWEN, role="moderator")
    assert len(holding.held(account=owen.id)) == 2


@sqlite
def test_the_prefix_that_reception_made_is_kept_for_the_release() -> None:
    has_list(members=[ANA])
    content = letter(EVE, GARDEN, "Tomatoes", "Ripe", "Message-ID:")
    arrives(content, GARDEN, EVE, prefix=b"Message-ID: <added@mx.lists.example>\r\n")
    holding.release(holding.held()[0].id, "owen", NOW)
    assert Posting.objects.get().message_id == "added@mx.lists.example"


@sqlite
def test_without_owners_the_administrators_are_told() -> None:
    has_list(owners=[])
    accounts.create(BEN, superuser=True)
    posts(EVE)
    assert len(notices_for(BEN)) == 1


@sqlite
def test_a_list_that_counts_what_waits_shows_it() -> None:
    has_list()
    posts(EVE)
    assert creation.show(GARDEN).held == 1
