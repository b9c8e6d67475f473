"""Held postings: released as if they had just been accepted, rejected with a reason, discarded; once."""

from __future__ import annotations

import hashlib

import pytest

from posthouse import maillog
from posthouse.archive.models import Posting
from posthouse.content.models import Content
from posthouse.directory import accounts
from posthouse.lists import creation, holding, roster
from posthouse.lists.errors import ListError, NoSuchHeld
from posthouse.lists.models import HeldPosting
from posthouse.message.headers import Fields
from posthouse.queue.models import Event
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
    assert Content.objects.count() == 0
    assert notices_for(EVE) == notices_for(OWEN) == []


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
