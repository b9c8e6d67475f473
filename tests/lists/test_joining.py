"""Joining and leaving, by mail and as acts: the address itself must confirm, machines never do."""

from __future__ import annotations

import re

import pytest

from posthouse.directory import accounts
from posthouse.lists import roster, subscription, tokens
from posthouse.lists.errors import BadAddress, JoiningClosed, NoSuchList, TokenSpent
from posthouse.lists.models import Notified, Pending
from posthouse.message.headers import Fields
from posthouse.queue.models import Message
from tests.lists.scene import DAY, HOUR, MINUTE, NOW, arrives, has_list, letter, notices_for
from tests.people import ANA, EVE, GARDEN

JOIN, LEAVE = "garden-join@lists.example", "garden-leave@lists.example"
REQUEST = "garden-request@lists.example"
both = pytest.mark.usefixtures("database")
sqlite = pytest.mark.usefixtures("sqlite")


def writes(to: str, subject: str = "", text: str = "", author: str = EVE, now: int = NOW, *more: str) -> None:
    """A person writes to one of the list's addresses."""
    arrives(letter(author, to, subject, text, *more), to, author, now)


def token_for(address: str) -> str:
    """The token in the last confirmation mailed to this address."""
    subject = Fields(notices_for(address)[-1]).first("subject") or ""
    return subject.removeprefix("confirm ")


def members() -> list[str]:
    return [one.address for one in roster.members(GARDEN)]


@both
def test_one_joins_by_mail_with_a_confirmation_from_the_address_itself() -> None:
    has_list()
    writes(JOIN, author="Eve Snow <Eve@Elsewhere.Example>")
    assert members() == []
    [asked] = notices_for("Eve@elsewhere.example")
    token = token_for("Eve@elsewhere.example")
    fields = Fields(asked)
    assert fields.first("reply-to") == f"<garden-confirm+{token}@lists.example>"
    assert f"http://localhost:8000/confirm/{token}/".encode() in asked
    assert Message.objects.get(origin="notice").return_path == ""

    writes(f"garden-confirm+{token.upper()}@lists.example", f"Re: confirm {token}", now=NOW + HOUR)

    assert members() == ["Eve@elsewhere.example"]
    assert roster.members(GARDEN)[0].display_name == "Eve Snow"
    assert b"is now a member" in notices_for("Eve@elsewhere.example")[-1]


@both
def test_one_leaves_by_mail_with_a_confirmation() -> None:
    has_list(members=[EVE])
    writes("garden-unsubscribe@lists.example")
    assert members() == [EVE]
    writes(REQUEST, f"Re: confirm {token_for(EVE)}", "> quoted")
    assert members() == []
    assert b"is no longer a member" in notices_for(EVE)[-1]


@sqlite
@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("join", ""),
        ("Subscribe", ""),
        ("Re: subscribe", "thank you"),
        ("", "subscribe\r\n"),
        ("(no subject)", "\r\n\r\n> join\r\n"),
        ("hello", "Dear list,\r\njoin\r\n-- \r\nEve"),
    ],
)
def test_a_request_to_join_is_understood(subject: str, text: str) -> None:
    has_list()
    writes(REQUEST, subject, text)
    assert Pending.objects.get().act == "join"


@sqlite
@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("help", ""),
        ("What is this?", "Please tell me how I can join this wonderful list of yours"),
        ("", ""),
        ("hello", "end\r\njoin\r\n"),
        ("hello", "\r\n".join(["nothing"] * 12 + ["join"])),
    ],
)
def test_what_is_no_request_is_answered_with_help(subject: str, text: str) -> None:
    has_list()
    writes(REQUEST, subject, text)
    assert Pending.objects.count() == 0
    [helped] = notices_for(EVE)
    assert b"garden-join@lists.example" in helped


@sqlite
def test_a_confirmation_in_the_text_or_as_a_quote_counts() -> None:
    has_list()
    writes(JOIN)
    writes(REQUEST, "Re: your mail", f"> Subject: confirm {token_for(EVE)}\r\n")
    assert members() == [EVE]


