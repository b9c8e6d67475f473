"""The rules of moderation, one promise each: what holds, rejects, discards or lets through a posting."""

from __future__ import annotations

import pytest

from posthouse import maillog
from posthouse.directory import accounts, addresses
from posthouse.directory.models import Address
from posthouse.lists import bans, creation, expressions, roster
from posthouse.lists.errors import BadSetting, JoiningClosed
from posthouse.lists.models import HeldPosting, MailingList, Membership
from posthouse.lists.moderation import header_matches
from posthouse.lists.subscription import request_join
from posthouse.message.headers import Fields
from posthouse.queue.models import Event
from posthouse.queue.trace import trace
from tests.lists.scene import MINUTE, NOW, arrives, has_list, letter, notices_for, posts, waiting
from tests.people import ANA, BEN, CLEO, EVE, GARDEN, OWEN

both = pytest.mark.usefixtures("database")
sqlite = pytest.mark.usefixtures("sqlite")


def verdict() -> tuple[str, str]:
    """(disposition, rule) of the last posting."""
    maillog.flush()
    import json

    row = Event.objects.filter(kind="judged").order_by("-id")[0]
    detail = json.loads(row.detail) if isinstance(row.detail, str) else row.detail
    return detail["disposition"], detail["rule"]


@both
def test_a_forged_name_of_a_moderator_is_held_where_reception_saw_dmarc_fail() -> None:
    has_list(members=[ANA])
    for number, (host, result) in enumerate(
        [("mx.lists.example", "fail"), ("mx.lists.example", "pass"), ("mx.far.example", "fail")]
    ):
        found = f"Authentication-Results: {host};\r\n\tdmarc={result} header.from=far.example\r\n".encode()
        content = letter(OWEN, GARDEN, f"Number {number}", "Hello.", f"Message-ID: <{number}@far.example>")
        arrives(content, GARDEN, OWEN, prefix=found)
    [held] = HeldPosting.objects.all()
    assert (held.subject, held.rule) == ("Number 0", "staff")


@both
def test_a_banned_address_is_discarded_whoever_it_says_to_be_and_no_password_helps() -> None:
    has_list(members=[ANA, BEN], moderator_password="open sesame")
    assert bans.ban(EVE.upper(), GARDEN, by="owen", now=NOW, why="spam")
    assert not bans.ban(EVE, GARDEN, by="owen", now=NOW)

    for author, more in ((EVE, ()), (ANA, (f"Sender: {EVE}",)), (ANA, (f"Reply-To: <{EVE}>",))):
        posts(author, "Hello", GARDEN, "Hello", NOW, *more)
        assert verdict() == ("discard", "banned-address")
    posts(EVE, "Hello", GARDEN, "Hello", NOW, "Approved: open sesame")
    assert verdict() == ("discard", "banned-address")
    arrives(letter(ANA), GARDEN, EVE)
    assert verdict() == ("discard", "banned-address")

    assert bans.lift(EVE, GARDEN)
    posts(EVE)
    assert verdict() == ("hold", "nonmember")


@both
@pytest.mark.parametrize("pattern", ["@far.example", "^.*@FAR\\.example$", "ana@far.example"])
def test_bans_are_by_address_domain_or_expression_on_a_list_or_the_site(pattern: str) -> None:
    has_list(members=[ANA])
    bans.ban(pattern, by="root", now=NOW)
    posts(ANA)
    assert verdict() == ("discard", "banned-address")
    assert [one.list_address for one in bans.bans()] == [""]
    assert bans.bans(GARDEN) == []
    posts("ana@else.example")
    assert verdict() == ("hold", "nonmember")


@sqlite
def test_a_banned_address_reaches_neither_the_owners_nor_joins_but_may_leave() -> None:
    has_list(members=[EVE])
    bans.ban(EVE, GARDEN, by="owen", now=NOW)
    assert "banned" in arrives(letter(EVE, "garden-owner@lists.example"), "garden-owner@lists.example", EVE).reply
    assert waiting() == []
    arrives(letter(EVE, "garden-leave@lists.example"), "garden-leave@lists.example", EVE)
    assert len(notices_for(EVE)) == 1
    roster.remove(GARDEN, EVE)
    arrives(letter(EVE, "garden-join@lists.example"), "garden-join@lists.example", EVE)
    assert len(notices_for(EVE)) == 1
    with pytest.raises(JoiningClosed):
        request_join(GARDEN, EVE, "", NOW)


