"""Lists get other names, other addresses and other states, are removed and come back; nothing is lost on the way."""

from __future__ import annotations

import time

import pytest

from posthouse.archive import archives, reading
from posthouse.archive.errors import NoSuchArchive
from posthouse.archive.models import Archive, Posting
from posthouse.content.models import Content
from posthouse.directory import accounts, domains
from posthouse.lists import addresses, creation, holding, roster, subscription, waiting
from posthouse.lists.errors import BadName, BadSetting, JoiningClosed, ListExists, NoSuchList
from posthouse.routing import Refused, ToList, route
from tests.lists.scene import DAY, arrives, copies, has_list, letter, notices_for, posts
from tests.lists.scene import waiting as queued
from tests.people import ANA, BEN, EVE, GARDEN, OWEN

both = pytest.mark.usefixtures("database")
sqlite = pytest.mark.usefixtures("sqlite")
PARK = "park@lists.example"


def now() -> int:
    return time.time_ns() // 1_000_000


def leads_to(address: str) -> tuple[str, str]:
    """(list, role) of an address, or (reply, why)."""
    found = route(address)
    if isinstance(found, ToList):
        return found.list_address, found.role
    assert isinstance(found, Refused)
    return str(found.reply), found.why


@both
def test_a_renamed_list_takes_everything_along_and_its_old_addresses_work_on() -> None:
    pk = has_list(members=[ANA, BEN], footer="by hand", default_member_action="defer")
    posts(ANA)
    posts(EVE, subject="Offer")
    facts = creation.rename(GARDEN, "Park@Lists.Example")
    assert (facts.pk, facts.address, facts.list_id, facts.aliases) == (pk, PARK, "garden.lists.example", (GARDEN,))
    assert (facts.members, facts.held, facts.owners, facts.settings["footer"]) == (2, 1, (OWEN,), "by hand")
    assert (reading.archive(PARK).postings, Archive.objects.count()) == (1, 1)
    with pytest.raises(NoSuchArchive):
        reading.archive(GARDEN)
    assert addresses.moved(GARDEN) == PARK
    assert addresses.moved(PARK) is None
    for suffix, role in (
        ("", "posting"),
        ("-owner", "owner"),
        ("-bounces+ana=far.example", "bounces"),
        ("-join", "join"),
    ):
        assert leads_to(f"garden{suffix}@lists.example") == (PARK, role)
        assert leads_to(f"park{suffix}@lists.example") == (PARK, role)
    posts(BEN, to=GARDEN, subject="Later", now=1_700_000_100_000)
    assert Posting.objects.filter(archive__address=PARK).count() == 2
    assert copies() == [ANA, ANA, BEN, BEN]
    assert [one.list_address for one in holding.held(GARDEN)] == [PARK]


@sqlite
def test_a_list_id_changes_only_when_asked_and_names_come_and_go_back() -> None:
    has_list()
    assert creation.rename(GARDEN, PARK, new_list_id=True).list_id == "park.lists.example"
    assert creation.rename(PARK, GARDEN).aliases == (PARK,)
    with pytest.raises(ListExists):
        creation.rename(GARDEN, GARDEN)
    with pytest.raises(BadName):
        creation.rename(GARDEN, "no good@lists.example")
    with pytest.raises(NoSuchList):
        creation.rename(GARDEN, "park@nowhere.example")
    with pytest.raises(ListExists, match=f"another address of {GARDEN}"):
        creation.create(PARK, [OWEN])
    creation.remove_alias(PARK)
    assert creation.create(PARK, [OWEN]).list_id == "park-" + creation.show(PARK).list_id.removeprefix("park-")
    assert creation.show(PARK).list_id != creation.show(GARDEN).list_id
    with pytest.raises(ListExists):
        creation.rename(GARDEN, PARK)


@both
def test_an_alias_in_a_parent_domain_and_a_legacy_domain_lead_to_the_list_with_every_suffix() -> None:
    has_list()
    for name in ("example.org", "old.example"):
        domains.add(name)
    creation.add_alias(GARDEN, "gardeners@example.org")
    domains.stand_for("old.example", "lists.example")
    has_list("chess@old.example")
    assert leads_to("Gardeners@example.org") == (GARDEN, "posting")
    assert leads_to("gardeners-join@example.org") == (GARDEN, "join")
    assert leads_to("garden@old.example") == (GARDEN, "posting")
    assert leads_to("garden-confirm+abc@old.example") == (GARDEN, "confirm")
    assert leads_to("chess@old.example") == ("chess@old.example", "posting")  # its own lists win
    assert addresses.names_of(creation.show(GARDEN).pk) == [GARDEN, "gardeners@example.org", "garden@old.example"]
    assert leads_to("nobody@old.example")[0].startswith("550 5.1.1")
    roster.add(GARDEN, ANA)
    for at, name in enumerate(("gardeners@example.org", "garden@old.example")):  # To names the list by another name
        posts(ANA, to=name, subject=name, now=1_700_000_000_000 + at)
    assert holding.held() == [] and copies() == [ANA, ANA]
    creation.remove_alias("gardeners@example.org")
    assert leads_to("gardeners@example.org")[0].startswith("550 5.1.1")
    with pytest.raises(NoSuchList):
        creation.remove_alias("gardeners@example.org")
    domains.stand_for("old.example", None)
    assert leads_to("garden@old.example")[0].startswith("550 5.1.1")


