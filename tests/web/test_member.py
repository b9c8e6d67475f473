"""The page of one member: who may open it, and what an owner does there."""

from __future__ import annotations

import pytest

from posthouse.directory.moments import moment
from posthouse.lists import creation, looking, roster, subscription, topics, vacation
from posthouse.lists.addresses import list_pk
from posthouse.lists.bounces import telling
from posthouse.lists.errors import JoiningClosed
from posthouse.lists.facts import row_of
from posthouse.lists.models import BY_BOUNCES, Membership, Pending
from posthouse.message.parsing import read
from posthouse.web.desk import now_ms
from tests.lists.scene import DAY, notices_for
from tests.lists.test_joining import token_for
from tests.people import ANA, BEN, CLEO, DOMAIN, EVE, GARDEN, OWEN
from tests.web.neighbourhood import BOARD, MONA, Neighbourhood

NEW = "ana.lima@new.example"


def path(address: str = ANA, mailing_list: str = GARDEN) -> str:
    """The page of a member."""
    return f"/lists/{mailing_list}/members/{address}/"


def facts(address: str = ANA) -> roster.MemberFacts:
    """What holds for a member of the garden."""
    return next(one for one in roster.find(address) if one.list_address == GARDEN and one.role == "member")


def stopped(address: str = ANA) -> None:
    """Bounces have stopped delivery."""
    Membership.objects.filter(address__key=address, mailing_list_id=list_pk(GARDEN), role="member").update(
        delivery_status=BY_BOUNCES, bounces=5, bounce_score=5.0, last_bounce="550 5.1.1 No such person",
        last_bounce_at=moment(now_ms() - DAY), bounce_stopped_at=moment(now_ms() - DAY), bounce_warnings=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("who", "status"), [("stranger", 302), ("eve", 404), ("ana", 404), ("mona", 200), ("owen", 200), ("root", 200)]
)
def test_a_member_is_shown_to_who_moderates_the_list_and_to_nobody_else(
    quick_site: Neighbourhood, who: str, status: int
) -> None:
    for at in (path(ANA, BOARD), path(ANA.upper(), BOARD)):
        assert quick_site.as_(who).get(at).status_code == status
    missing = {302: 302}.get(status, 404)
    for at in (path(EVE, BOARD), path("nonsense@a..b", BOARD), path('"a b/c"@far.example', BOARD)):
        assert quick_site.as_(who).get(at).status_code == missing


def test_an_owner_of_another_list_sees_and_changes_nobody_here(quick_site: Neighbourhood) -> None:
    creation.create(f"plants@{DOMAIN}", [EVE])
    client = quick_site.as_("eve")
    assert client.get(path()).status_code == 404
    for act in ("save", "remove", "move", "restart", "appoint"):
        assert client.post(path(), {"act": act, "new": NEW, "as": "owner"}).status_code == 404
    assert facts().address == ANA


def test_a_moderator_reads_and_changes_nothing(quick_site: Neighbourhood) -> None:
    client = quick_site.as_("mona")
    page = client.get(path(ANA, BOARD)).content.decode()
    assert ANA in page and '<button name="act"' not in page and "Another address" not in page
    for act in ("save", "remove", "move", "restart", "appoint"):
        assert client.post(path(ANA, BOARD), {"act": act, "new": NEW, "as": "owner"}).status_code == 403
    assert roster.members(BOARD)[0].address == ANA


def test_the_table_leads_to_each_person_and_odd_addresses_have_a_page_too(quick_site: Neighbourhood) -> None:
    odd = "a/b?c=1&d%e@far.example"
    roster.add(GARDEN, odd)
    client = quick_site.as_("owen")
    page = client.get(f"/lists/{GARDEN}/members/").content.decode()
    for address, href in ((ANA, path()), (odd, f"/lists/{GARDEN}/members/a%2Fb%3Fc%3D1%26d%25e@far.example/")):
        assert f'href="{href}"' in page
        assert client.get(href).status_code == 200, address
    shown = quick_site.as_("ana").get(f"/lists/{GARDEN}/members/")
    assert shown.status_code == 404 or "/members/" + ANA not in shown.content.decode()


