"""The same letters prepared under many settings, beside what Mailman 3.3.10 is known to do (and where we do better)."""

from __future__ import annotations

import email
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from posthouse.archive.models import Posting
from posthouse.configuration import Configuration
from posthouse.content import keeping
from posthouse.directory.models import Domain
from posthouse.lists import creation, departure, subscription, topics
from posthouse.lists.errors import BadSetting
from posthouse.lists.mitigation import MUNGE_FROM, NOTHING, WRAP_MESSAGE, mitigation
from posthouse.lists.models import MailingList, Membership
from posthouse.lists.preparation.steps import Circumstances, prepare
from posthouse.message.headers import Fields
from tests.lists.scene import NOW, arrives, copies, has_list, letter, notices_for, posts, waiting
from tests.people import ANA, BEN, CLEO, EVE, GARDEN

LETTERS = sorted((Path(__file__).parent.parent / "letters").glob("*.eml"))
OWN = "Reply-To: Ana Apple <home@ana.example>"
LIST = f"Garden <{GARDEN}>"


def garden(**values: str | bool) -> MailingList:
    """A list that is in no database."""
    values = {"display_name": "Garden", "subject_prefix": "", "footer": "", **values}
    return MailingList(
        list_name="garden", domain=Domain(name="lists.example"), list_id="garden.lists.example", **values
    )


def prepared(content: bytes, action: str = NOTHING, number: int = 1, **values: str | bool) -> EmailMessage:
    out = prepare(garden(**values), content, Circumstances("a@b", "http://localhost/x/", number, action))
    return email.message_from_bytes(out, policy=SMTP)  # type: ignore[return-value]


# (settings, the author's own Reply-To, Reply-To of the copies)
REPLIES = [
    ("no_munging", False, "", None),
    ("no_munging", False, OWN, "Ana Apple <home@ana.example>"),
    ("no_munging", True, OWN, None),
    ("point_to_list", False, "", LIST),
    ("point_to_list", False, OWN, f"{LIST}, Ana Apple <home@ana.example>"),
    ("point_to_list", True, OWN, LIST),
    ("explicit_header", False, OWN, "<talk@far.example>, Ana Apple <home@ana.example>"),
    ("explicit_header", True, OWN, "<talk@far.example>"),
    ("explicit_header_only", False, OWN, "<talk@far.example>"),  # Mailman keeps the author's beside it
    ("explicit_header_only", False, "", "<talk@far.example>"),
]


@pytest.mark.parametrize(("kind", "strip", "own", "expected"), REPLIES)
def test_answers_go_where_the_list_says(kind: str, strip: bool, own: str, expected: str | None) -> None:
    content = letter(ANA, GARDEN, "x", "y", *([own] if own else []))
    out = prepared(content, reply_goes_to_list=kind, first_strip_reply_to=strip, reply_to_address="talk@far.example")
    got = Fields(out.as_bytes()).first("reply-to")
    assert (got or "").replace("<", "").replace(">", "") == (expected or "").replace("<", "").replace(">", "")


def test_without_an_explicit_address_answers_go_to_the_list() -> None:
    assert prepared(letter(ANA), reply_goes_to_list="explicit_header_only")["Reply-To"] == LIST


# (settings, own Reply-To, From, Reply-To, Cc) of a munged copy
MUNGED = [
    ("no_munging", "", "Ana Apple <ana@far.example>", None),
    ("no_munging", OWN, "Ana Apple <home@ana.example>, Ana Apple <ana@far.example>", None),
    ("point_to_list", "", LIST, "Ana Apple <ana@far.example>"),
    ("explicit_header_only", OWN, "talk@far.example", "Ana Apple <ana@far.example>"),
]


@pytest.mark.parametrize(("kind", "own", "reply_to", "cc"), MUNGED)
def test_a_munged_copy_leads_back_to_its_author(kind: str, own: str, reply_to: str, cc: str | None) -> None:
    content = letter(f"Ana Apple <{ANA}>", GARDEN, "x", "y", *([own] if own else []))
    out = prepared(content, MUNGE_FROM, reply_goes_to_list=kind, reply_to_address="talk@far.example")
    assert out["From"] == f"Ana Apple via Garden <{GARDEN}>"
    assert (out["Reply-To"] or "").replace("<talk@far.example>", "talk@far.example") == reply_to
    assert out["Cc"] == cc


