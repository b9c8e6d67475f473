"""A member posts: every member gets a copy of their own, the archive shows and finds it, the trace tells it."""

from __future__ import annotations

import re
from email.policy import SMTP

from tests.outside import Outside
from tests.people import ANA, BEN, CLEO, GARDEN
from tests.running_house import Browser, House


def test_a_members_posting_reaches_the_other_members_and_the_archive(
    house: House, outside: Outside, browser: Browser
) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])

    reply = outside.posts(ANA, GARDEN, "Tomatoes", "Ripe at last.")
    house.settles()

    assert reply.startswith("250 2.0.0")
    [(return_path, copy)] = outside.copies_for(BEN)
    assert return_path == "garden-bounces+ben=far.example@lists.example"
    assert copy["List-Id"] == "<garden.lists.example>"
    assert (
        "Ripe at last." in browser.visits(f"/archives/{GARDEN}/").text
        or "Tomatoes" in browser.visits(f"/archives/{GARDEN}/").text
    )


def test_a_copy_says_how_to_leave_where_it_is_kept_and_what_list_it_is(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA, BEN], subject_prefix="[garden] ")

    outside.posts(ANA, GARDEN, "Tomatoes", "Ripe at last.", message_id="<test@example.com>")
    house.settles()

    [(_, copy)] = outside.copies_for(BEN)
    assert copy["Subject"] == "[garden] Tomatoes"
    assert copy["Precedence"] == "list"
    assert copy["List-Post"] == f"<mailto:{GARDEN}>"
    assert copy["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert re.fullmatch(
        r"<https://lists\.example/unsubscribe/[\w=-]+/>, <mailto:garden-leave@lists\.example>", copy["List-Unsubscribe"]
    )
    key = "KZYVTVRC765VBMI3B36TA67DLBREUJXO"
    assert copy["Archived-At"] == f"<https://lists.example/archives/{GARDEN}/message/{key}/>"
    assert copy["From"] == ANA


def test_each_member_gets_exactly_one_copy_with_their_own_way_out(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA, BEN, CLEO])

    outside.posts(ANA, GARDEN)
    house.settles()

    ways = set()
    for member in (ANA, BEN, CLEO):
        [(return_path, copy)] = outside.copies_for(member)
        assert return_path == f"garden-bounces+{member.replace('@', '=')}@lists.example"
        ways.add(copy["List-Unsubscribe"])
    assert len(ways) == 3


def test_the_archive_keeps_the_bytes_as_they_came_and_finds_them_at_once(
    house: House, outside: Outside, browser: Browser
) -> None:
    house.has_list(GARDEN, members=[ANA])
    content = (
        b"From: Ana <ana@far.example>\r\nTo: garden@lists.example\r\nSubject:  odd   spacing\r\n"
        b"Message-ID: <odd-1@far.example>\r\nX-Folded: one\r\n\ttwo\r\n\r\nThe zyxquartz tomato.\r\n.dots\r\n"
    )

    reply = outside.sends(ANA, [GARDEN], content)
    house.settles()

    assert reply.startswith("250")
    found = browser.visits(f"/archives/{GARDEN}/search?q=zyxquartz")
    [path] = set(re.findall(rf'href="(/archives/{re.escape(GARDEN)}/message/\w+/)"', found.html))
    assert browser.visits(f"{path}raw").content == content


def test_a_member_addressed_directly_gets_no_second_copy_when_they_chose_so(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA, BEN, CLEO])
    from posthouse.lists import roster

    roster.set_preferences(GARDEN, BEN, receive_list_copy=False)

    outside.posts(ANA, GARDEN, headers={"To": f"{GARDEN}, {BEN}", "Cc": CLEO})
    house.settles()

    assert outside.copies_for(BEN) == []
    assert len(outside.copies_for(CLEO)) == 1


def test_a_posting_that_comes_back_to_its_list_goes_no_further(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    outside.posts(ANA, GARDEN, "Round")
    house.settles()
    [(_, copy)] = outside.copies_for(BEN)

    outside.sends(ANA, [GARDEN], copy.as_bytes(policy=SMTP))
    house.settles()

    assert len(outside.copies_for(BEN)) == 1


def test_the_trace_tells_the_whole_way_in_order(house: House, outside: Outside) -> None:
    from posthouse.queue.trace import trace

    house.has_list(GARDEN, members=[ANA, BEN])
    reply = outside.posts(ANA, GARDEN, "Tomatoes", message_id="<tomatoes@far.example>")
    house.settles()
    queue_id = reply.rsplit(" ", 1)[1]

    kinds = [line.kind for line in trace(queue_id)]

    assert kinds[0] == "accepted"
    assert [kind for kind in kinds if kind in ("judged", "filed", "enqueued")] == ["judged", "filed", "enqueued"]
    assert kinds.count("delivered") == 3  # to the list, to ana, to ben
    assert {line.kind for line in trace("<tomatoes@far.example>")} >= {"accepted", "filed"}
    assert any(line.kind == "delivered" for line in trace(BEN))