@sqlite
def test_a_reply_that_lost_the_address_but_kept_the_subject_counts() -> None:
    has_list()
    writes(JOIN)
    writes("garden-confirm@lists.example", f"AW: confirm {token_for(EVE)}")
    assert members() == [EVE]


@both
def test_a_token_works_once_and_for_three_days() -> None:
    has_list()
    assert subscription.request_join(GARDEN, EVE, "Eve", NOW) == "asked"
    token = token_for(EVE)
    looked = subscription.look_at(token, NOW)
    assert (looked.act, looked.address, looked.list_address) == ("join", EVE, GARDEN)
    with pytest.raises(TokenSpent):
        subscription.confirm(token, NOW + 3 * DAY)
    assert subscription.confirm(token, NOW + 3 * DAY - MINUTE).changed
    with pytest.raises(TokenSpent):
        subscription.confirm(token, NOW)
    with pytest.raises(TokenSpent):
        subscription.look_at(token, NOW)


@sqlite
def test_only_the_digest_of_a_token_is_kept() -> None:
    has_list()
    subscription.request_join(GARDEN, EVE, "", NOW)
    assert token_for(EVE) not in str(list(Pending.objects.values_list()))


@sqlite
@pytest.mark.parametrize("token", ["", "x", "a" * 26, "é" * 26, "A" * 5000, "%s" * 13])
def test_a_made_up_token_does_nothing(token: str) -> None:
    has_list()
    with pytest.raises(TokenSpent):
        subscription.confirm(token, NOW)


@both
def test_an_address_gets_one_confirmation_an_hour_however_often_it_is_asked_and_spelled() -> None:
    has_list()
    for number in range(20):
        spelled = EVE if number % 2 else "EVE@elsewhere.example"
        subscription.request_join(GARDEN, spelled, "", NOW + number * MINUTE)
    assert len(notices_for(EVE)) + len(notices_for("EVE@elsewhere.example")) == 1
    assert subscription.request_join(GARDEN, EVE, "", NOW + HOUR + MINUTE) == "asked"
    assert len(notices_for(EVE)) == 1
    assert Pending.objects.count() == 1


@both
def test_an_address_gets_five_confirmations_a_day_of_all_lists_together() -> None:
    for number in range(8):
        has_list(f"list{number}@lists.example")
        subscription.request_join(f"list{number}@lists.example", EVE, "", NOW)
    assert len(notices_for(EVE)) == 5
    assert subscription.request_join("list7@lists.example", EVE, "", NOW + DAY + MINUTE) == "asked"
    assert len(notices_for(EVE)) == 6


@sqlite
def test_a_members_wish_to_join_and_a_strangers_to_leave_are_told_to_them_a_few_times_a_day() -> None:
    has_list(members=[ANA])
    for _ in range(15):
        writes(JOIN, author=ANA)
        writes(LEAVE)
    assert len(notices_for(ANA)) == 11  # ten, and that there are no more
    assert b"member already" in notices_for(ANA)[0]
    assert len(notices_for(EVE)) == 11
    assert b"not a member" in notices_for(EVE)[0].lower()
    writes(JOIN, author=ANA, now=NOW + DAY + MINUTE)
    assert len(notices_for(ANA)) == 12
    assert Notified.objects.count() == 1


@sqlite
@pytest.mark.parametrize(
    "field",
    ["Auto-Submitted: auto-replied", "Precedence: bulk", "Precedence: JUNK", "List-Id: <x.example>",
     "X-Autoreply: yes", "X-Vacation: 1", "Precedence: auto_reply"],
)  # fmt: skip
@pytest.mark.parametrize("to", [JOIN, LEAVE, REQUEST, "garden-confirm@lists.example"])
def test_automatic_mail_is_neither_obeyed_nor_answered(field: str, to: str) -> None:
    has_list(members=[ANA])
    writes(to, "join", "join", EVE, NOW, field)
    writes(to, "leave", "leave", ANA, NOW, field)
    assert Message.objects.filter(origin="notice").count() == 0
    assert Pending.objects.count() == 0