def _addresses(copy: EmailMessage, *names: str) -> list[str]:
    return [one.addr_spec for name in names if copy[name] for one in copy[name].addresses]


def _answered(copy: EmailMessage, button: str) -> set[str]:
    """Whom a mail program writes to: everywhere Reply-To, else From; Reply all: To and Cc too, without Ben himself.

    "thunderbird": a Reply-To that is the address of List-Post is not believed, From is answered.
    """
    to = _addresses(copy, "Reply-To") or _addresses(copy, "From")
    if button == "thunderbird" and to == [GARDEN]:
        to = _addresses(copy, "From")
    if button == "list":
        return {copy["List-Post"].removeprefix("<mailto:").removesuffix(">")}
    return set(to) | (set(_addresses(copy, "To", "Cc")) - {BEN} if button == "all" else set())


# (reply_goes_to_list, how the author addressed it) -> whom Reply, Reply all answer
ANSWERED = [
    ("no_munging", f"To: {GARDEN}", {ANA}, {ANA, GARDEN}),
    ("no_munging", f"To: {BEN}\r\nCc: {GARDEN}, {ANA}", {ANA}, {ANA, GARDEN}),
    ("point_to_list", f"To: {GARDEN}", {GARDEN}, {ANA, GARDEN}),
    ("point_to_list", f"To: {GARDEN}\r\nCc: Me <{ANA}>, {CLEO}", {GARDEN}, {ANA, CLEO, GARDEN}),
    ("explicit_header_only", f"To: {GARDEN}", {"talk@far.example"}, {ANA, GARDEN, "talk@far.example"}),
]


@pytest.mark.parametrize("action", [MUNGE_FROM, WRAP_MESSAGE])
@pytest.mark.parametrize(("kind", "addressed", "reply", "everybody"), ANSWERED)
def test_answers_of_mail_programs_to_a_munged_copy_reach_whom_they_mean(
    action: str, kind: str, addressed: str, reply: set[str], everybody: set[str]
) -> None:
    content = letter(f"Ana Apple <{ANA}>", GARDEN, "x", "y").replace(f"To: {GARDEN}".encode(), addressed.encode())
    out = prepared(content, action, reply_goes_to_list=kind, reply_to_address="talk@far.example")
    assert _answered(out, "reply") == _answered(out, "thunderbird") == reply
    assert _answered(out, "all") == everybody
    assert _answered(out, "list") == {GARDEN}
    assert len(_addresses(out, "Cc")) == len(set(_addresses(out, "Cc")))


def test_the_answer_to_a_munged_copy_is_munged_without_a_second_via() -> None:
    out = prepared(letter(f"Ana via Garden <{ANA}>"), MUNGE_FROM)  # programs keep the shown name in address books
    assert out["From"].addresses[0].display_name == "Ana via Garden"


def test_a_name_of_other_letters_survives_munging() -> None:
    out = prepared(letter("=?koi8-r?b?8NLJ18XU?= <ana@far.example>"), MUNGE_FROM)
    assert out["From"].addresses[0].display_name == "Привет via Garden"


@pytest.mark.parametrize("words", ["", "Ana's domain wants no lists.\n"])
def test_a_wrapped_posting_is_attached_as_it_came(words: str) -> None:
    content = letter(f"Ana <{ANA}>", GARDEN, "Tomatoes", "Ripe  ", "DKIM-Signature: v=1; b=x", "In-Reply-To: <q@r>")
    for footer in ("", "Bye."):
        row = garden(dmarc_wrapped_message_text=words, subject_prefix="[g] ", footer=footer)
        raw = prepare(row, content, Circumstances("tomatoes@far.example", "", 1, WRAP_MESSAGE))
        out = email.message_from_bytes(raw, policy=SMTP)
        assert content in raw
        assert out["From"] == f"Ana via Garden <{GARDEN}>" and out["Reply-To"] == f"Ana <{ANA}>"
        assert out["Subject"] == "[g] Tomatoes" and out["In-Reply-To"] == "<q@r>" and "DKIM-Signature" not in out
        assert out["Message-ID"] == "<tomatoes@far.example>" and out["List-Id"]
        texts = [part.get_content() for part in out.walk() if part.get_content_type() == "text/plain"]
        assert [text.strip() for text in texts] == [one for one in (words.strip(), "Ripe", footer) if one]