def test_every_choice_of_a_member_is_kept(site: Neighbourhood) -> None:
    creation.set_settings(GARDEN, {"topics_enabled": "yes", "topics": "food: tomato\ntools: spade"})
    client = site.as_("owen")
    given = {
        "delivery_mode": "mime_digests", "receive_own_postings": "no", "receive_list_copy": "no",
        "acknowledge_posts": "yes", "hide_address": "yes", "preferred_language": "fr", "moderation_action": "hold",
        "topic": ["food"], "nonmatching": "1", "delivery": "stop",
    }  # fmt: skip
    answer = client.post(path(), {"act": "save", **given})
    assert answer.status_code == 200 and "is kept" in answer.content.decode()
    one = facts()
    assert (one.delivery_mode, one.receive_own_postings, one.receive_list_copy) == ("mime_digests", False, False)
    assert (one.acknowledge_posts, one.hide_address, one.preferred_language) == (True, True, "fr")
    assert (one.moderation_action, one.delivery_status) == ("hold", "by_moderator")
    choice = topics.choice(GARDEN, ANA)
    assert choice is not None and (choice.chosen, choice.nonmatching) == (("food",), True)

    client.post(path(), {"act": "save", "delivery": "begin", "delivery_mode": "", "moderation_action": ""})
    one = facts()
    assert (one.delivery_status, one.delivery_mode, one.moderation_action) == ("enabled", "regular", "")
    assert facts(BEN).delivery_mode == "regular"

    page = client.get(path()).content.decode()
    assert "as they said for all lists (single messages)" in page
    client.post(path(), {"act": "save", "delivery_mode": "mime_digests"})
    page = client.get(path()).content.decode()
    assert "as they said for all lists (single messages)" in page, "what is left is named, not what holds"

    for wrong in ({"moderation_action": "sing"}, {"delivery_mode": "sing"}, {"topic": "song"}):
        assert client.post(path(), {"act": "save", **wrong}).status_code == 422, wrong
    assert client.post(path(), {"act": "sing"}).status_code == 422


def test_a_vacation_is_shown_with_its_end(quick_site: Neighbourhood) -> None:
    now = now_ms()
    vacation.begin(GARDEN, ANA, moment(now + 10 * DAY), "ana", now)
    page = quick_site.as_("owen").get(path()).content.decode()
    assert "stopped by the member" in page and "(until " in page
    quick_site.as_("owen").post(path(), {"act": "save", "delivery": ""})
    assert vacation.ends_at(GARDEN, ANA) is not None, "what an owner did not touch stays"


def test_what_came_back_is_told_and_delivery_begins_again_at_one_press(site: Neighbourhood) -> None:
    stopped()
    client = site.as_("owen")
    page = client.get(path()).content.decode()
    assert "550 5.1.1 No such person" in page and "Score 5 of 5" in page and "5 bounces" in page
    assert client.post(path(), {"act": "restart"}).status_code == 200
    assert facts().delivery_status == "enabled"
    page = client.get(path()).content.decode()
    assert "Deliver again" not in page and "No such person" not in page, "what is over is not told any more"


def test_roles_are_given_and_taken_and_a_list_keeps_an_owner(quick_site: Neighbourhood) -> None:
    client = quick_site.as_("owen")
    client.post(path(), {"act": "appoint", "as": "moderator"})
    assert ANA in creation.show(GARDEN).moderators
    client.post(path(), {"act": "dismiss", "as": "moderator"})
    assert not creation.show(GARDEN).moderators
    answer = client.post(path(OWEN), {"act": "dismiss", "as": "owner"})
    assert answer.status_code == 422 and "at least one owner" in answer.content.decode()
    assert client.post(path(), {"act": "appoint", "as": "king"}).status_code == 422
    roster.add(GARDEN, MONA, role="owner")
    gone = client.post(path(MONA), {"act": "dismiss", "as": "owner"})
    assert gone.status_code == 200 and client.get(path(MONA)).status_code == 404


