"""Commands by mail: understood wherever they stand, told or obeyed, and never by a From field alone."""

from __future__ import annotations

import pytest

from posthouse.directory import accounts
from posthouse.directory.moments import moment
from posthouse.lists import approval, creation, holding, notices, roster, subscription, vacation
from posthouse.lists.commands import Command, parsed
from posthouse.lists.models import HeldPosting, MailingList, Membership, Notified, Pending
from posthouse.message.parsing import read
from tests.lists.scene import DAY, HOUR, NOW, arrives, copies, has_list, letter, notices_for, posts
from tests.lists.test_joining import REQUEST, members, token_for, writes
from tests.people import ANA, BEN, EVE, GARDEN, OWEN

both = pytest.mark.usefixtures("database")
sqlite = pytest.mark.usefixtures("sqlite")
CONFIRM = "garden-confirm+{}@lists.example"


def answer(address: str = EVE) -> str:
    """What the last notice for an address says."""
    return read(notices_for(address)[-1]).text


def confirms(author: str, now: int = NOW) -> str:
    """A person answers the last confirmation they got: the text of what they get then."""
    writes(CONFIRM.format(token_for(author)), "Re: confirm", author=author, now=now)
    return answer(author)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("JOIN", Command("join")),
        ("subscribe digest=mime address=x@far.example", Command("join", "digest=mime address=x@far.example")),
        ("join the dots and tell me please", None),
        ("leave", Command("leave")),
        ("remove", Command("leave")),
        ("remove ana@far.example", Command("remove", "ana@far.example")),
        ("add Ana Bo <ana@far.example>", Command("add", "Ana Bo <ana@far.example>")),
        ("add more water to the tomatoes", None),
        ("approve 12", Command("approve", "12")),
        ("approve of this", None),
        ("approve 12 tomatoes", None),
        ("reject #12 Not here.", Command("reject", "12 Not here.")),
        ("discard request 3", Command("discard", "request 3")),
        ("set delivery off", Command("set", "delivery off")),
        ("set digest=plain", Command("set", "digest plain")),
        ("set language pt-BR", Command("set", "language pt-br")),
        ("set delivery until 2030-08-31", Command("set", "delivery until 2030-08-31")),
        ("set delivery until tomorrow", Command("misused", "delivery")),
        ("set delivery sometimes", Command("misused", "delivery")),
        ("set digest", Command("misused", "digest")),
        ("set digest as you like it", None),
        ("set", Command("options")),
        ("set show", Command("options")),
        ("set fire to it", None),
        ("who", Command("who")),
        ("who are you and what do you want", None),
        ("", None),
    ],
)
def test_what_is_a_command_and_what_is_a_sentence(line: str, command: Command | None) -> None:
    assert parsed(line) == command


@sqlite
@pytest.mark.parametrize(
    ("subject", "text", "more"),
    [
        ("who", "", ()),
        ("Re: who", "anything", ()),
        ("", "who", ()),
        ("", "> who\r\n", ()),
        ("hello", "who\r\n-- \r\njoin", ()),
        ("", "<html><body><p>Hello</p><div><b>who</b></div></body></html>", ("Content-Type: text/html",)),
    ],
)
def test_a_command_is_found_in_subject_text_quote_and_html(subject: str, text: str, more: tuple[str, ...]) -> None:
    has_list(members=[ANA, EVE], member_roster_visibility="members")
    writes(REQUEST, subject, text, EVE, NOW, *more)
    assert ANA in answer() and Pending.objects.count() == 0


@both
@pytest.mark.parametrize(
    ("visibility", "sees"),
    [("public", [EVE, ANA, OWEN]), ("members", [ANA, OWEN]), ("moderators", [OWEN])],
)
def test_the_roster_is_told_to_whom_the_setting_says(visibility: str, sees: list[str]) -> None:
    has_list(members=[ANA, BEN], member_roster_visibility=visibility)
    roster.set_preferences(GARDEN, BEN, hide_address=True)
    for person in (EVE, ANA, OWEN):
        writes(REQUEST, "who", author=person)
        assert (ANA in answer(person).replace(f"settings of {ANA}", "")) == (person in sees)
        assert (BEN in answer(person)) == (person == OWEN)  # who hides is shown to those who run the list


