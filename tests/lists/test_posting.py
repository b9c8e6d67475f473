"""The story of a posting, promise by promise."""

from __future__ import annotations

import hashlib

import pytest

from posthouse.archive.models import Posting
from posthouse.content import keeping
from posthouse.content.models import Content
from posthouse.lists import roster
from posthouse.lists.models import HeldPosting, MailingList
from posthouse.message.headers import Fields
from posthouse.message.identity import message_id_hash
from tests.lists.scene import arrives, copies, has_list, letter, notices_for, posts, waiting
from tests.people import ANA, BEN, CLEO, EVE, GARDEN, OWEN

both = pytest.mark.usefixtures("database")
sqlite = pytest.mark.usefixtures("sqlite")


@both
def test_a_members_posting_goes_to_every_member_as_one_content_with_a_row_each() -> None:
    pk = has_list(members=[ANA, BEN, CLEO])

    taken = posts(ANA)

    assert taken.result == "delivered"
    [(message, content, recipients)] = waiting()
    assert recipients == sorted([ANA, BEN, CLEO])
    assert (message.list_id, message.return_path) == (pk, "garden-bounces@lists.example")
    assert b"Ripe at last." in content


@sqlite
def test_the_copy_says_which_list_it_comes_from_and_what_one_can_do() -> None:
    has_list(members=[ANA, BEN], description="Talk about the garden")
    posts(ANA)
    [(_, content, _)] = waiting()
    fields = Fields(content)
    key = message_id_hash("tomatoes@far.example")

    assert fields.all("list-id") == ["Talk about the garden <garden.lists.example>"]
    assert fields.all("list-post") == ["<mailto:garden@lists.example>"]
    assert "<mailto:garden-request@lists.example?subject=help>" in (fields.first("list-help") or "")
    assert "<mailto:garden-join@lists.example>" in (fields.first("list-subscribe") or "")
    assert fields.all("list-owner") == ["<mailto:garden-owner@lists.example>"]
    assert fields.all("list-archive") == ["<http://localhost:8000/archives/garden@lists.example/>"]
    assert fields.all("archived-at") == [f"<http://localhost:8000/archives/garden@lists.example/message/{key}/>"]
    assert fields.all("precedence") == ["list"]
    assert fields.all("subject") == ["[Garden] Tomatoes"]
    assert b"Leave: garden-leave@lists.example" in content


@both
def test_the_archive_keeps_exactly_the_bytes_that_came() -> None:
    has_list(members=[ANA])
    content = letter(ANA, GARDEN, "Tomatoes", "Ripe  at last. \t")

    arrives(content, GARDEN, ANA, prefix=b"Received: by mx.lists.example; Tue, 14 Nov 2023 22:13:21 +0000\r\n")

    posting = Posting.objects.get()
    kept = keeping.read(posting.content_id).all()
    assert hashlib.sha256(kept).digest() == hashlib.sha256(content).digest()
    [(_, prepared, _)] = waiting()
    assert b"Received: by mx.lists.example" in prepared


@both
def test_every_use_of_content_is_accounted_for() -> None:
    has_list(members=[ANA])
    posts(ANA)
    posts(EVE)

    uses = {bytes(row.digest): row.uses for row in Content.objects.all()}
    assert uses[hashlib.sha256(letter(ANA)).digest()] == 2  # the archive and the next digest
    assert uses[hashlib.sha256(letter(EVE)).digest()] == 1  # the held posting
    assert sum(uses.values()) == len(uses) + 1


@both
def test_a_stranger_is_held_and_owners_and_the_author_are_told() -> None:
    has_list(members=[ANA])

    posts(EVE)

    held = HeldPosting.objects.get()
    assert (held.author, held.subject, held.rule) == (EVE, "Tomatoes", "nonmember")
    assert copies() == []
    [owner] = notices_for(OWEN)
    [author] = notices_for(EVE)
    assert b"/held/" in owner and b"Ripe at last." in owner
    assert b"waits for a moderator" in author
    for message, content, _ in waiting("notice"):
        assert message.return_path == ""
        assert Fields(content).first("auto-submitted") in ("auto-generated", "auto-replied")