@sqlite
@pytest.mark.parametrize(
    "pattern", ["eve", "^(", "@", "^(a|aa)+$", "^(?R)", "^(?:x){e<=3}", "^" + "a" * 600, "@a@b.example"]
)
def test_a_ban_that_is_no_pattern_or_could_run_away_is_refused(pattern: str) -> None:
    has_list()
    with pytest.raises(BadSetting):
        bans.ban(pattern, GARDEN, by="owen", now=NOW)


@both
def test_header_matches_are_asked_in_order_and_each_has_its_action() -> None:
    has_list(members=[ANA])
    header_matches.add(GARDEN, "X-Spam-Flag", "^yes", "discard")
    header_matches.add(GARDEN, "Subject", "lottery", "reject", tag="money")
    header_matches.add(GARDEN, "subject", "tomato", "accept", position=0)
    header_matches.add(None, "X-Site", "bad", "hold")
    assert [(one.position, one.header) for one in header_matches.matches(GARDEN)] == [
        (0, "subject"), (1, "x-spam-flag"), (2, "subject"),
    ]  # fmt: skip

    posts(EVE, "x", GARDEN, "My TOMATOES", NOW, "X-Spam-Flag: YES")
    assert verdict() == ("accept", "header-match")
    posts(ANA, "x", GARDEN, "Beans", NOW, "X-Spam-Flag: YES")
    assert verdict() == ("discard", "header-match")
    posts(ANA, "x", GARDEN, "=?utf-8?b?TG90dGVyeQ==?=")  # Lottery
    assert verdict() == ("reject", "header-match")
    posts(ANA, "x", GARDEN, "My tomatoes", NOW, "X-Site: very bad")
    assert verdict() == ("hold", "header-match")
    posts(ANA, "x", GARDEN, "Beans")
    assert verdict() == ("accept", "all")

    assert header_matches.move(GARDEN, 0, 2).position == 2
    assert [one.pattern for one in header_matches.matches(GARDEN)] == ["^yes", "lottery", "tomato"]
    assert header_matches.remove(GARDEN, 0).pattern == "^yes"
    assert [one.position for one in header_matches.matches(GARDEN)] == [0, 1]
    assert header_matches.matches(GARDEN, "money")[0].pattern == "lottery"
    assert header_matches.remove_all(GARDEN, "money") == 1


@sqlite
def test_header_matches_look_into_every_part_and_into_messages_inside() -> None:
    has_list(members=[ANA])
    header_matches.add(GARDEN, "Content-Type", "application/x-msdownload", "reject")
    header_matches.add(GARDEN, "X-Inner", "secret", "discard")
    head = f"From: {ANA}\r\nTo: {GARDEN}\r\nSubject: Files\r\nMIME-Version: 1.0\r\n"
    mixed = head + 'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nHello\r\n--b\r\n'
    arrives(f"{mixed}Content-Type: application/x-msdownload\r\n\r\nMZ\r\n--b--\r\n".encode(), GARDEN, ANA)
    assert verdict() == ("reject", "header-match")
    inner = "X-Inner: secret\r\n\r\nText\r\n--b--\r\n"
    arrives(f"{mixed}Content-Type: message/rfc822\r\n\r\n{inner}".encode(), GARDEN, ANA)
    assert verdict() == ("discard", "header-match")


@sqlite
@pytest.mark.parametrize(
    "header, pattern, action", [("", "x", "hold"), ("a b", "x", "hold"), ("X", "(", "hold"), ("X", "x", "burn")]
)
def test_a_header_match_that_means_nothing_is_refused(header: str, pattern: str, action: str) -> None:
    has_list()
    with pytest.raises(BadSetting):
        header_matches.add(GARDEN, header, pattern, action)


@sqlite
def test_emergency_holds_everything_but_approved_postings() -> None:
    has_list(members=[ANA], emergency="yes", moderator_password="open sesame")
    for author in (ANA, OWEN):
        posts(author)
        assert verdict() == ("hold", "emergency")
    posts(ANA, "x", GARDEN, "Beans", NOW, "Approved: open sesame")
    assert verdict() == ("accept", "approved")


@both
@pytest.mark.parametrize("item", [EVE, EVE.upper(), "^EVE@", "@other@lists.example", "@elsewhere.example"])
@pytest.mark.parametrize(
    "action, disposition", [("accept", "accept"), ("hold", "hold"), ("reject", "reject"), ("discard", "discard")]
)
def test_nonmembers_are_named_by_address_expression_domain_or_list(item: str, action: str, disposition: str) -> None:
    default = "hold" if action != "hold" else "discard"
    has_list(default_nonmember_action=default, **{f"{action}_these_nonmembers": item})
    has_list("other@lists.example", members=[EVE])
    posts(EVE)
    assert verdict() == (disposition, "all" if action == "accept" else "nonmember")
    posts("mallory@else.example")
    assert verdict() == (default, "nonmember")