@both
@pytest.mark.parametrize("state", ["paused", "closed"])
def test_a_list_that_is_not_active_refuses_postings_at_rcpt_and_its_people_are_told(state: str) -> None:
    has_list(members=[ANA])
    facts = creation.set_state(GARDEN, state, "Winter", now())
    assert (facts.state, facts.state_reason) == (state, "Winter")
    reply, why = leads_to(GARDEN)
    assert reply.startswith("550 5.2.1") and state in reply and "garden-owner@lists.example" in reply
    assert why == f"{GARDEN} is {state}"
    assert leads_to("garden-leave@lists.example") == (GARDEN, "leave")
    assert leads_to("garden-owner@lists.example") == (GARDEN, "owner")
    taken = arrives(letter(ANA), GARDEN, ANA)  # it was accepted before that
    assert (taken.result, taken.status) == ("failed", "5.2.1")
    assert copies() == []
    [told] = notices_for(OWEN)
    assert b"Winter" in told and f"is now {state}".encode() in told
    creation.set_state(GARDEN, "active", now=now())
    posts(ANA)
    assert copies() == [ANA]


@sqlite
def test_a_state_that_no_list_has_is_refused() -> None:
    has_list()
    with pytest.raises(BadSetting, match="active, paused, closed"):
        creation.set_state(GARDEN, "asleep")


@both
def test_a_removed_list_comes_back_with_everything_for_thirty_days() -> None:
    has_list(members=[ANA, BEN])
    posts(ANA)
    posts(EVE, subject="Offer")
    before = creation.show(GARDEN)
    creation.remove(GARDEN, now=now())
    assert leads_to(GARDEN)[0].startswith("550 5.1.1")
    assert [creation.all_lists(), roster.find(ANA), holding.held()] == [[], [], []]
    assert reading.archive(GARDEN).postings == 1  # its archive stays
    assert waiting.summary(now()) == 0  # nobody is reminded of what waits for its return
    [removed] = creation.removed()
    assert (removed.address, removed.members, (removed.until - removed.removed_at).days) == (GARDEN, 2, 30)
    assert creation.purge(now() + 29 * DAY) == 0
    after = creation.restore(GARDEN)
    assert after == before
    assert leads_to(GARDEN) == (GARDEN, "posting")
    with pytest.raises(NoSuchList):
        creation.restore(GARDEN)


@both
def test_a_list_removed_with_its_archive_hides_it_at_once_and_deletes_it_after_thirty_days() -> None:
    has_list(members=[ANA], archive_policy="private")
    posts(ANA)
    creation.remove(GARDEN, keep_archive=False, now=now())
    with pytest.raises(NoSuchArchive):
        reading.archive(GARDEN)
    creation.restore(GARDEN)
    assert (reading.archive(GARDEN).postings, reading.archive(GARDEN).policy) == (1, "private")
    creation.remove(GARDEN, keep_archive=False, now=now())
    has_list()  # the name is free at once
    with pytest.raises(ListExists):
        creation.restore(GARDEN)
    kept = Content.objects.count()
    assert creation.purge(now() + 31 * DAY) == 1
    assert Posting.objects.count() == 0
    assert Content.objects.count() < kept
    assert [one.address for one in creation.all_lists()] == [GARDEN]
    assert archives.open_archive(GARDEN) is False


@sqlite
def test_the_trust_role_and_the_owners_of_the_domain_are_told_of_new_lists() -> None:
    domains.add("lists.example")
    for address in (ANA, BEN, EVE):
        accounts.create(address)
    accounts.make_trusted(ANA)
    domains.add_owner("lists.example", BEN)
    assert domains.owned_by(accounts.find(BEN).id) == {"lists.example"}  # type: ignore[union-attr]
    creation.create(GARDEN, [OWEN])
    assert [len(notices_for(one)) for one in (ANA, BEN, EVE)] == [1, 1, 0]
    assert OWEN.encode() in notices_for(ANA)[0]
    domains.remove_owner("lists.example", BEN)
    accounts.make_trusted(ANA, False)
    creation.create(PARK, [OWEN])
    assert [len(notices_for(one)) for one in (ANA, BEN)] == [1, 1]


@both
def test_a_disabled_list_discards_in_silence_and_lets_nobody_join_but_whoever_wants_leave() -> None:
    pk = has_list(members=[ANA, BEN], subscription_policy="open")
    creation.set_state(GARDEN, "disabled", "Abused.", now())
    assert b"disabled" in notices_for(OWEN)[0]
    before = len(waiting_notices())
    for suffix in ("", "-owner", "-join", "-request"):
        to = GARDEN.replace("@", f"{suffix}@")
        assert leads_to(to)[0] == GARDEN  # nothing is refused: a sender learns nothing
        reply = arrives(letter(ANA, to, "help", "help"), to, ANA).reply
        assert reply == "discarded by the list: it is disabled"
    assert (copies(), holding.held(), len(waiting_notices())) == ([], [], before)
    with pytest.raises(JoiningClosed, match="disabled"):
        subscription.request_join(GARDEN, EVE, "", now())
    assert subscription.leave_now(pk, ANA, "link", now())
    to = GARDEN.replace("@", "-leave@")
    arrives(letter(BEN, to, "leave", ""), to, BEN)
    assert b"confirm" in notices_for(BEN)[0].lower()
    creation.set_state(GARDEN, "active", "", now())
    posts(BEN)
    assert copies() == [BEN]


def waiting_notices() -> list[object]:
    return list(queued("notice"))