# (action, unconditionally, addresses, policy) -> what happens
MITIGATIONS = [
    ("munge_from", False, "", "reject", "munge_from"),
    ("munge_from", False, "", "quarantine", "munge_from"),
    ("munge_from", False, "", "none", NOTHING),
    ("munge_from", False, "", "", NOTHING),
    ("munge_from", False, "", "unknown", "munge_from"),
    ("munge_from", True, "", "none", "munge_from"),
    ("munge_from", False, f"x@y.example\n{ANA}", "none", "munge_from"),
    ("munge_from", False, "@far.example", "none", "munge_from"),
    ("munge_from", False, "^a.a@FAR", "none", "munge_from"),
    ("munge_from", False, "^eve", "none", NOTHING),
    ("wrap_message", False, "", "reject", "wrap_message"),
    ("wrap_message", True, "", "none", "wrap_message"),
    ("wrap_message", False, "", "unknown", "wrap_message"),
    ("reject", False, "", "reject", "reject"),
    ("reject", True, "", "none", NOTHING),
    ("reject", False, "", "unknown", "munge_from"),  # a silent nameserver rejects nobody
    ("discard", False, "", "quarantine", "discard"),
    ("discard", False, "", "unknown", "munge_from"),
    ("no_mitigation", True, ANA, "reject", NOTHING),
]


@pytest.mark.parametrize(("action", "always", "addresses", "policy", "expected"), MITIGATIONS)
def test_what_a_policy_entails(action: str, always: bool, addresses: str, policy: str, expected: str) -> None:
    row = garden(dmarc_mitigate_action=action, dmarc_mitigate_unconditionally=always, dmarc_addresses=addresses)
    assert mitigation(row, ANA, policy) == expected
    row.anonymous_list = True
    assert mitigation(row, ANA, policy) == NOTHING


def test_without_list_fields_copies_have_none_of_them(sqlite: Configuration) -> None:
    out = prepared(letter(ANA), include_rfc2369_headers=False)
    assert not [name for name in out if name.lower().startswith("list-")] and out["X-BeenThere"] == GARDEN
    pk = has_list(include_rfc2369_headers="no")
    return_path, head = departure.for_list(pk).copy(ANA)
    assert (return_path, head) == ("garden-bounces+ana=far.example@lists.example", b"")


def test_the_prefix_counts_postings(sqlite: Configuration) -> None:
    has_list(members=[ANA], subject_prefix="[Garden %03d] ")
    posts(ANA, subject="One")
    posts(ANA, subject="AW: [Garden 001] One")
    assert [Fields(content).first("subject") for _, content, _ in waiting()] == [
        "[Garden 001] One", "[Garden 002] Re: One",
    ]  # fmt: skip


@pytest.mark.parametrize("path", LETTERS, ids=lambda path: path.stem)
def test_odd_letters_pass_through_every_setting(path: Path) -> None:
    content = path.read_bytes()
    for action in (NOTHING, MUNGE_FROM, WRAP_MESSAGE):
        row = garden(
            subject_prefix="[Gärten %d 100%] ", header="Grüße $listname", footer="Bye $5", personalize="full",
            reply_goes_to_list="point_to_list", dmarc_wrapped_message_text="Übergeben",
        )  # fmt: skip
        for personalize in ("none", "full"):
            row.personalize = personalize
            out = prepare(row, content, Circumstances("a@b", "", 1, action))
            fields = Fields(out)
            assert [fields.count(name) for name in ("subject", "list-id", "reply-to")] == [1, 1, 1]
            words = departure.Wording("Hi $user_name", "", {}, {ANA: ("Ä", "")})
            more, pieces = departure.Departure(1, "b", "h", b"", b"", b"", wording=words).personal(out).copy(ANA)
            copy = more + b"".join(one if isinstance(one, bytes) else out[one[0] : one[1]] for one in pieces)
            assert any(coded in copy for coded in ("Hi Ä".encode(), b"Hi =C3=84", b"Hi \xc4", b"SGkgw4")), copy[-600:]