@sqlite
def test_an_accepted_nonmember_still_passes_the_other_rules_and_their_own_action_comes_first() -> None:
    has_list(accept_these_nonmembers=EVE)
    posts(EVE, subject="")
    assert verdict() == ("hold", "no-subject")
    roster.add(GARDEN, EVE, role="nonmember")
    roster.set_preferences(GARDEN, EVE, "nonmember", moderation_action="discard")
    posts(EVE)
    assert verdict() == ("discard", "nonmember")


@sqlite
def test_what_moderated_people_are_told_is_the_owners_choice() -> None:
    has_list(
        members=[ANA], default_member_action="reject", default_nonmember_action="reject",
        member_moderation_notice="Members: wait for spring.", nonmember_rejection_notice="Join us first.",
    )  # fmt: skip
    posts(ANA)
    posts(EVE)
    assert b"Members: wait for spring." in notices_for(ANA)[0]
    assert b"Join us first." in notices_for(EVE)[0]


@sqlite
def test_owners_see_what_is_discarded_when_they_want_to() -> None:
    has_list(default_nonmember_action="discard", forward_auto_discards="yes")
    posts(EVE)
    [told] = notices_for(OWEN)
    assert b"was discarded" in told and b"Ripe at last." in told
    creation.set_settings(GARDEN, {"forward_auto_discards": "no"})
    posts(EVE)
    assert len(notices_for(OWEN)) == 1


