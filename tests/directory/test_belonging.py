"""One person, several addresses: added by who reads mail there, given up, merged; nobody loses an account to a link."""

from __future__ import annotations

import pytest

from posthouse.directory import accounts, belonging, domains, preferences
from posthouse.directory.errors import AccountExists, BadAddress, DirectoryError, LinkSpent, NoSuchAccount
from posthouse.lists import people, roster
from tests.lists.scene import DAY, HOUR, NOW, copies, has_list, posts
from tests.people import ANA, BEN, EVE, GARDEN, OWEN

both = pytest.mark.usefixtures("database")
sqlite = pytest.mark.usefixtures("sqlite")
WORK = "ana@work.example"


@both
def test_an_address_is_added_by_a_link_once_within_a_day_and_by_the_account_that_asked() -> None:
    ana, eve = accounts.create(ANA).id, accounts.create(EVE).id
    token = belonging.ask_for_address(ana, "Ana@Work.example", NOW)
    for account, now in ((eve, NOW), (ana, NOW + DAY)):
        with pytest.raises(LinkSpent):
            belonging.confirm_address(token, account, now)
    assert belonging.look_at_address(token, ana, NOW) == ("Ana@work.example", "")
    assert belonging.confirm_address(token, ana, NOW + HOUR).addresses == (ANA, "Ana@work.example")
    for spent in (token, "", "x" * 5000, "é"):
        with pytest.raises(LinkSpent):
            belonging.confirm_address(spent, ana, NOW + HOUR)
    assert accounts.find(WORK) == accounts.find(ANA)
    with pytest.raises(AccountExists):
        belonging.ask_for_address(ana, WORK, NOW)


@sqlite
def test_asking_is_bounded_and_a_newer_link_takes_the_place_of_an_older() -> None:
    ana = accounts.create(ANA).id
    first = belonging.ask_for_address(ana, WORK, NOW)
    with pytest.raises(DirectoryError, match="within the last hour"):
        belonging.ask_for_address(ana, WORK, NOW + HOUR - 1000)
    with pytest.raises(DirectoryError, match="within the last hour"):
        belonging.ask_for_address(accounts.create(EVE).id, WORK, NOW)
    second = belonging.ask_for_address(ana, WORK, NOW + HOUR)
    with pytest.raises(LinkSpent):
        belonging.confirm_address(first, ana, NOW + HOUR)
    for number in range(belonging.MOST_LINKS - 1):
        belonging.ask_for_address(ana, f"a{number}@far.example", NOW + HOUR)
    with pytest.raises(DirectoryError, match="too many"):
        belonging.ask_for_address(ana, "more@far.example", NOW + HOUR)
    assert len(belonging.waiting(ana, NOW + HOUR)) == belonging.MOST_LINKS
    assert belonging.confirm_address(second, ana, NOW + HOUR).addresses == (ANA, WORK)
    for wrong, error in (("ana", BadAddress), (ANA, AccountExists)):
        with pytest.raises(error):
            belonging.ask_for_address(ana, wrong, NOW)
    with pytest.raises(NoSuchAccount):
        belonging.ask_for_address(999, BEN, NOW)


@both
def test_the_primary_address_comes_first_until_another_is_chosen_or_it_is_given_up() -> None:
    ana = accounts.create(ANA, superuser=True).id
    belonging.give(ana, WORK, NOW)
    assert accounts.show(ana).address == ANA
    assert belonging.prefer(ana, WORK.upper()).addresses == (WORK, ANA)
    assert accounts.superuser_addresses() == [WORK]
    domains.add("lists.example")
    assert domains.add_owner("lists.example", ANA).owners == (WORK,)
    assert accounts.told_of_new_lists("lists.example") == [WORK]
    with pytest.raises(NoSuchAccount):
        belonging.prefer(ana, BEN)
    other = accounts.create(BEN).id
    belonging.prefer(other, BEN)
    assert belonging.merge(ana, other).addresses == (WORK, ANA, BEN)
    assert belonging.remove_address(ana, WORK).addresses == (ANA, BEN)


