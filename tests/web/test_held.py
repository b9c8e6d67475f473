"""Held mail on the web: one inbox for all lists somebody decides for."""

from __future__ import annotations

import pytest
from django.utils import timezone

from posthouse.content import keeping
from posthouse.content.spool import spooled_from
from posthouse.lists.models import HeldPosting, MailingList
from posthouse.queue.models import Delivery
from tests.people import ANA, EVE, GARDEN
from tests.web.neighbourhood import BOARD, Neighbourhood


def hold(list_name: str, number: int, text: str = "Let me in") -> int:
    octets = (
        f"From: Eve <{EVE}>\r\nTo: {list_name}@lists.example\r\nSubject: Plea {number}\r\n"
        f"Date: Thu, 28 May 2026 20:26:40 +0000\r\nMessage-ID: <{list_name}{number}@elsewhere.example>\r\n"
        f"X-Odd: <script>alert(1)</script>\r\n\r\n{text}\r\n"
    ).encode()
    row = HeldPosting.objects.create(
        mailing_list=MailingList.objects.get(list_name=list_name), content_id=keeping.keep(spooled_from(octets)),
        item=number, return_path=EVE, author=EVE, subject=f"Plea {number}", size=len(octets),
        message_id=f"{list_name}{number}@elsewhere.example", rule="nonmember", reason="not a member",
        held_at=timezone.now(),
    )  # fmt: skip
    return int(row.pk)


def waiting() -> set[int]:
    return set(HeldPosting.objects.values_list("pk", flat=True))


def test_the_inbox_gathers_all_lists_somebody_decides_for(site: Neighbourhood) -> None:
    hold("garden", 1)
    hold("board", 2)
    seen = {who: site.as_(who).get("/held/").content.decode() for who in ("ana", "mona", "owen", "root")}
    assert "Plea" not in seen["ana"]
    assert "Plea 2" in seen["mona"] and "Plea 1" not in seen["mona"]
    for who in ("owen", "root"):
        assert "Plea 1" in seen[who] and "Plea 2" in seen[who]