@sqlite
@pytest.mark.parametrize(
    "field", ["Auto-Submitted: auto-generated", "Precedence: bulk", "List-Id: <other.lists.example>"]
)
def test_automatic_mail_is_held_without_telling_its_author(field: str) -> None:
    has_list()

    arrives(letter(EVE, GARDEN, "Report", "All is well.", field), GARDEN, EVE)

    assert HeldPosting.objects.count() == 1
    assert notices_for(EVE) == []


@sqlite
def test_a_flood_of_held_postings_tells_its_author_ten_times_a_day_at_most() -> None:
    has_list()
    for number in range(14):
        posts(EVE, f"number {number}")
    assert HeldPosting.objects.count() == 14
    told = notices_for(EVE)
    assert [b"waits for a moderator" in one for one in told] == [True] * 10 + [False]
    assert b"no more answers today" in told[-1] and b"10 automatic messages" in told[-1]


@sqlite
@pytest.mark.parametrize(
    ("action", "held", "told", "sent"),
    [("accept", 0, 0, 1), ("hold", 1, 1, 0), ("reject", 0, 1, 0), ("discard", 0, 0, 0)],
)
def test_the_list_decides_what_happens_to_strangers(action: str, held: int, told: int, sent: int) -> None:
    has_list(members=[ANA], default_nonmember_action=action)

    posts(EVE)

    assert HeldPosting.objects.count() == held
    assert len(notices_for(EVE)) == told
    assert len(copies()) == sent


@sqlite
def test_a_moderated_member_is_held_and_the_others_are_not() -> None:
    has_list(members=[ANA, BEN])
    roster.set_preferences(GARDEN, ANA, moderation_action="hold")

    posts(ANA)
    assert (HeldPosting.objects.count(), copies()) == (1, [])

    posts(BEN)
    assert copies() == [ANA, BEN]


@sqlite
def test_only_owners_and_moderators_post_to_an_announcement_list() -> None:
    has_list(members=[ANA, BEN], style="announce")

    posts(ANA)
    assert copies() == []
    [told] = notices_for(ANA)
    assert b"Only the owners and moderators post to this list." in told

    posts(OWEN)
    assert copies() == [ANA, BEN]
    [(_, content, _)] = waiting()
    assert (Fields(content).first("list-post") or "").startswith("NO")


@sqlite
def test_a_posting_larger_than_the_list_wants_is_held() -> None:
    has_list(members=[ANA], max_message_size="1")
    posts(ANA, "x" * 700)
    assert (HeldPosting.objects.count(), copies()) == (0, [ANA])
    posts(ANA, "x" * 1024)
    assert HeldPosting.objects.get().rule == "size"
    assert copies() == [ANA]


@sqlite
@pytest.mark.parametrize(
    "field",
    [
        "List-Id: Garden <GARDEN.lists.example>",
        "List-Post: <mailto:garden@lists.example>",
        "X-BeenThere: garden@lists.example",
    ],
)
def test_what_has_been_through_the_list_does_not_go_round_again(field: str) -> None:
    has_list(members=[ANA])
    taken = arrives(letter(ANA, GARDEN, "Tomatoes", "Again", field), GARDEN, ANA)
    assert "loop" in taken.reply or "been through" in taken.reply
    assert copies() == []
    assert Posting.objects.count() == 0


@sqlite
def test_a_copy_that_comes_back_is_known_as_a_loop() -> None:
    has_list(members=[ANA])
    posts(ANA)
    [(_, copy, _)] = waiting()
    arrives(copy, GARDEN, ANA)
    assert len(waiting()) == 1