IDENTIFYING = (
    "Sender: ana@far.example", "Received: from home.ana.example", "X-Originating-IP: 192.0.2.1",
    "Organization: Ana Ltd",
    "DKIM-Signature: v=1; d=far.example; b=x", "User-Agent: Ana's mailer", "Reply-To: ana@far.example",
    "Return-Path: <ana@far.example>", "Resent-From: ana@far.example", "Authentication-Results: x; dkim=pass",
    "Cc: Ana <ana@far.example>, ben@far.example", "References: <q@ben.example>", "Message-ID: <1@home.ana.example>",
)  # fmt: skip


def test_an_anonymous_list_tells_nobody_who_wrote(sqlite: Configuration) -> None:
    has_list(members=[ANA, BEN], anonymous_list="yes", footer="")
    content = letter(f"Ana Apple <{ANA}>", GARDEN, "Tomatoes", "Ripe.", *IDENTIFYING)
    arrives(content, GARDEN, ANA, prefix=b"Received: by mx from home.ana.example\r\n")
    [(_, copy, _)] = waiting()
    for kept in (copy, keeping.read(Posting.objects.get().content_id).all()):
        assert b"ana" not in kept.lower() and b"Ripe." in kept
        fields = Fields(kept)
        assert fields.first("from") == LIST and fields.first("cc") == "<ben@far.example>"
        assert fields.first("references") == "<q@ben.example>"
    posting = Posting.objects.get()
    assert "ana" not in f"{posting.author_name} {posting.author_address}".lower()


def test_members_get_what_their_topics_match(sqlite: Configuration) -> None:
    people = [ANA, BEN, CLEO, EVE]
    pk = has_list(members=people, topics_enabled="yes", topics="Fruit: tomato|apple\nRose_s: rose\nAll%: xyz")
    topics.choose(pk, BEN, ["fruit"], False)
    topics.choose(pk, CLEO, ["Rose_s"], True)
    topics.choose(pk, EVE, ["All%"], False)

    def reached(subject: str, text: str = "-", *more: str) -> list[str]:
        before = len(waiting())
        posts(ANA, text, GARDEN, subject, 1_700_000_000_000 + before, *more)
        _, content, recipients = waiting()[-1]
        assert ("Fruit" in (Fields(content).first("x-topics") or "")) == (BEN in recipients)
        return recipients

    assert reached("Re: Tomatoes") == [ANA, BEN]
    assert reached("Roses and tomatoes") == [ANA, BEN, CLEO]
    assert reached("Weather") == [ANA, CLEO]
    assert reached("Weather", "-", "Keywords: apples") == [ANA, BEN]
    assert reached("Weather", "Keywords: apples\n\nText") == [ANA, BEN]
    assert reached("Weather", "1\n2\n3\n4\n5\nKeywords: apples\n\nText") == [ANA, CLEO]
    creation.set_settings(GARDEN, {"topics_bodylines_limit": "6"})
    assert reached("Weather", "1\n2\n3\n4\n5\nKeywords: apples\n\nText") == [ANA, BEN]


def test_without_topics_enabled_everybody_gets_everything(sqlite: Configuration) -> None:
    pk = has_list(members=[ANA, BEN], topics_enabled="no", topics="Fruit: tomato")
    topics.choose(pk, BEN, ["Fruit"], False)
    posts(ANA, subject="Weather")
    assert copies() == [ANA, BEN]