@sqlite
def test_info_lists_and_options_tell() -> None:
    has_list(members=[EVE], description="Vegetables", info="Grow them.")
    has_list("chess@lists.example", description="Gambits")
    has_list("secret@lists.example", style="private")
    writes(REQUEST, "", "info\r\nlists\r\noptions\r\n")
    told = answer()
    for word in ("Vegetables", "Grow them.", "chess@lists.example", "Gambits", "duplicates  on", "delivery    on"):
        assert word in told
    assert "secret@" not in told
    writes(REQUEST, "options", author=ANA)
    assert "not a member" in answer(ANA)


@both
def test_settings_of_a_member_change_when_the_address_confirms() -> None:
    has_list(members=[ANA, BEN])
    writes(REQUEST, "", "set delivery off\r\nset myposts off\r\nset digest mime\r\nset hide on\r\n", ANA)
    assert roster.members(GARDEN)[0].delivery_status == "enabled"  # a From field alone changes nothing
    assert "set delivery off" in answer(ANA)
    assert confirms(ANA).count("Done.") == 4
    facts = roster.members(GARDEN)[0]
    assert (facts.delivery_status, facts.receive_own_postings, facts.delivery_mode) == (
        "by_user",
        False,
        "mime_digests",
    )
    assert facts.hide_address
    posts(BEN)
    assert copies() == [BEN]


@sqlite
def test_names_that_are_told_can_be_read_again() -> None:
    has_list()
    roster.add_lines(GARDEN, ['"Doe, Jane" <jane@far.example>', "Ana Lima-Bo <ana@far.example>"])
    writes(REQUEST, "members", author=OWEN)
    assert '"Doe, Jane" <jane@far.example>' in answer(OWEN) and "\nAna Lima-Bo <ana@far.example>" in answer(OWEN)


@sqlite
def test_who_sets_something_wrong_is_told_what_there_is() -> None:
    has_list(members=[ANA])
    writes(REQUEST, "set digest weekly", author=ANA)
    assert "digest takes one of these: no, off, mime, plain, summary" in answer(ANA)
    assert "weekly" not in answer(ANA)  # what a stranger wrote is not sent to an address that may be forged
    writes(REQUEST, "set", author=ANA)
    assert "delivery    on" in answer(ANA)


@sqlite
def test_a_vacation_is_asked_for_by_mail_too() -> None:
    has_list(members=[ANA])
    writes(REQUEST, "set delivery until 2023-12-24", author=ANA)
    assert "Done." in confirms(ANA)
    ends = vacation.ends_at(GARDEN, ANA)
    assert ends is not None and f"{ends:%Y-%m-%d %H:%M}" == "2023-12-24 00:00"
    for day, said in (("2023-13-40", "is no day"), ("2001-01-01", "a day to come")):
        writes(REQUEST, f"set delivery until {day}", author=ANA)
        assert said in confirms(ANA)


@sqlite
def test_who_was_stopped_by_bounces_starts_again_with_a_clean_slate() -> None:
    has_list(members=[ANA])
    Membership.objects.filter(address__key=ANA).update(
        delivery_status="by_bounces",
        bounces=5,
        bounce_warnings=2,
        bounce_due_at=moment(NOW),
        bounce_stopped_at=moment(NOW),
    )
    writes(REQUEST, "set delivery on", author=ANA)
    assert "Done." in confirms(ANA)
    row = Membership.objects.get(address__key=ANA)
    assert (row.delivery_status, row.bounces, row.bounce_warnings, row.bounce_due_at) == (None, 0, 0, None)


@sqlite
def test_who_was_stopped_by_a_moderator_cannot_start_again() -> None:
    has_list(members=[ANA])
    roster.set_preferences(GARDEN, ANA, delivery_status="by_moderator")
    writes(REQUEST, "set delivery on", author=ANA)
    assert "owners have stopped" in confirms(ANA)
    assert roster.members(GARDEN)[0].delivery_status == "by_moderator"