def test_a_new_address_takes_over_when_it_has_confirmed(site: Neighbourhood) -> None:
    stopped()
    roster.set_preferences(GARDEN, ANA, delivery_mode="mime_digests")
    client = site.as_("owen")
    answer = client.post(path(), {"act": "move", "new": NEW})
    assert "is on its way" in answer.content.decode() and facts().address == ANA
    [letter] = notices_for(NEW)
    assert ANA not in read(letter).text, "a slip of the owner must not tell a stranger who is on the list"
    again = client.post(path(), {"act": "move", "new": NEW})
    assert "within the last hour" in again.content.decode() and len(notices_for(NEW)) == 1

    stranger, link = site.as_("stranger"), f"/confirm/{token_for(NEW)}/"
    shown = stranger.get(link).content.decode()
    assert "takes the place" in shown and facts().address == ANA
    assert NEW in stranger.post(link).content.decode()
    moved = facts(NEW)
    assert (moved.delivery_mode, moved.delivery_status, moved.bounces) == ("mime_digests", "enabled", 0)
    assert looking.somebody(list_pk(GARDEN), ANA) is None
    assert stranger.post(link).status_code == 410


def test_an_administrator_moves_at_once_and_nobody_takes_the_place_of_another(site: Neighbourhood) -> None:
    client = site.as_("root")
    for wrong in (BEN, "nonsense", ""):
        assert client.post(path(), {"act": "move", "new": wrong}).status_code == 422, wrong
    answer = client.post(path(), {"act": "move", "new": NEW})
    assert answer.status_code == 302 and client.get(answer.headers["Location"]).status_code == 200
    assert facts(NEW).joined_at and not notices_for(NEW)
    assert client.get(path()).status_code == 404


def test_a_move_is_refused_where_things_have_changed_meanwhile(quick_site: Neighbourhood) -> None:
    client = quick_site.as_("owen")
    client.post(path(), {"act": "move", "new": NEW})
    token = token_for(NEW)
    roster.add(GARDEN, NEW)
    with pytest.raises(JoiningClosed, match="already"):
        subscription.confirm(token, now_ms())
    roster.remove(GARDEN, NEW)
    roster.remove(GARDEN, ANA)
    with pytest.raises(JoiningClosed, match="not a member"):
        subscription.confirm(token, now_ms())
    assert Pending.objects.filter(act="move").exists(), "nothing was used up"


def test_a_member_is_removed_with_a_goodbye_or_without(quick_site: Neighbourhood) -> None:
    creation.set_settings(GARDEN, {"send_goodbye_message": "yes"})
    client = quick_site.as_("owen")
    assert "was removed" in client.post(path(), {"act": "remove"}).content.decode()
    client.post(path(CLEO), {"act": "remove", "goodbye": "1"})
    assert [one.address for one in roster.members(GARDEN)] == [BEN]
    assert not notices_for(ANA) and len(notices_for(CLEO)) == 1
    assert client.get(path()).status_code == 404


def test_the_page_is_french_for_french_owners(quick_site: Neighbourhood) -> None:
    page = quick_site.as_("owen").get(path(), headers={"accept-language": "fr"}).content.decode()
    for words in ("Passer à cette adresse", "Reçoit ses propres messages", "En faire un responsable"):
        assert words in page


def test_the_notice_that_delivery_stopped_leads_owners_to_the_page_of_the_member(quick_site: Neighbourhood) -> None:
    odd = "a/b?c%d+e@far.example"
    roster.add(GARDEN, odd)
    url = telling.member_url(row_of(GARDEN), odd)
    page = quick_site.as_("owen").get(url.removeprefix(quick_site.configuration.web.base_url))
    assert page.status_code == 200 and "a/b?c%d+e@far.example" in page.content.decode()


@pytest.mark.parametrize("visibility", ["members", "public"])
def test_who_may_see_the_roster_does_not_see_what_its_people_want(quick_site: Neighbourhood, visibility: str) -> None:
    creation.set_settings(GARDEN, {"member_roster_visibility": visibility})
    assert quick_site.as_("ana").get(f"/lists/{GARDEN}/members/").status_code == 200
    for who, status in (("ana", 404), ("eve", 404), ("stranger", 302)):
        assert quick_site.as_(who).get(path(BEN)).status_code == status
    assert f"members/{BEN}" not in quick_site.as_("ana").get(f"/lists/{GARDEN}/members/").content.decode()