@both
def test_merging_keeps_every_right_and_one_subscription_per_list() -> None:
    has_list(members=[ANA, WORK])
    has_list("chess@lists.example", members=[WORK])
    ana, work = accounts.create(ANA, "Ana").id, accounts.create(WORK, "Ana at work", password="a long password").id
    domains.add_owner("lists.example", WORK)
    preferences.set_account(work, {"receive_own_postings": False, "acknowledge_posts": True})
    preferences.set_account(ana, {"acknowledge_posts": False})
    token = belonging.ask_for_address(ana, WORK, NOW)
    assert belonging.look_at_address(token, ana, NOW) == (WORK, "Ana at work")
    facts = people.confirm_address(token, ana, NOW)
    assert (facts.addresses, facts.display_name) == ((ANA, WORK), "Ana")
    assert domains.owned_by(ana) == {"lists.example"}
    assert accounts.check_password(ANA, "a long password") == facts
    said = preferences.of_account(ana)
    assert (said["receive_own_postings"], said["acknowledge_posts"]) == (False, False)
    assert [one.address for one in roster.members(GARDEN)] == [ANA]
    assert [one.address for one in roster.members("chess@lists.example")] == [WORK]
    assert roster.roles_of(ana).member == {GARDEN, "chess@lists.example"}
    with pytest.raises(NoSuchAccount):
        accounts.show(work)
    with pytest.raises(DirectoryError):
        belonging.merge(ana, ana)


@both
def test_a_member_posts_from_any_of_their_addresses() -> None:
    has_list(members=[ANA, BEN])
    ana = accounts.create(ANA).id
    assert "held" in posts(WORK).reply
    people.give(ana, WORK, NOW)
    roster.set_preferences(GARDEN, ANA, receive_own_postings=False)
    assert "accepted" in posts(WORK, subject="Again").reply
    assert copies() == [BEN]  # it is her own posting, whichever address she used


@sqlite
def test_an_address_is_given_up_but_never_the_last() -> None:
    ana = accounts.create(ANA).id
    people.give(ana, WORK, NOW)
    assert belonging.remove_address(ana, ANA).addresses == (WORK,)
    assert accounts.find(ANA) is None
    with pytest.raises(DirectoryError, match="keeps one"):
        belonging.remove_address(ana, WORK)
    with pytest.raises(NoSuchAccount):
        belonging.remove_address(ana, OWEN)


@sqlite
def test_an_address_that_asked_for_a_link_and_never_used_it_can_be_added() -> None:
    ana = accounts.create(ANA).id
    has_list(members=[WORK])
    accounts.sign_in_link(WORK, NOW)  # a stranger asked: an account was begun
    assert people.give(ana, WORK, NOW).addresses == (ANA, WORK)


@both
@pytest.mark.parametrize("place", ["member", "address", "account", "site"])
def test_preferences_are_looked_up_from_the_membership_to_the_site(place: str) -> None:
    has_list(members=[ANA, BEN])
    ana = accounts.create(ANA).id
    says = {
        "member": lambda value: roster.set_preferences(GARDEN, ANA, delivery_status=value),
        "address": lambda value: preferences.set_address(ANA, {"delivery_status": value}),
        "account": lambda value: preferences.set_account(ana, {"delivery_status": value}),
        "site": lambda value: preferences.set_site({"delivery_status": value}),
    }
    order = list(says)
    for weaker in order[order.index(place) + 1 :]:
        says[weaker]("enabled")
    says[place]("by_user")
    assert roster.find(ANA)[0].delivery_status == "by_user"
    posts(EVE)
    posts(BEN)
    assert ANA not in copies()
    for stronger in order[: order.index(place)][-1:]:
        says[stronger]("enabled")
        assert roster.find(ANA)[0].delivery_status == "enabled"
        posts(BEN, subject="Again", now=NOW + HOUR)
        assert ANA in copies()


@sqlite
@pytest.mark.parametrize(
    ("name", "value"),
    [("colour", True), ("delivery_status", "by_bounces"), ("delivery_mode", "weekly"), ("hide_address", "yes"),
     ("preferred_language", "f" * 17), ("preferred_language", "fr;")],
)  # fmt: skip
def test_a_preference_that_cannot_be_is_refused(name: str, value: str | bool) -> None:
    ana = accounts.create(ANA).id
    with pytest.raises(DirectoryError):
        preferences.set_account(ana, {name: value})
    assert preferences.of_site() == dict.fromkeys(preferences.KINDS)


@sqlite
def test_preferences_are_read_from_text() -> None:
    assert preferences.parsed("hide_address", "On") is True
    assert preferences.parsed("delivery_mode", " mime_digests ") == "mime_digests"
    assert preferences.parsed("preferred_language", "") is None
    with pytest.raises(DirectoryError):
        preferences.parsed("hide_address", "perhaps")