@sqlite
@pytest.mark.parametrize("field", ["Auto-Submitted: auto-replied", "Auto-Submitted: auto-replied (vacation)"])
def test_a_vacation_note_is_no_posting(field: str) -> None:
    has_list(members=[ANA])
    arrives(letter(ANA, GARDEN, "Away", "I am away", field), GARDEN, ANA)
    assert (copies(), HeldPosting.objects.count(), Posting.objects.count()) == ([], 0, 0)


@sqlite
def test_what_has_the_null_return_path_or_no_author_is_discarded() -> None:
    has_list(members=[ANA], default_nonmember_action="accept")
    arrives(letter(ANA), GARDEN, "")
    arrives(letter("nobody"), GARDEN, ANA)
    assert copies() == []


@both
def test_members_who_chose_so_get_no_second_copy_and_no_copy_of_their_own() -> None:
    has_list(members=[ANA, BEN, CLEO])
    roster.set_preferences(GARDEN, ANA, receive_own_postings=False)
    roster.set_preferences(GARDEN, BEN, receive_list_copy=False)
    roster.set_preferences(GARDEN, CLEO, receive_own_postings=False, receive_list_copy=False)

    arrives(letter("Ana <ANA@far.example>", f'{GARDEN}, "Ben" <BEN@far.example>'), GARDEN, ANA)

    assert copies() == [CLEO]


@both
def test_members_whose_delivery_is_stopped_get_nothing() -> None:
    has_list(members=[ANA, BEN])
    roster.set_preferences(GARDEN, BEN, delivery_status="by_user")
    posts(ANA)
    assert copies() == [ANA]


@both
def test_a_message_without_message_id_gets_the_same_one_in_its_copies_and_in_the_archive() -> None:
    has_list(members=[ANA])
    arrives(letter(ANA, GARDEN, "Tomatoes", "Ripe", "Message-ID:"), GARDEN, ANA)
    [(_, content, _)] = waiting()
    fields = Fields(content)
    message_id = (fields.first("message-id") or "").strip("<>")
    assert message_id.endswith("@posthouse.invalid")
    assert Posting.objects.get().message_id == message_id
    assert Posting.objects.get().key == fields.first("message-id-hash")


@sqlite
def test_a_message_id_that_reception_added_is_the_one_it_is_filed_under() -> None:
    has_list(members=[ANA])
    content = letter(ANA, GARDEN, "Tomatoes", "Ripe", "Message-ID:")
    arrives(content, GARDEN, ANA, prefix=b"Message-ID: <added@mx.lists.example>\r\n")
    assert Posting.objects.get().message_id == "added@mx.lists.example"


@sqlite
def test_a_list_that_keeps_nothing_still_distributes() -> None:
    has_list(members=[ANA], archive_policy="never")
    posts(ANA)
    [(_, content, recipients)] = waiting()
    assert recipients == [ANA]
    assert Posting.objects.count() == 0
    assert "archived-at" not in Fields(content)
    assert "list-archive" not in Fields(content)


@sqlite
def test_a_list_without_members_still_keeps_its_postings() -> None:
    has_list(default_nonmember_action="accept")
    taken = posts(EVE)
    assert taken.result == "delivered"
    assert Posting.objects.count() == 1
    assert waiting() == []


@sqlite
def test_the_list_remembers_when_it_was_posted_to() -> None:
    has_list(members=[ANA])
    posts(ANA)
    row = MailingList.objects.get()
    assert row.post_id == 2
    assert row.last_post_at is not None


@both
def test_a_large_posting_is_kept_as_files_and_loses_nothing() -> None:
    has_list(members=[ANA])
    content = letter(ANA, GARDEN, "Tomatoes", "\r\n".join(f"{number:070}" for number in range(9_000)))
    arrives(content, GARDEN, ANA)
    [(message, prepared, _)] = waiting()
    assert keeping.read(message.content_id).path is not None
    assert content.partition(b"\r\n\r\n")[2].rstrip() in prepared
    assert keeping.read(Posting.objects.get().content_id).all() == content