def test_a_topic_is_written_with_name_and_expression(sqlite: Configuration) -> None:
    for wrong in ("tomato", ": x", "a: ", "a, b: x", "a: (x"):
        with pytest.raises(BadSetting):
            has_list(f"g{len(wrong)}{hash(wrong) % 9999}@lists.example", topics=wrong)
    pk = has_list(topics="Fruit: x", members=[BEN])
    with pytest.raises(BadSetting):
        topics.choose(pk, BEN, ["roses"], False)


SIBLING = "roses@lists.example"


def test_the_members_of_an_included_list_get_copies_once(sqlite: Configuration) -> None:
    has_list(SIBLING, members=[BEN, CLEO, EVE])
    has_list(members=[ANA, BEN], regular_include_lists=f"{SIBLING}\n{GARDEN}\ngone@lists.example")
    Membership.objects.filter(mailing_list__list_name="garden", address__key=BEN).update(delivery_status="by_user")
    posts(ANA)
    assert copies() == [ANA, CLEO, EVE]  # ben wants nothing of this list


def test_the_link_to_leave_works_for_members_of_included_lists(sqlite: Configuration) -> None:
    has_list(SIBLING, members=[BEN, CLEO])
    pk = has_list(members=[ANA, BEN], regular_include_lists=SIBLING)
    for address in (BEN, CLEO):
        assert subscription.leave_now(pk, address, "one-click", NOW)
    assert not subscription.leave_now(pk, EVE, "one-click", NOW)
    posts(ANA)
    assert copies() == [ANA]
    posts(ANA, to=SIBLING, now=NOW + 1)
    assert BEN not in copies()  # held, since ana is no member there
    assert Membership.objects.filter(mailing_list__list_name="roses", role="member").count() == 2


def test_an_included_list_that_is_addressed_too_sends_its_own_copies(sqlite: Configuration) -> None:
    has_list(SIBLING, members=[CLEO])
    has_list(members=[ANA], regular_include_lists=SIBLING)
    arrives(letter(ANA, f"{GARDEN}, {SIBLING}"), GARDEN, ANA)
    assert copies() == [ANA]


def test_members_of_an_excluded_list_get_it_from_there(sqlite: Configuration) -> None:
    has_list(SIBLING, members=[ANA, CLEO, EVE])
    Membership.objects.filter(mailing_list__list_name="roses", address__key=EVE).update(delivery_status="by_user")
    has_list(members=[ANA, BEN, CLEO, EVE], regular_exclude_lists=SIBLING)

    arrives(letter(ANA, f"{GARDEN}, {SIBLING}"), GARDEN, ANA)
    assert copies() == [BEN, EVE]  # eve gets nothing of the other list
    arrives(letter(BEN, f"{GARDEN}, {SIBLING}"), GARDEN, BEN)
    assert copies() == sorted([BEN, EVE, ANA, BEN, CLEO, EVE])  # ben may not post there: nobody gets it from there
    posts(ANA)
    assert len(copies()) == 10


def test_members_who_want_it_get_a_receipt(sqlite: Configuration) -> None:
    has_list(members=[ANA, BEN])
    Membership.objects.filter(address__key=ANA).update(acknowledge_posts=True)
    posts(ANA, subject="Beans")
    posts(BEN)
    [receipt] = notices_for(ANA)
    assert b"Beans" in receipt and not notices_for(BEN)
    posts(ANA, "-", GARDEN, "Beans", 1_700_000_000_000, "Auto-Submitted: auto-generated")
    assert len(notices_for(ANA)) == 1


@pytest.mark.parametrize(
    ("field", "kept"), [("X-No-Archive: yes", 0), ("X-Archive: no", 0), ("X-Archive: yes", 1), ("X-Other: no", 1)]
)
def test_an_author_may_ask_that_a_posting_is_kept_nowhere(sqlite: Configuration, field: str, kept: int) -> None:
    has_list(members=[BEN])
    posts(ANA, "-", GARDEN, "Secret", 1_700_000_000_000, field)
    posts(BEN, "-", GARDEN, "Secret", 1_700_000_000_001, field)
    [(_, copy, _)] = waiting()
    assert Posting.objects.count() == kept
    assert ("archived-at" in Fields(copy)) == bool(kept)