@sqlite
@pytest.mark.parametrize("field", ["Auto-Submitted: auto-replied", "X-Autorespond: yes"])
def test_a_vacation_note_in_answer_to_a_confirmation_confirms_nothing(field: str) -> None:
    has_list()
    writes(JOIN)
    to = f"garden-confirm+{token_for(EVE)}@lists.example"
    writes(to, f"Away: confirm {token_for(EVE)}", "I am away", EVE, NOW, field)
    arrives(letter(EVE, to), to, "")
    assert members() == []


@sqlite
def test_a_list_is_never_made_to_write_to_itself() -> None:
    has_list()
    for author in (GARDEN, REQUEST, "garden-join@lists.example", "garden-bounces+a=b@lists.example"):
        writes(REQUEST, "help", author=author)
    assert Message.objects.filter(origin="notice").count() == 0


@sqlite
def test_a_spent_confirmation_is_told() -> None:
    has_list()
    writes(REQUEST, f"confirm {'a' * 26}")
    [told] = notices_for(EVE)
    assert b"does not work any more" in told


@sqlite
def test_a_closed_list_says_whom_to_ask() -> None:
    has_list(subscription_policy="closed")
    writes(JOIN)
    [told] = notices_for(EVE)
    assert b"garden-owner@lists.example" in told
    with pytest.raises(JoiningClosed, match="invitation"):
        subscription.request_join(GARDEN, EVE, "", NOW)
    assert members() == []


@sqlite
def test_an_open_list_takes_and_lets_go_at_once() -> None:
    has_list(subscription_policy="open", unsubscription_policy="open")
    assert subscription.request_join(GARDEN, EVE, "Eve", NOW) == "asked"  # nobody has verified that address yet
    accounts.create(EVE)
    assert subscription.request_join(GARDEN, EVE, "Eve", NOW) == "joined"
    assert members() == [EVE]
    assert subscription.request_leave(GARDEN, EVE, NOW) == "left"
    assert members() == []


@sqlite
def test_greetings_are_left_out_where_the_list_wants_it() -> None:
    has_list(subscription_policy="open", send_welcome_message="no", send_goodbye_message="no")
    accounts.create(EVE)
    subscription.request_join(GARDEN, EVE, "", NOW)
    subscription.leave_now(has_list_pk(), EVE, "one-click", NOW)
    assert notices_for(EVE) == []


def has_list_pk() -> int:
    from posthouse.lists.addresses import list_pk

    return list_pk(GARDEN)


@both
def test_one_click_takes_exactly_that_member_off_that_list() -> None:
    pk = has_list(members=[ANA, EVE])
    other = has_list("other@lists.example", members=[EVE])
    found = tokens.read_unsubscribe(tokens.signed(tokens.unsubscribe_key(), pk, EVE))
    assert found == (pk, EVE)
    assert subscription.leave_now(*found, "one-click", NOW)
    assert not subscription.leave_now(*found, "one-click", NOW)
    assert members() == [ANA]
    assert [one.address for one in roster.members(other)] == [EVE]


@sqlite
def test_an_unsubscribe_token_cannot_be_made_up_or_bent() -> None:
    token = tokens.signed(tokens.unsubscribe_key(), 1, EVE)
    for bent in ("", "x", token[:-1], token[1:], "A" + token[1:], token + "AAAA", token.swapcase(), "é", "=" * 40):
        if bent != token:
            assert tokens.read_unsubscribe(bent) is None
    assert tokens.read_unsubscribe(tokens.signed(tokens.unsubscribe_key(), 7, "grüße@far.example")) == (
        7,
        "grüße@far.example",
    )


@sqlite
def test_what_is_wrong_is_said() -> None:
    has_list()
    with pytest.raises(BadAddress):
        subscription.request_join(GARDEN, "eve", "", NOW)
    with pytest.raises(NoSuchList):
        subscription.request_join("none@lists.example", EVE, "", NOW)
    with pytest.raises(NoSuchList):
        subscription.leave_now(999, EVE, "one-click", NOW)


@sqlite
def test_tokens_survive_mail_systems_that_change_case() -> None:
    made = {tokens.new_confirmation() for _ in range(200)}
    assert len(made) == 200
    assert all(re.fullmatch("[a-z2-7]{26}", one) and tokens.confirmation_in(f" {one.upper()} ") == one for one in made)
