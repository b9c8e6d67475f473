"""Lists are created, set and removed; names and values that cannot be are refused with the rule."""

from __future__ import annotations

import time

import pytest

from posthouse.archive.models import Archive
from posthouse.content.models import Content
from posthouse.directory import domains
from posthouse.lists import addresses, creation, roster, settings
from posthouse.lists.errors import BadAddress, BadName, BadSetting, ListExists, NoSuchList
from posthouse.lists.models import MailingList
from posthouse.lists.settings.kinds import DURATION
from tests.lists.scene import DAY, has_list, posts
from tests.people import ANA, EVE, GARDEN, OWEN

both = pytest.mark.usefixtures("database")
sqlite = pytest.mark.usefixtures("sqlite")


@both
def test_a_new_list_is_routable_at_once_and_has_its_archive() -> None:
    domains.add("lists.example")
    facts = creation.create("Garden@Lists.Example", [OWEN], display_name="The garden")
    assert (facts.address, facts.list_id, facts.owners) == (GARDEN, "garden.lists.example", (OWEN,))
    assert facts.settings["subject_prefix"] == "[The garden] "
    assert addresses.find("garden", "lists.example") is not None
    assert Archive.objects.get().address == GARDEN


@sqlite
def test_styles_differ_in_their_settings() -> None:
    has_list("talk@lists.example")
    has_list("news@lists.example", style="announce")
    has_list("board@lists.example", style="private")
    talk, news, board = (creation.show(f"{name}@lists.example") for name in ("talk", "news", "board"))
    assert (talk.advertised, talk.archive_policy, talk.settings["default_nonmember_action"]) == (True, "public", "hold")
    assert (news.settings["allow_list_posts"], news.settings["default_member_action"]) == (False, "reject")
    assert (board.advertised, board.archive_policy) == (False, "private")
    assert Archive.objects.get(address="board@lists.example").policy == "private"
    with pytest.raises(BadSetting, match="announce"):
        has_list("more@lists.example", style="anarchy")


@sqlite
@pytest.mark.parametrize(
    "name", ["", "-garden", "garden-", "gar den", "garden+x", "a..b", "gärten", "x" * 51, "postmaster", "abuse", "a@b"]
)
def test_a_name_that_cannot_be_is_refused(name: str) -> None:
    domains.add("lists.example")
    with pytest.raises(BadName):
        creation.create(f"{name}@lists.example", [OWEN])


@sqlite
def test_no_list_is_named_like_an_address_of_another() -> None:
    has_list()
    for suffix in addresses.SUFFIXES:
        with pytest.raises(ListExists, match=f"an address of the list {GARDEN}"):
            creation.create(f"garden-{suffix}@lists.example", [OWEN])
    creation.create("park-join@lists.example", [OWEN])
    with pytest.raises(ListExists, match=r"park-join@lists\.example would be an address of this list"):
        creation.create("park@lists.example", [OWEN])
    with pytest.raises(ListExists, match=r"park-join@lists\.example"):
        creation.rename(GARDEN, "park@lists.example")
    assert creation.rename("park-join@lists.example", "park@lists.example").address == "park@lists.example"


@sqlite
def test_what_is_wrong_at_creation_leaves_nothing_behind() -> None:
    with pytest.raises(NoSuchList, match="domains add"):
        creation.create(GARDEN, [OWEN])
    has_list()
    with pytest.raises(ListExists):
        creation.create(GARDEN.upper(), [OWEN])
    with pytest.raises(BadAddress):
        creation.create("other@lists.example", ["owen"])
    assert [one.address for one in creation.all_lists()] == [GARDEN]
    assert Archive.objects.count() == 1


@sqlite
def test_the_same_name_in_two_domains_is_two_lists() -> None:
    has_list(members=[ANA])
    has_list("garden@other.example", members=[EVE])
    assert [one.address for one in roster.members("garden@other.example")] == [EVE]
    assert [one.members for one in creation.all_lists()] == [1, 1]


@both
def test_settings_are_changed_all_or_none() -> None:
    has_list()
    facts = creation.set_settings(GARDEN, {"max_message_size": " 50 ", "advertised": "No", "footer": "a\r\nb"})
    assert facts.settings["max_message_size"] == 50
    assert (facts.advertised, facts.settings["footer"]) == (False, "a\nb")
    with pytest.raises(BadSetting):
        creation.set_settings(GARDEN, {"description": "new", "advertised": "perhaps"})
    assert creation.show(GARDEN).description == ""