def test_releasing_sends_it_to_the_members(site: Neighbourhood) -> None:
    number = hold("garden", 1)
    answer = site.as_("owen").post(f"/held/{number}/", {"act": "release"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/held/?done=release&n=1")
    assert waiting() == set()
    assert ANA in {row.recipient for row in Delivery.objects.all()}


def test_rejecting_tells_the_author_the_reason(quick_site: Neighbourhood) -> None:
    number = hold("garden", 1)
    client = quick_site.as_("owen")
    missing = client.post(f"/held/{number}/", {"act": "reject", "reason": " "})
    assert missing.status_code == 422 and waiting() == {number}
    client.post(f"/held/{number}/", {"act": "reject", "reason": "Only about vegetables."})
    assert waiting() == set()
    [row] = Delivery.objects.select_related("message")
    assert row.recipient == EVE
    assert b"Only about vegetables." in keeping.read(row.message.content_id).all()


def test_discarding_tells_nobody(quick_site: Neighbourhood) -> None:
    number = hold("garden", 1)
    quick_site.as_("owen").post(f"/held/{number}/", {"act": "discard"})
    assert waiting() == set() and not Delivery.objects.exists()


def test_many_are_decided_at_once(quick_site: Neighbourhood) -> None:
    numbers = [hold("garden", number) for number in range(5)]
    answer = quick_site.as_("owen").post("/held/", {"held": [str(one) for one in numbers[:4]], "act": "discard"})
    assert answer.status_code == 200
    assert "4 messages were discarded" in answer.content.decode()
    assert waiting() == {numbers[4]}


def test_nobody_decides_for_a_list_that_is_not_theirs(site: Neighbourhood) -> None:
    garden, board = hold("garden", 1), hold("board", 2)
    for who in ("ana", "eve"):
        assert site.as_(who).post(f"/held/{board}/", {"act": "discard"}).status_code == 404
    site.as_("mona").post("/held/", {"held": [str(garden), str(board)], "act": "discard"})
    assert waiting() == {garden}
    for number in (garden, 999999):  # of another list, or of none: a moderator is told the same
        answer = site.as_("mona").post(f"/held/{number}/", {"act": "discard"})
        assert (answer.status_code, answer.headers["Location"]) == (302, "/held/?done=gone")
    assert waiting() == {garden}


@pytest.mark.parametrize("fields", [{}, {"act": "discard"}, {"held": "1"}, {"held": "x", "act": "discard"}])
def test_a_form_that_says_too_little_changes_nothing(quick_site: Neighbourhood, fields: dict[str, str]) -> None:
    number = hold("garden", 1)
    fields = {name: str(number) if value == "1" else value for name, value in fields.items()}
    assert quick_site.as_("owen").post("/held/", fields).status_code == 422
    assert waiting() == {number}


def test_looking_never_decides(quick_site: Neighbourhood) -> None:
    number = hold("garden", 1)
    client = quick_site.as_("owen")
    client.get(f"/held/{number}/?act=discard")
    client.get(f"/held/?act=discard&held={number}")
    assert waiting() == {number}


def test_a_held_message_is_shown_as_text(quick_site: Neighbourhood) -> None:
    number = hold("garden", 1, '<img src=x onerror="alert(1)"> javascript:alert(2)')
    page = quick_site.as_("owen").get(f"/held/{number}/").content.decode()
    assert "<img" not in page and "<script" not in page and 'href="javascript' not in page
    assert "&lt;img src=x onerror=" in page


def test_a_decision_is_said_and_who_comes_late_is_told_so(quick_site: Neighbourhood) -> None:
    numbers = [hold("garden", one) for one in range(4)]
    owen = quick_site.as_("owen")
    page = owen.post(f"/held/{numbers[0]}/", {"act": "release"}, follow=True).content.decode()
    assert "1 message was released." in page
    page = owen.post("/held/", {"act": "reject", "reason": "No", "held": numbers[1:3]}).content.decode()
    assert "2 messages were rejected." in page
    for answer in (owen.get(f"/held/{numbers[0]}/", follow=True),
                   owen.post(f"/held/{numbers[0]}/", {"act": "ban"}, follow=True)):  # fmt: skip
        assert "it was decided already" in answer.content.decode()
    page = owen.post(f"/held/{numbers[3]}/", {"act": "ban", "all": "1"}, follow=True).content.decode()
    assert "1 message was discarded, its author is banned." in page
    assert "<b>" not in owen.get("/held/?done=<b>&n=<b>").content.decode().partition("<main")[2]
    assert quick_site.as_("ana").get(f"/held/{numbers[0]}/").status_code == 404


def test_a_discard_is_undone_by_those_who_may_decide_alone(site: Neighbourhood) -> None:
    first, second = hold("garden", 1), hold("board", 2)
    owen, mona = site.as_("owen"), site.as_("mona")
    owen.post("/held/", {"act": "discard", "held": [first, second]})
    assert waiting() == set()
    assert "/held/discarded/" in owen.get("/held/").content.decode()
    seen = mona.get("/held/discarded/").content.decode()
    assert "Plea 2" in seen and "Plea 1" not in seen
    assert mona.post("/held/discarded/", {"held": first}).status_code == 404 and waiting() == set()
    assert mona.post("/held/discarded/", {"held": 999999}).status_code == 422
    assert "waits for a decision again" in owen.post("/held/discarded/", {"held": first}).content.decode()
    assert waiting() == {first}
    assert owen.get(f"/held/{first}/").status_code == 200 and owen.get(f"/held/{second}/").status_code == 302
    assert site.as_("stranger").get("/held/discarded/").status_code == 302
    assert "Plea" not in site.as_("eve").get("/held/discarded/").content.decode()


def test_the_inbox_has_pages_and_is_narrowed_to_one_list(site: Neighbourhood) -> None:
    for number in range(60):
        hold("garden", number)
    board = hold("board", 77)
    client = site.as_("owen")
    first = client.get("/held/").content.decode()
    assert "61 messages wait" in first and first.count('name="held"') == 50 and "Plea 59" not in first
    second = client.get("/held/?page=2").content.decode()
    assert second.count('name="held"') == 11 and "Plea 59" in second and 'rel="prev"' in second
    assert client.get("/held/?page=99").content.decode().count('name="held"') == 11
    narrow = client.get(f"/held/?list={BOARD}").content.decode()
    assert f"/held/{board}/" in narrow and narrow.count('name="held"') == 1
    assert site.as_("mona").get(f"/held/?list={GARDEN}").content.decode().count('name="held"') == 1