@both
def test_owners_decide_by_mail_after_confirming() -> None:
    has_list(members=[ANA], admin_immed_notify="no")
    for subject in ("One", "Two", "Three"):
        posts(EVE, subject=subject)
    first, second, third = HeldPosting.objects.order_by("id").values_list("pk", flat=True)
    writes(REQUEST, "", f"approve {first}\r\ndiscard {second}\r\n", OWEN)
    assert len(holding.held()) == 3
    assert confirms(OWEN).count("Done.") == 2
    assert [one.id for one in holding.held()] == [third]
    assert copies() == [ANA]
    writes(REQUEST, f"reject {third}", "Please join\r\nthe list first.", OWEN, NOW + HOUR)
    assert "Done." in confirms(OWEN, NOW + HOUR)
    assert "Please join\nthe list first." in answer(EVE)
    writes(REQUEST, f"approve {first}", "", OWEN, NOW + 2 * HOUR)
    assert "Not done" in confirms(OWEN, NOW + 2 * HOUR)


@sqlite
def test_owners_decide_about_requests_and_change_the_roster_by_mail() -> None:
    has_list(members=[ANA], subscription_policy="moderate")
    accounts.create(EVE)
    subscription.request_join(GARDEN, EVE, "", NOW)
    [request] = approval.waiting()
    writes(REQUEST, "", f"approve request {request.id}\r\nadd Ben <{BEN}>\r\nremove {ANA}\r\n", OWEN)
    assert confirms(OWEN).count("Done.") == 3
    assert members() == [BEN, EVE]
    writes(REQUEST, "members", author=OWEN)
    assert BEN in answer(OWEN) and EVE in answer(OWEN)


@sqlite
def test_strangers_and_members_cannot_use_the_owners_commands() -> None:
    has_list(members=[ANA])
    posts(EVE, subject="Offer")
    number = HeldPosting.objects.get().pk
    for person in (ANA, EVE):
        writes(REQUEST, "", f"approve {number}\r\nmembers\r\nadd {EVE}\r\n", person)
        assert answer(person).count("only the people who run the list") == 3
    assert Pending.objects.count() == 0
    has_list("other@lists.example", owners=[BEN])
    writes("other-request@lists.example", f"approve {number}", author=BEN)  # of another list
    token = token_for(BEN)
    arrives(letter(BEN), f"other-confirm+{token}@lists.example", BEN)
    assert "Not done" in answer(BEN)
    assert len(holding.held()) == 1


@sqlite
def test_who_lost_the_role_meanwhile_is_not_obeyed() -> None:
    has_list(members=[ANA])
    roster.add(GARDEN, BEN, role="owner")
    writes(REQUEST, f"remove {ANA}", author=BEN)
    roster.remove(GARDEN, BEN, role="owner")
    assert "Not done" in confirms(BEN)
    assert members() == [ANA]


@sqlite
def test_another_address_joins_for_itself_with_its_choice_of_digest() -> None:
    has_list()
    writes(REQUEST, f"join digest=plain address={BEN}", author=EVE)
    assert notices_for(EVE) == []
    confirms(BEN)
    assert [(one.address, one.delivery_mode) for one in roster.members(GARDEN)] == [(BEN, "plaintext_digests")]


@sqlite
def test_a_renamed_list_still_takes_commands_at_its_old_address() -> None:
    has_list()
    creation.rename(GARDEN, "park@lists.example")
    writes("garden-join@lists.example")
    writes(CONFIRM.format(token_for(EVE)), "Re: confirm", now=NOW + DAY)
    assert [one.address for one in roster.members("park@lists.example")] == [EVE]


