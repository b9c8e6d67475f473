"""Who decides about joining and leaving: the address, moderators, both, nobody; invitations; who is told."""

from __future__ import annotations

import pytest

from posthouse.directory import accounts, belonging
from posthouse.lists import approval, bans, creation, people, periodic, roster, subscription
from posthouse.lists.errors import BadSetting, JoiningClosed, NoSuchRequest, TokenSpent
from posthouse.lists.models import Pending
from tests.lists.scene import DAY, NOW, arrives, has_list, letter, notices_for
from tests.lists.test_joining import members, token_for, writes
from tests.people import ANA, BEN, EVE, GARDEN, OWEN

both = pytest.mark.usefixtures("database")
sqlite = pytest.mark.usefixtures("sqlite")


def asks(verified: bool = False, now: int = NOW) -> str:
    return subscription.request_join(GARDEN, EVE, "Eve", now, verified=verified)


@both
@pytest.mark.parametrize(
    ("policy", "known", "answers"),
    [
        ("open", False, ["asked", "joined"]),
        ("open", True, ["joined"]),
        ("confirm", False, ["asked", "joined"]),
        ("confirm", True, ["asked", "joined"]),
        ("moderate", False, ["asked", "waits", "joined"]),
        ("moderate", True, ["waits", "joined"]),
        ("confirm_then_moderate", True, ["asked", "waits", "joined"]),
    ],
)
def test_every_policy_asks_whom_it_says(policy: str, known: bool, answers: list[str]) -> None:
    has_list(subscription_policy=policy)
    if known:
        accounts.create(EVE)
    steps = [asks()]
    if steps[-1] == "asked":
        done = subscription.confirm(token_for(EVE), NOW)
        steps.append("waits" if done.waits else "joined")
    if steps[-1] == "waits":
        assert members() == []
        [request] = approval.waiting(GARDEN)
        assert (request.act, request.address, request.display_name) == ("join", EVE, "Eve")
        assert b"moderators" in notices_for(EVE)[-1]
        approval.approve(request.id, OWEN, NOW)
        steps.append("joined")
    assert steps == answers
    assert members() == [EVE]
    assert b"is now a member" in notices_for(EVE)[-1]


@sqlite
def test_who_is_signed_in_need_not_confirm_again() -> None:
    has_list()
    assert asks(verified=True) == "joined"


@sqlite
def test_a_moderator_approves_by_answering_the_notice_and_only_once() -> None:
    has_list(subscription_policy="moderate")
    accounts.create(EVE)
    assert [asks(), asks()] == ["waits", "waits"]
    [asked] = notices_for(OWEN)
    token = asked.partition(b"-confirm+")[2][:26].decode()
    looked = subscription.look_at(token, NOW)
    assert (looked.act, looked.address, looked.by_moderator) == ("join", EVE, True)
    arrives(letter(OWEN, subject="Re: asks"), f"garden-confirm+{token}@lists.example", OWEN)
    assert members() == [EVE]
    assert approval.waiting() == []
    with pytest.raises(TokenSpent):
        subscription.confirm(token, NOW)


@both
def test_a_rejected_request_tells_why_and_a_discarded_one_nothing() -> None:
    has_list(subscription_policy="moderate")
    accounts.create(EVE)
    asks()
    [request] = approval.waiting()
    approval.reject(request.id, "Members only.", OWEN, NOW)
    assert b"Members only." in notices_for(EVE)[-1]
    count = len(notices_for(EVE))
    asks(now=NOW + DAY)
    [request] = approval.waiting()
    approval.discard(request.id, OWEN, NOW)
    assert (approval.waiting(), members(), len(notices_for(EVE))) == ([], [], count + 1)  # that it waits, no more
    for act in (lambda: approval.approve(request.id, OWEN, NOW), lambda: approval.discard(request.id, OWEN, NOW)):
        with pytest.raises(NoSuchRequest):
            act()


@sqlite
def test_moderators_see_the_requests_of_their_lists_only() -> None:
    has_list(subscription_policy="moderate")
    has_list("other@lists.example", owners=[BEN], subscription_policy="moderate")
    accounts.create(EVE)
    asks()
    owen, ben, root = accounts.create(OWEN).id, accounts.create(BEN).id, accounts.create(ANA, superuser=True).id
    assert [len(approval.waiting(account=one)) for one in (owen, ben, root)] == [1, 0, 1]


@sqlite
def test_who_is_approved_by_a_setting_needs_no_moderator() -> None:
    has_list(subscription_policy="moderate", subscribe_auto_approval="@Elsewhere.example\nana@far.example")
    accounts.create(EVE)
    accounts.create(BEN)
    assert asks() == "joined"
    assert subscription.request_join(GARDEN, BEN, "", NOW) == "waits"
    with pytest.raises(BadSetting):
        creation.set_settings(GARDEN, {"subscribe_auto_approval": "no address"})


