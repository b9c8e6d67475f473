"""What a list answers by itself: to whom, how often, and never to machines."""

from __future__ import annotations

import pytest

from posthouse.lists import bans, holding
from posthouse.message.headers import Fields
from tests.lists.scene import DAY, NOW, arrives, copies, has_list, letter, notices_for, posts, waiting
from tests.people import ANA, BEN, EVE, GARDEN, OWEN

both = pytest.mark.usefixtures("database")
sqlite = pytest.mark.usefixtures("sqlite")

KINDS = {
    "owner": ("garden-owner@lists.example", "autoresponse_owner_text"),
    "postings": (GARDEN, "autoresponse_postings_text"),
    "requests": ("garden-request@lists.example", "autoresponse_request_text"),
}


def garden(kind: str, mode: str, **settings: str) -> str:
    """A list that answers mail of this kind; the address to write to."""
    address, words = KINDS[kind]
    has_list(members=[ANA, BEN], **{f"autorespond_{kind}": mode, words: "We of $display_name are away.", **settings})
    return address


def writes(to: str, now: int = NOW, *more: str, author: str = ANA, return_path: str | None = None) -> str:
    name = f"Message-ID: <{now}-{len(more)}@far.example>"
    content = letter(author, to, "Question", "When?", name, *more)
    return arrives(content, to, author if return_path is None else return_path, now).reply


def answers_for(address: str) -> list[bytes]:
    return [content for content in notices_for(address) if b"Automatic answer from" in content]


@both
@pytest.mark.parametrize("kind", KINDS)
def test_mail_is_answered_once_in_the_grace_period_and_goes_its_way(kind: str) -> None:
    to = garden(kind, "respond_and_continue")
    writes(to)
    writes(to, NOW + 89 * DAY)
    [answer] = answers_for(ANA)
    fields = Fields(answer)
    assert b"We of Garden are away." in answer
    assert fields.first("auto-submitted") == "auto-replied"
    assert fields.first("in-reply-to") == f"<{NOW}-0@far.example>"
    if kind == "postings":
        assert len(copies()) == 4
    elif kind == "owner":
        assert [recipients for _, _, recipients in waiting("list")] == [[OWEN], [OWEN]]
    else:
        assert len(notices_for(ANA)) > 1  # the help that -request sends too

    writes(to, NOW + 91 * DAY)
    assert len(answers_for(ANA)) == 2


@sqlite
@pytest.mark.parametrize("kind", KINDS)
def test_respond_and_discard_ends_the_message_there(kind: str) -> None:
    to = garden(kind, "respond_and_discard")
    assert "discarded" in writes(to)
    assert "discarded" in writes(to, NOW + 1, "Auto-Submitted: auto-replied", author=BEN)
    assert not waiting("list")
    assert [len(answers_for(one)) for one in (ANA, BEN)] == [1, 0]
    assert len(notices_for(ANA)) == 1


@sqlite
@pytest.mark.parametrize("kind", KINDS)
def test_none_answers_nothing(kind: str) -> None:
    writes(garden(kind, "none"))
    assert not answers_for(ANA)


@sqlite
def test_each_kind_and_each_sender_has_a_period_of_its_own() -> None:
    to = garden("owner", "respond_and_continue", autorespond_postings="respond_and_continue",
                autoresponse_postings_text="Thanks.")  # fmt: skip
    writes(to)
    writes(GARDEN)
    writes(to, NOW + 1, author=BEN)
    assert (len(answers_for(ANA)), len(answers_for(BEN))) == (2, 1)


@sqlite
def test_a_grace_period_of_nothing_answers_always_up_to_the_days_bound() -> None:
    to = garden("owner", "respond_and_continue", autoresponse_grace_period="0")
    for minute in range(14):
        writes(to, NOW + minute)
    assert len(answers_for(ANA)) == 10


@sqlite
def test_without_a_text_nothing_is_answered() -> None:
    writes(garden("owner", "respond_and_continue", autoresponse_owner_text="\n"))
    assert not answers_for(ANA)


@sqlite
@pytest.mark.parametrize(
    "field",
    ["Auto-Submitted: auto-generated", "Precedence: bulk", "Precedence: Junk", "List-Id: <x.example>", "X-Ack: No",
     "X-No-Ack: yes"],
)  # fmt: skip
def test_machines_get_no_answer(field: str) -> None:
    writes(garden("owner", "respond_and_continue"), NOW, field)
    assert not answers_for(ANA)


@sqlite
@pytest.mark.parametrize("path", ["", "MAILER-DAEMON@far.example", "other-bounces@far.example", GARDEN])
def test_return_paths_that_stand_for_no_person_get_no_answer(path: str) -> None:
    writes(garden("owner", "respond_and_continue"), return_path=path)
    assert not [one for one in waiting("notice") if b"Automatic answer" in one[1]]


@sqlite
def test_who_is_banned_gets_no_answer() -> None:
    garden("postings", "respond_and_continue")
    bans.ban(EVE, GARDEN, by="owen", now=NOW)
    posts(EVE)
    assert not answers_for(EVE)
    assert not holding.held()


@sqlite
def test_the_answer_goes_to_the_return_path_and_not_to_from() -> None:
    writes(garden("owner", "respond_and_continue"), author=EVE, return_path=BEN)
    assert len(answers_for(BEN)) == 1
    assert not answers_for(EVE)
