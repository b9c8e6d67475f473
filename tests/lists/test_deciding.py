"""Deciding about held mail: by signed links, by answers to the notice, in batches, by itself after a time."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.message import Message

import pytest

from posthouse.lists import bans, creation, holding, roster
from posthouse.lists.errors import ListError, NoSuchHeld, TokenSpent
from posthouse.lists.models import HeldPosting
from posthouse.lists.moderation import actions, links
from posthouse.message.headers import Fields
from posthouse.message.parsing import read
from tests.lists.scene import DAY, HOUR, NOW, arrives, copies, has_list, letter, notices_for, posts, waiting
from tests.people import ANA, BEN, EVE, GARDEN, OWEN

both = pytest.mark.usefixtures("database")
sqlite = pytest.mark.usefixtures("sqlite")


def links_of(notice: bytes) -> list[str]:
    """The tokens of the links in a notice, in their order: release, reject, discard, ban, accept."""
    return re.findall(r"/held/act/([\w-]+)/", read(notice).text)


def answer(notice: bytes, text: str, *more: str) -> str:
    """Owen answers the notice; what became of it."""
    to = (Fields(notice).first("reply-to") or "").strip("<>")
    return arrives(letter(OWEN, to, "Re: waits", text, *more), to, OWEN).reply


@both
def test_each_link_of_the_notice_does_what_it_says_once() -> None:
    has_list(members=[ANA])
    for act in links.ACTS:
        posts(EVE, act)
        token = links_of(notices_for(OWEN)[-1])[links.ACTS.index(act)]
        asked = holding.look_at_token(token, NOW)
        assert (asked.act, asked.held.author) == (act, EVE)
        assert HeldPosting.objects.count() == 1  # looking does nothing
        if act == "reject":
            with pytest.raises(ListError, match="why"):
                holding.act_by_token(token, NOW)
        holding.act_by_token(token, NOW, "Not now.")
        with pytest.raises(NoSuchHeld):
            holding.act_by_token(token, NOW)
        assert HeldPosting.objects.count() == 0
        if act == "ban":
            [ban] = bans.bans(GARDEN)
            assert ban.pattern == EVE
            bans.lift(EVE, GARDEN)
    assert copies() == [ANA, ANA]
    assert any(b"Not now." in notice for notice in notices_for(EVE))
    posts(EVE, "accepted from now on")
    assert copies() == [ANA, ANA, ANA]


@sqlite
def test_a_member_who_is_accepted_is_no_longer_moderated() -> None:
    has_list(members=[ANA], default_member_action="hold")
    posts(ANA)
    holding.accept_author(holding.held()[0].id, "owen", NOW)
    posts(ANA)
    assert copies() == [ANA, ANA]
    assert roster.members(GARDEN, "nonmember") == []


@sqlite
def test_a_link_ends_after_thirty_days_and_cannot_be_made_up() -> None:
    has_list()
    posts(EVE)
    token = links_of(notices_for(OWEN)[0])[0]
    with pytest.raises(TokenSpent):
        holding.look_at_token(token, NOW + 30 * DAY)
    for forged in (token[:-1], f"{token[:-1]}{'A' if token[-1] != 'A' else 'B'}", f"A{token[1:]}", "", "ä", "x" * 999):
        with pytest.raises(TokenSpent):
            holding.look_at_token(forged, NOW)
    assert links.read_reply(token) is None
    assert links.read_link(links.reply_token(1)) is None


@both
def test_an_answer_with_the_password_releases_and_a_plain_answer_discards() -> None:
    has_list(members=[ANA], moderator_password="open sesame")
    posts(EVE)
    assert "released" in answer(notices_for(OWEN)[0], "Approved: open sesame\r\n> A posting waits")
    assert copies() == [ANA]
    posts(EVE)
    assert "released" in answer(notices_for(OWEN)[1], "Fine.", "Approved: open sesame")
    posts(EVE)
    assert "discarded" in answer(notices_for(OWEN)[2], "No, thank you.")
    assert (copies(), HeldPosting.objects.count()) == ([ANA, ANA], 0)


@sqlite
def test_a_wrong_password_and_the_answer_of_a_machine_decide_nothing() -> None:
    has_list(members=[ANA], moderator_password="open sesame")
    posts(EVE)
    [notice] = notices_for(OWEN)
    assert "kept" in answer(notice, "Approved: sesame")
    for field in ("Auto-Submitted: auto-replied", "X-Autoreply: yes", "Content-Type: multipart/report; boundary=b"):
        assert "not obeyed" in answer(notice, "I am on holiday", field)
    assert HeldPosting.objects.count() == 1
    token = links.reply_token(HeldPosting.objects.get().pk)
    bent = f"{token[:9]}{'a' if token[9] != 'a' else 'b'}{token[10:]}"
    arrives(letter(OWEN, "x@y.example"), f"garden-confirm+{bent}@lists.example", OWEN)
    assert HeldPosting.objects.count() == 1
    assert links.read_reply(token.upper()) == HeldPosting.objects.get().pk
    has_list("other@lists.example")
    arrives(letter(OWEN, "x@y.example"), f"other-confirm+{token}@lists.example", OWEN)
    assert HeldPosting.objects.count() == 1


@sqlite
def test_the_notice_carries_the_posting_the_reasons_and_the_number() -> None:
    has_list()
    posts(EVE)
    [notice] = notices_for(OWEN)
    assert b"Content-Type: message/rfc822" in notice and b"Ripe at last." in notice
    text = read(notice).text
    assert "nonmember: Its author is not a member of the list." in text
    assert f"posthouse held release {HeldPosting.objects.get().pk}" in text
    assert holding.held()[0].hits == ("nonmember: Its author is not a member of the list.",)


@both
def test_several_are_decided_at_once_and_all_of_an_author_are_found() -> None:
    has_list(members=[ANA])
    for author in (EVE, BEN, EVE.upper()):
        posts(author)
    numbers = [one.id for one in holding.held()]
    assert [one.id for one in holding.from_author(numbers[0])] == [numbers[0], numbers[2]]
    done = holding.decide_many([numbers[0], numbers[2], numbers[0]], "discard", "owen", NOW)
    assert (done.done, done.gone) == ((numbers[0], numbers[2]), ())
    assert holding.decide_many(numbers, "release", "owen", NOW) == holding.Decided(
        (numbers[1],), (numbers[0], numbers[2])
    )
    assert copies() == [ANA]
    with pytest.raises(ListError, match="one can"):
        holding.decide(numbers[0], "burn", "owen", NOW)


@both
def test_held_postings_expire_after_the_days_the_list_says() -> None:
    has_list(max_days_to_hold="5")
    has_list("other@lists.example", max_days_to_hold="0")
    posts(EVE)
    posts(EVE, to="other@lists.example")
    posts(EVE, now=NOW + 3 * DAY)
    assert holding.expire(NOW + 5 * DAY) == 0
    assert holding.expire(NOW + 5 * DAY + 1) == 1
    assert holding.expire(NOW + 400 * DAY) == 1
    assert [one.list_address for one in holding.held()] == ["other@lists.example"]


@both
def test_moderators_are_reminded_once_a_day_of_what_waits() -> None:
    has_list(admin_immed_notify="no", respond_to_post_requests="no")
    has_list("other@lists.example", owners=[BEN])
    assert holding.summary(NOW) == 0
    posts(EVE, subject="Beans")
    posts(EVE)
    assert holding.summary(NOW) == 1
    assert holding.summary(NOW + HOUR) == 0
    assert holding.summary(NOW + DAY) == 1
    assert len(notices_for(OWEN)) == 2 and notices_for(BEN) == []
    text = read(notices_for(OWEN)[1]).text
    assert "Beans" in text and "(1 days)" in text
    assert "2 postings" in (Fields(notices_for(OWEN)[0]).first("subject") or "")


@sqlite
def test_who_is_told_what_follows_the_settings() -> None:
    has_list(admin_immed_notify="no", respond_to_post_requests="no")
    posts(EVE)
    assert waiting("notice") == []
    creation.set_settings(GARDEN, {"admin_immed_notify": "yes", "respond_to_post_requests": "yes"})
    posts(EVE)
    assert (len(notices_for(OWEN)), len(notices_for(EVE))) == (1, 1)


@sqlite
def test_a_held_posting_is_shown_to_somebody_else_and_goes_on_waiting() -> None:
    has_list()
    posts(EVE)
    [held] = holding.held()
    holding.forward(held.id, BEN, "owen", NOW)
    [told] = notices_for(BEN)
    assert b"Ripe at last." in told and b"owen sends you" in told
    assert [one.id for one in holding.held()] == [held.id]
    with pytest.raises(ListError):
        holding.forward(held.id, "nobody", "owen", NOW)


@sqlite
@pytest.mark.parametrize("action, number", [("accept", 1), ("defer", 1), ("hold", 0), ("discard", 0), ("", 0)])
def test_a_person_has_an_action_of_their_own(action: str, number: int) -> None:
    has_list(members=[ANA], default_member_action="reject", default_nonmember_action="reject")
    assert actions.set_action(GARDEN, ANA, action) == "member"
    assert actions.set_action(GARDEN, EVE, action) == "nonmember"
    posts(ANA)
    posts(EVE)
    assert len(copies()) == number * 2
    with pytest.raises(ListError, match="no action"):
        actions.set_action(GARDEN, ANA, "burn")
    actions.set_action(GARDEN, EVE, "")
    assert roster.members(GARDEN, "nonmember") == []


def _attached_reply(notice: bytes) -> Message:
    """The message in a notice that is there to be answered."""
    return next(part for part in message_from_bytes(notice).walk() if "confirm" in str(part["Subject"]))


@both
@pytest.mark.parametrize(("text", "done"), [("Approved: open sesame", "released"), ("No.", "discarded")])
@pytest.mark.parametrize("way", ["reply-to", "request"])
def test_the_attached_message_is_answered_as_mailmans(text: str, done: str, way: str) -> None:
    has_list(members=[ANA], moderator_password="open sesame")
    posts(EVE)
    attached = _attached_reply(notices_for(OWEN)[0])
    assert attached["From"] == "<garden-request@lists.example>"
    to = str(attached["Reply-To" if way == "reply-to" else "From"]).strip("<>")
    assert done in arrives(letter(OWEN, to, f"Re: {attached['Subject']}", text), to, OWEN).reply
    assert (copies() == [ANA], holding.count()) == (done == "released", 0)


@sqlite
def test_the_subject_of_a_stranger_without_the_token_decides_nothing() -> None:
    has_list(members=[ANA], moderator_password="open sesame")
    posts(EVE)
    attached = _attached_reply(notices_for(OWEN)[0])
    word = str(attached["Subject"]).split()[-1]
    for subject in (f"confirm {word[:-1]}", f"confirm {'a' * 26}", f"confirm {word} and more", word):
        arrives(letter(EVE, "garden-request@lists.example", subject, "x"), "garden-request@lists.example", EVE)
    assert holding.count() == 1


@sqlite
def test_the_notice_names_what_the_rules_found_and_what_they_did_not() -> None:
    has_list(max_num_recipients="1", default_nonmember_action="defer")
    posts(EVE, subject="", to=GARDEN)
    fields = message_from_bytes(notices_for(OWEN)[0])
    assert fields["X-Mailman-Rule-Hits"] == "max-recipients; no-subject"
    misses = " ".join(str(fields["X-Mailman-Rule-Misses"]).split()).split("; ")
    assert {"no-author", "approved", "banned-address", "nonmember", "size", "digests", "dmarc-mitigation"} <= set(
        misses
    )
    assert not {"max-recipients", "no-subject"} & set(misses)
    creation.set_settings(GARDEN, {"emergency": "yes"})
    posts(EVE)
    fields = message_from_bytes(notices_for(OWEN)[1])
    assert fields["X-Mailman-Rule-Hits"] == "emergency"
    assert "size" not in str(fields["X-Mailman-Rule-Misses"])  # nobody asked