@sqlite
def test_commands_of_two_messages_wait_side_by_side_and_not_too_many() -> None:
    has_list(members=[ANA])
    writes(REQUEST, "set myposts off", author=ANA)
    first = token_for(ANA)
    writes(REQUEST, "set hide on", author=ANA)
    second = token_for(ANA)
    for token in (first, second):
        writes(CONFIRM.format(token), "Re: confirm", author=ANA)
        assert "Done." in answer(ANA)
    facts = roster.members(GARDEN)[0]
    assert (facts.receive_own_postings, facts.hide_address) == (False, True)
    for number in range(subscription.MOST_COMMANDS + 5):
        writes(REQUEST, "set hide off", author=ANA, now=NOW + (number + 1) * DAY // 24)
    assert Pending.objects.count() <= subscription.MOST_COMMANDS
    results = [one for one in notices_for(ANA) if b"\r\nSubject: confirm" not in one]
    assert len(notices_for(ANA)) - len(results) <= notices.MOST_A_DAY  # what proves nothing is bounded
    assert len(results) == 3  # what was confirmed does not count, and one says that there is no more


def found(result: str, host: str = "mx.lists.example") -> bytes:
    """What reception writes before a message, or somebody else in its name."""
    return f"Authentication-Results: {host};\r\n\t{result}\r\n".encode()


@both
def test_a_member_who_confirms_is_not_silenced_by_what_strangers_ask_in_their_name() -> None:
    has_list(members=[ANA])
    writes(REQUEST, "set hide on", author=ANA)
    first = token_for(ANA)
    for _ in range(notices.MOST_A_DAY + 3):
        writes(REQUEST, "help", author=ANA)
    assert len(notices_for(ANA)) == notices.MOST_A_DAY + 1
    writes(CONFIRM.format(first), "Re: confirm", author=ANA)
    assert "Done." in answer(ANA)


@both
@pytest.mark.parametrize(
    ("prefix", "proven"),
    [
        (found("dmarc=pass header.from=far.example"), True),
        (found("dmarc=none header.from=far.example; spf=pass smtp.mailfrom=ana@far.example"), True),
        (found("dkim=pass header.d=far.example header.s=a"), True),
        (found("dkim=pass header.d=elsewhere.example; spf=pass smtp.mailfrom=eve@elsewhere.example"), False),
        (found("spf=pass smtp.helo=far.example"), False),
        (found("dmarc=fail header.from=far.example; spf=pass smtp.mailfrom=ana@far.example"), False),
        # a milter wrote the field above ours, in our name
        (found("dkim=pass header.d=far.example header.s=a") + found("dmarc=fail header.from=far.example"), False),
        (found("dmarc=pass header.from=far.example", "mx.elsewhere.example"), False),
        (b"", False),
    ],
)
def test_answers_to_a_proven_author_have_a_wide_bound_of_their_own(prefix: bytes, proven: bool) -> None:
    has_list(members=[ANA])
    for number in range(notices.MOST_A_DAY + 3):
        content = letter(ANA, REQUEST, ("set hide on", "options", "help")[number % 3])
        arrives(content, REQUEST, ANA, prefix=prefix)
    assert len(notices_for(ANA)) == notices.MOST_A_DAY + (3 if proven else 1)


@sqlite
def test_who_signed_in_to_write_is_proven() -> None:
    has_list(members=[ANA])
    for _ in range(notices.MOST_A_DAY + 3):
        arrives(letter(ANA, REQUEST, "options"), REQUEST, ANA, origin="submission")
    assert len(notices_for(ANA)) == notices.MOST_A_DAY + 3


@both
def test_even_a_proven_author_gets_a_bounded_number_of_answers_of_all_lists_and_then_one_that_says_so() -> None:
    other = "roses@lists.example"
    has_list(members=[ANA])
    has_list(other, members=[ANA])
    row = MailingList.objects.get(list_name="garden")
    Notified.objects.bulk_create(
        Notified(mailing_list=row, address=ANA, kind=notices.PROVEN, at=moment(NOW))
        for _ in range(notices.MOST_PROVEN - 1)
    )
    request, prefix = "roses-request@lists.example", found("dmarc=pass header.from=far.example")
    for _ in range(3):
        arrives(letter(ANA, request, "options"), request, ANA, prefix=prefix)
    assert len(notices_for(ANA)) == 2
    assert str(notices.MOST_PROVEN) in answer(ANA)
    arrives(letter(ANA, request, "options"), request, ANA, prefix=prefix, now=NOW + DAY + HOUR)
    assert len(notices_for(ANA)) == 3