@both
@pytest.mark.parametrize(
    ("policy", "answers"),
    [
        ("open", ["left"]),
        ("confirm", ["asked", "left"]),
        ("moderate", ["waits", "left"]),
        ("confirm_then_moderate", ["asked", "waits", "left"]),
    ],
)
def test_leaving_has_the_same_policies(policy: str, answers: list[str]) -> None:
    has_list(members=[EVE], unsubscription_policy=policy)
    steps = [subscription.request_leave(GARDEN, EVE, NOW)]
    if steps[-1] == "asked":
        steps.append("waits" if subscription.confirm(token_for(EVE), NOW).waits else "left")
    if steps[-1] == "waits":
        assert members() == [EVE]
        approval.approve(approval.waiting()[0].id, OWEN, NOW)
        steps.append("left")
    assert steps == answers
    assert members() == []


@sqlite
def test_the_unsubscribe_link_asks_no_moderator() -> None:
    pk = has_list(members=[EVE], unsubscription_policy="confirm_then_moderate")
    assert subscription.leave_now(pk, EVE, "one-click", NOW)


@both
def test_an_invited_address_joins_a_closed_list_by_answering() -> None:
    has_list(subscription_policy="closed")
    with pytest.raises(JoiningClosed):
        asks()
    assert subscription.invite(GARDEN, EVE, "Eve", NOW, by=OWEN, words="Come and dig.") == "asked"
    assert b"Come and dig." in notices_for(EVE)[-1]
    assert subscription.invite(GARDEN, EVE, "Eve", NOW, by=OWEN) == "asked-before"
    writes(f"garden-confirm+{token_for(EVE)}@lists.example", "Re: confirm", now=NOW + 20 * DAY)
    assert members() == [EVE]
    assert subscription.invite(GARDEN, EVE, "Eve", NOW, by=OWEN) == "already-member"


@sqlite
def test_banned_people_and_paused_lists_take_nobody() -> None:
    has_list()
    bans.ban("@elsewhere.example", GARDEN, by=OWEN, now=NOW)
    for act in (asks, lambda: subscription.invite(GARDEN, EVE, "", NOW, by=OWEN)):
        with pytest.raises(JoiningClosed):
            act()
    bans.lift("@elsewhere.example", GARDEN)
    assert asks() == "asked"
    creation.set_state(GARDEN, "paused", now=NOW)
    with pytest.raises(JoiningClosed, match="paused"):
        subscription.confirm(token_for(EVE), NOW)
    creation.set_state(GARDEN, "active", now=NOW)
    subscription.invite(GARDEN, BEN, "", NOW, by=OWEN)
    creation.set_state(GARDEN, "paused", now=NOW)
    with pytest.raises(JoiningClosed, match="paused"):
        subscription.confirm(token_for(BEN), NOW)
    writes("garden-join@lists.example", author=ANA)
    assert b"is paused" in notices_for(ANA)[-1]
    assert members() == []


@sqlite
def test_owners_are_told_of_who_joins_and_leaves_where_they_want_it() -> None:
    pk = has_list(admin_notify_mchanges="yes")
    asks(verified=True)
    subscription.leave_now(pk, EVE, "one-click", NOW)
    assert [EVE.encode() in one for one in notices_for(OWEN)] == [True, True]
    creation.set_settings(GARDEN, {"admin_notify_mchanges": "no"})
    asks(verified=True)
    assert len(notices_for(OWEN)) == 2


@both
def test_a_person_has_one_subscription_and_uses_any_of_their_addresses() -> None:
    has_list(members=[ANA])
    account = accounts.create(ANA).id
    token = belonging.ask_for_address(account, BEN, NOW)
    assert people.confirm_address(token, account, NOW).addresses == (ANA, BEN)
    assert subscription.request_join(GARDEN, BEN, "", NOW, verified=True) == "already-member"
    assert not roster.add(GARDEN, BEN)
    assert roster.add_many(GARDEN, [("", BEN), ("", EVE)]).added == 1
    assert members() == [ANA, EVE]
    assert subscription.request_leave(GARDEN, BEN, NOW, verified=True) == "left"
    assert members() == [EVE]


@sqlite
def test_requests_that_waited_too_long_go() -> None:
    has_list(subscription_policy="moderate")
    accounts.create(EVE)
    asks()
    periodic.run(NOW + 179 * DAY)
    assert Pending.objects.count() == 1
    periodic.run(NOW + 181 * DAY)
    assert Pending.objects.count() == 0