@both
def test_a_member_who_writes_too_much_is_moderated_from_then_on() -> None:
    has_list(members=[ANA, BEN], member_verbosity_threshold="2", member_verbosity_interval="60")
    for number in range(4):  # two in the interval each time
        posts(ANA, now=NOW + number * MINUTE * 2 // 3)
        assert verdict()[0] == "accept"
    posts(ANA, now=NOW + 2 * MINUTE + 1)
    assert verdict() == ("hold", "verbosity")
    posts(ANA, now=NOW + 60 * MINUTE)
    assert verdict() == ("hold", "member")
    posts(BEN, now=NOW + 60 * MINUTE)
    assert verdict()[0] == "accept"


@sqlite
@pytest.mark.parametrize("subject, text", [
    ("unsubscribe", "x"), ("Subscribe digest address=ana@far.example", "x"), ("Hello", "\n\n  help \n"),
    ("Hello", "confirm 1234567890"), ("who", "x"),
])  # fmt: skip
def test_a_command_sent_to_everybody_is_held_where_owners_want_it(subject: str, text: str) -> None:
    has_list(members=[ANA])
    posts(ANA, text, subject=subject)
    assert verdict() == ("hold", "administrivia")
    creation.set_settings(GARDEN, {"administrivia": "no"})
    posts(ANA, text, subject=subject)
    assert verdict()[0] == "accept"


@sqlite
@pytest.mark.parametrize("subject", ["Help me with my tomatoes", "set the table", "who wants seeds this year"])
def test_a_sentence_that_begins_like_a_command_is_a_posting(subject: str) -> None:
    has_list(members=[ANA])
    posts(ANA, "x", subject=subject if not subject.startswith("set") else "set the whole long table now")
    assert verdict()[0] == "accept"


@sqlite
def test_a_posting_that_does_not_name_the_list_is_held_unless_an_alias_or_the_owner_allows_it() -> None:
    has_list(members=[ANA])
    arrives(letter(ANA, "friends@far.example"), GARDEN, ANA)
    assert verdict() == ("hold", "implicit-destination")
    for aliases in ("friends@far.example", "FRIENDS", "^friends@", "x@y.example\n^fr.{1,3}nds"):
        creation.set_settings(GARDEN, {"acceptable_aliases": aliases})
        arrives(letter(ANA, "friends@far.example"), GARDEN, ANA)
        assert verdict()[0] == "accept"
    creation.set_settings(GARDEN, {"acceptable_aliases": "foes"})
    arrives(letter(ANA, "friends@far.example"), GARDEN, ANA)
    assert verdict()[0] == "hold"
    arrives(letter(ANA, "friends@far.example", "Beans", "x", f"Resent-To: {GARDEN}"), GARDEN, ANA)
    assert verdict()[0] == "accept"
    creation.set_settings(GARDEN, {"require_explicit_destination": "no"})
    arrives(letter(ANA, "friends@far.example"), GARDEN, ANA)
    assert verdict()[0] == "accept"


@sqlite
def test_a_posting_to_many_people_is_held() -> None:
    has_list(members=[ANA], max_num_recipients="3")
    posts(ANA, "x", GARDEN, "Beans", NOW, f"Cc: {BEN}")
    assert verdict()[0] == "accept"
    posts(ANA, "x", GARDEN, "Beans", NOW, f"Cc: {BEN}, {CLEO}")
    assert verdict() == ("hold", "max-recipients")
    creation.set_settings(GARDEN, {"max_num_recipients": "0"})
    posts(ANA, "x", GARDEN, "Beans", NOW, f"Cc: {BEN}, {CLEO}")
    assert verdict()[0] == "accept"


@sqlite
def test_an_answer_to_a_whole_digest_is_held_where_owners_want_it() -> None:
    has_list(members=[ANA])
    masthead = "> Send Garden mailing list submissions to\n> garden@lists.example"
    posts(ANA, "x", subject="Re: Garden Digest, Vol 3, Issue 14")
    assert verdict()[0] == "accept"
    creation.set_settings(GARDEN, {"hold_digest": "yes"})
    posts(ANA, "x", subject="Re: Garden Digest, Vol 3, Issue 14")
    assert verdict() == ("hold", "digests")
    posts(ANA, masthead, subject="Beans")
    assert verdict() == ("hold", "digests")


@sqlite
def test_a_digest_that_is_answered_or_quoted_whole_is_known_in_the_language_of_the_list() -> None:
    has_list(members=[ANA], hold_digest="yes", preferred_language="fr")
    title = "Recueil de Garden, vol. 3, numéro 14"
    posts(ANA, "x", subject=f"Re: {title}")
    assert verdict() == ("hold", "digests")
    posts(ANA, f"Oui.\n\n> {title}\n>\n> Écrire à la liste :\n>   {GARDEN}\n", subject="Haricots")
    assert verdict() == ("hold", "digests")
    posts(ANA, f"Dans le {title}, Ben parle de tomates.", subject="Tomates du recueil de Garden")
    assert verdict()[0] == "accept"


@sqlite
def test_a_suspicious_header_is_held() -> None:
    has_list(members=[ANA], bounce_matching_headers="X-Mailer: ^bulk{1,2}er\nTo: friend@public\\.example")
    posts(ANA, "x", GARDEN, "Beans", NOW, "X-Mailer: Bulker 2")
    assert verdict() == ("hold", "suspicious-header")
    posts(ANA, "x", GARDEN, "Beans", NOW, "X-Mailer: Mutt")
    assert verdict()[0] == "accept"
    for bad in ("X-Mailer", "X-Mailer: (", ": x"):
        with pytest.raises(BadSetting):
            creation.set_settings(GARDEN, {"bounce_matching_headers": bad})


@sqlite
def test_what_speaks_against_a_posting_is_told_together() -> None:
    has_list(members=[ANA], max_num_recipients="2")
    posts(ANA, "help", GARDEN, "", NOW, f"Cc: {BEN}")
    held = HeldPosting.objects.get()
    assert [line.partition(":")[0] for line in held.hits.splitlines()] == [
        "administrivia",
        "max-recipients",
        "no-subject",
    ]
    assert held.reason.count(".") == 3
    [told] = notices_for(OWEN)
    assert b"max-recipients: It names 2 recipients" in told


@sqlite
def test_the_trace_says_what_was_found_and_the_author_is_not_told_it() -> None:
    has_list(members=[ANA])
    header_matches.add(GARDEN, "Subject", "lott+ery", "reject", tag="money")
    posts(ANA, subject="Lottery")
    maillog.flush()
    assert any("subject: lott+ery (money)" in line.sentence for line in trace(GARDEN, 100))
    [told] = notices_for(ANA)
    assert b"A rule about header fields" in told and b"lott+ery" not in told


@sqlite
def test_the_verified_addresses_of_an_account_are_one_person() -> None:
    has_list(members=[ANA])
    account = accounts.create(ANA)
    addresses.ensure(CLEO)
    Address.objects.filter(key=CLEO).update(account_id=account.id)
    posts(CLEO)
    assert verdict() == ("hold", "nonmember")
    Address.objects.filter(key=CLEO).update(verified_at=Address.objects.get(key=ANA).verified_at)
    posts(CLEO)
    assert verdict()[0] == "accept"
    proved = Address.objects.get(key=ANA).verified_at
    Address.objects.filter(key=ANA).update(verified_at=None)  # anybody could say that it is theirs
    posts(CLEO)
    assert verdict() == ("hold", "nonmember")
    Address.objects.filter(key=ANA).update(verified_at=proved)
    Membership.objects.filter(address__key=ANA).update(moderation_action="reject")
    posts(CLEO)
    assert verdict() == ("reject", "member")


@sqlite
def test_an_expression_that_runs_away_costs_a_moment_and_a_person_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    has_list(members=[ANA])
    MailingList.objects.update(bounce_matching_headers="x-long: (a+)+$")  # as if it had slipped in
    posts(ANA, "x", GARDEN, "Beans", NOW, f"X-Long: {'a' * 900}!")
    assert verdict() == ("hold", "expression")
    MailingList.objects.update(bounce_matching_headers="", default_member_action="accept")
    header_matches.add(GARDEN, "X-Long", "b")
    header_matches.HeaderMatch.objects.update(pattern="(a+)+$")
    posts(ANA, "x", GARDEN, "Beans", NOW, f"X-Long: {'a' * 900}!")
    assert verdict() == ("hold", "expression")


@pytest.mark.parametrize(
    "pattern",
    [
        "(((a{1000}){1000}){1000})", "((((a{99}){99}){99}){99})", "a{9999999999}", "(?:a{1000}){2,1000}",
        r"(\)a{1000}){1000}", "(a{1000}[)]){1000}", "(a{1000}[]()]){1000}", "(a{1000}[[:alpha:])]){1000}",
        "(?V1)(a{1000}[[x])]){1000}", "(a{2500}(?#()){500}", "(?x)((a{1000}) {1000})", r"\p{L}{1000000}",
    ],
)  # fmt: skip
def test_an_expression_that_would_fill_the_memory_is_not_even_compiled(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"repeat|spaces"):
        expressions.checked(pattern)


def test_numbers_in_braces_are_fine_where_they_are_small() -> None:
    for pattern in (
        r"^\d{1,3}(\.\d{1,3}){3}$",
        "[a-f0-9]{32}-[a-f0-9]{64}",
        "(?:[[:alpha:]]{2,9}){3}",
        "a{1000}",
    ):
        assert expressions.checked(pattern) == pattern
    assert expressions.Patience().finds("(((a{1000}){1000}){1000})", "aaa") is False, "kept by an older version"


@sqlite
def test_a_password_is_kept_as_a_hash_that_nobody_reads() -> None:
    has_list(moderator_password="open sesame")
    assert MailingList.objects.get().moderator_password.startswith("argon2")
    assert creation.show(GARDEN).settings["moderator_password"] == "set"
    creation.set_settings(GARDEN, {"moderator_password": ""})
    assert creation.show(GARDEN).settings["moderator_password"] == ""


@sqlite
@pytest.mark.parametrize(
    "action, subject, expected",
    [
        ("defer", "Beans", ("accept", "all")),
        ("defer", "", ("hold", "no-subject")),
        ("accept", "", ("accept", "member")),
        ("hold", "Beans", ("hold", "member")),
        ("reject", "Beans", ("reject", "member")),
        ("discard", "Beans", ("discard", "member")),
    ],
)
def test_what_happens_to_members_is_the_lists_choice(action: str, subject: str, expected: tuple[str, str]) -> None:
    has_list(members=[ANA], default_member_action=action)
    posts(ANA, subject=subject)
    assert verdict() == expected


@sqlite
def test_a_list_that_takes_no_postings_says_so_in_its_copies_and_to_its_authors() -> None:
    has_list(members=[ANA], allow_list_posts="no", default_member_action="reject")
    posts(OWEN)
    [(_, content, _)] = waiting()
    assert (Fields(content).first("list-post") or "").startswith("NO")
    posts(ANA)
    assert b"Only the owners and moderators post to this list." in notices_for(ANA)[0]
    creation.set_settings(GARDEN, {"allow_list_posts": "yes"})
    posts(OWEN)
    assert Fields(waiting()[1][1]).first("list-post") == f"<mailto:{GARDEN}>"


@both
def test_the_rules_of_the_site_and_of_another_list_do_not_mix() -> None:
    has_list(members=[ANA])
    has_list("other@lists.example", members=[ANA])
    bans.ban(ANA, "other@lists.example", by="owen", now=NOW)
    header_matches.add("other@lists.example", "Subject", "beans", "discard")
    posts(ANA, subject="Beans")
    assert verdict() == ("accept", "all")
    posts(ANA, to="other@lists.example")
    assert verdict() == ("discard", "banned-address")