@sqlite
@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("colour", "green", "not a setting"),
        ("list_name", "other", "not a setting"),
        ("advertised", "perhaps", "yes or no"),
        ("max_message_size", "-1", "whole number"),
        ("max_message_size", "9" * 30, "whole number"),
        ("max_message_size", "٣", "whole number"),
        ("default_nonmember_action", "eat", "hold"),
        ("subject_prefix", "a\nBcc: eve@elsewhere.example", "one line"),
        ("description", "x" * 256, "at most 255"),
        ("description", "\0", "NUL"),
        ("description", "\ud800", "Unicode"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_the_rule(name: str, text: str, rule: str) -> None:
    has_list()
    with pytest.raises(BadSetting, match=rule):
        creation.set_settings(GARDEN, {name: text})


@sqlite
def test_every_setting_is_a_field_with_documentation_and_a_default_that_is_allowed() -> None:
    fields = {field.name for field in MailingList._meta.get_fields()}
    for setting in settings.SETTINGS:
        assert setting.name in fields
        assert setting.doc.endswith(".")
        assert settings.parse(setting.name, _written(setting)) == setting.default
        assert setting.allowed and "\n" not in setting.shown_default + setting.allowed + setting.doc


def _written(setting: settings.Setting) -> str:
    return setting.shown_default if setting.kind == DURATION else str(setting.default)


@sqlite
def test_the_archive_hears_of_what_it_shows() -> None:
    has_list()
    creation.set_settings(GARDEN, {"archive_policy": "private", "description": "Talk"})
    archive = Archive.objects.get()
    assert (archive.policy, archive.description) == ("private", "Talk")


@both
def test_a_removed_list_is_gone_with_its_roster_and_what_it_held_and_its_archive_stays() -> None:
    has_list(members=[ANA])
    posts(ANA)
    posts(EVE)
    before = Content.objects.count()
    facts = creation.remove(GARDEN)
    assert (facts.members, facts.held) == (1, 1)
    assert addresses.find("garden", "lists.example") is None
    assert roster.find(ANA) == []
    assert Content.objects.count() == before
    assert creation.purge(time.time_ns() // 1_000_000 + 31 * DAY) == 1
    assert Content.objects.count() == before - 1
    assert Archive.objects.get().postings == 1
    with pytest.raises(NoSuchList):
        creation.remove(GARDEN)
    has_list_again = creation.create(GARDEN, [OWEN])
    assert has_list_again.members == 0


@sqlite
@pytest.mark.parametrize(
    ("local_part", "role", "detail"),
    [
        ("garden", "posting", ""),
        ("GARDEN", "posting", ""),
        ("garden+notes", "posting", "notes"),
        ("garden-owner", "owner", ""),
        ("garden-admin", "owner", ""),
        ("garden-bounces", "bounces", ""),
        ("garden-bounces+Ana=far.example", "bounces", "Ana=far.example"),
        ("garden-bounces+a+b=far.example", "bounces", "a+b=far.example"),
        ("garden-join", "join", ""),
        ("garden-subscribe", "join", ""),
        ("garden-leave", "leave", ""),
        ("garden-unsubscribe", "leave", ""),
        ("garden-confirm", "confirm", ""),
        ("garden-confirm+abc", "confirm", "abc"),
        ("Garden-Request", "request", ""),
    ],
)
def test_every_address_of_a_list_is_known(local_part: str, role: str, detail: str) -> None:
    pk = has_list()
    found = addresses.find(local_part, "Lists.Example")
    assert found == addresses.ListAddress(pk, GARDEN, role, detail)


@sqlite
@pytest.mark.parametrize(
    "local_part", ["", "+", "-", "-owner", "gardens", "garden-eat", "garden-request-owner", "g'--"]
)
def test_other_local_parts_are_nobody(local_part: str) -> None:
    has_list()
    assert addresses.find(local_part, "lists.example") is None
    assert addresses.find("garden", "other.example") is None


@sqlite
def test_a_list_really_named_with_a_suffix_wins() -> None:
    has_list()
    pk = has_list("park@lists.example")
    MailingList.objects.filter(pk=pk).update(list_name="garden-request")  # made before such names were refused
    found = addresses.find("garden-request", "lists.example")
    assert found is not None
    assert (found.list_pk, found.role) == (pk, "posting")
    again = addresses.find("garden-request-owner", "lists.example")
    assert again is not None
    assert (again.list_pk, again.role) == (pk, "owner")
