"""What is filed is kept once, found at once, in its thread, and gone at once when deleted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posthouse.archive import filing, models, reading
from posthouse.archive.errors import Gone, NoSuchArchive, NoSuchPosting
from posthouse.archive.search import search
from posthouse.configuration import Configuration
from posthouse.content import keeping
from posthouse.content.models import Content
from posthouse.content.spool import spooled_from
from posthouse.database import close, transaction
from posthouse.message.identity import made_up_message_id
from posthouse.message.parsing import read
from tests.archive.letters import BEN, GARDEN, NOON, digest, files, letter


@pytest.fixture
def garden(database: Configuration) -> models.Archive:
    filing.open_archive(GARDEN, "Garden")
    return models.Archive.objects.get(address=GARDEN)


def file_batch(batch: list[bytes], at: int) -> list[filing.Filed]:
    with transaction():
        contents = keeping.keep_many([spooled_from(one) for one in batch])
        items = [filing.Item(kept, digest(one), read(one), at) for kept, one in zip(contents, batch, strict=True)]
        return filing.file_many(GARDEN, items)


def counters() -> tuple[int, int]:
    archive = models.Archive.objects.get(address=GARDEN)
    return archive.postings, archive.last_at


def threads() -> list[tuple[str, int]]:
    return list(models.Thread.objects.order_by("started_at").values_list("subject", "postings"))


def test_a_posting_is_found_the_moment_it_is_filed_and_its_bytes_are_kept_exactly(garden: models.Archive) -> None:
    content = letter(text="Ripe at last, the first Brandywine.")

    filed = files(content)

    assert filed.new and filed.key == filed.thread_key
    [hit] = search("brandywine", [GARDEN]).hits
    assert hit.key == filed.key and hit.author_name == "Ana Sommer"
    posting = models.Posting.objects.get()
    assert keeping.read(posting.content_id).all() == content
    assert counters() == (1, NOON)


def test_the_same_message_twice_is_one_posting(garden: models.Archive) -> None:
    first, second = files(letter()), files(letter())

    assert (first.new, second.new) == (True, False)
    assert (second.key, second.thread_key, second.posting_id) == (first.key, first.thread_key, first.posting_id)
    assert counters() == (1, NOON) and Content.objects.get().uses == 1


def test_other_bytes_under_a_known_message_id_are_kept_beside_it_and_marked_once(garden: models.Archive) -> None:
    first = files(letter(text="Ripe at last."))
    other = files(letter(text="Something else entirely."))
    again = files(letter(text="Something else entirely."))

    assert other.new and other.variant and other.key != first.key and other.thread_key == first.thread_key
    assert not again.new and again.key == other.key
    assert [hit.key for hit in search("entirely", [GARDEN]).hits] == [other.key]
    assert threads() == [("Tomatoes", 2)]


def test_a_message_without_message_id_gets_one_from_its_bytes(garden: models.Archive) -> None:
    content = letter(message_id=None)

    assert files(content).new and not files(content).new
    assert f"<{models.Posting.objects.get().message_id}>" == made_up_message_id(content)
    assert f"<{filing.made_up_id(digest(content))}>" == made_up_message_id(content)


def test_an_answer_joins_the_thread_of_any_message_it_refers_to(garden: models.Archive) -> None:
    first = files(letter(1))
    answer = files(letter(3, "Re: Tomatoes", author=BEN, answers=2, references="<m1@far.example> <m2@far.example>"))

    assert answer.thread_key == first.key
    assert threads() == [("Tomatoes", 2)]
    missing = models.KnownId.objects.get(message_id="m2@far.example")
    assert missing.parent_key == first.key


def test_a_late_parent_joins_the_threads_of_its_children_and_their_old_addresses_lead_to_it(
    garden: models.Archive,
) -> None:
    two = files(letter(2, "Re: Tomatoes", at=NOON + 20, answers=1))
    three = files(letter(3, "Re: Tomatoes", at=NOON + 30, answers="<m9@far.example>"))
    assert two.thread_key != three.thread_key

    nine = files(letter(9, "Re: Tomatoes", at=NOON + 10, answers=1))
    one = files(letter(1, at=NOON))

    assert threads() == [("Tomatoes", 4)]
    assert one.thread_key == nine.thread_key
    for key in (one.key, two.thread_key, three.thread_key, nine.key):
        assert models.KnownId.objects.get(key=key).thread.key == one.thread_key
    assert not models.KnownId.objects.exclude(message_id="").exists()


def test_an_answer_without_references_joins_by_its_subject_and_is_marked(garden: models.Archive) -> None:
    first = files(letter(1, "[garden] Tomatoes"))
    near = files(letter(2, "AW: [garden] Re: tomatoes", at=NOON + 86_400))
    late = files(letter(3, "Re: Tomatoes", at=NOON + 90 * 86_400), at=NOON + 91 * 86_400)
    no_answer = files(letter(4, "Tomatoes", at=NOON + 100))

    assert near.thread_key == first.key
    assert late.thread_key == late.key and no_answer.thread_key == no_answer.key
    assert list(models.Posting.objects.filter(by_subject=True).values_list("key", flat=True)) == [near.key]


def test_the_subject_decides_in_a_batch_as_it_does_one_by_one(garden: models.Archive) -> None:
    day = 86_400
    batch = [
        letter(1, at=NOON),
        letter(2, "Tomatoes", at=NOON + day),
        letter(3, "Re: Tomatoes", at=NOON + 2 * day),
        letter(4, "Re: Tomatoes", at=NOON + 60 * day),
        letter(5, "Re: Tomatoes", at=NOON + 61 * day, answers="<elsewhere@far.example>"),
        letter(6, "Re:", at=NOON),
        letter(7, "Re: ", at=NOON),
    ]
    filed = file_batch(batch, NOON + 99 * day)

    own, second = {0, 1, 3, 4, 5, 6}, filed[1].key
    assert [number for number, one in enumerate(filed) if one.thread_key == one.key] == sorted(own)
    assert filed[2].thread_key == second


def test_messages_that_refer_to_each_other_or_to_themselves_are_one_thread(garden: models.Archive) -> None:
    files(letter(1, answers=2))
    files(letter(2, answers=1))
    files(letter(3, answers=3))

    assert sorted(number for _, number in threads()) == [1, 2]


def test_a_date_in_the_future_or_none_becomes_the_day_it_was_filed(garden: models.Archive) -> None:
    files(letter(1, at=NOON + 900 * 86_400), at=NOON)
    files(letter(2, at=None), at=NOON + 5)

    assert sorted(models.Posting.objects.values_list("sent_at", flat=True)) == [NOON, NOON + 5]


def test_many_postings_of_one_second_have_ids_of_their_own(garden: models.Archive) -> None:
    filing.open_archive("kitchen@lists.example")
    for number in range(1, 30):
        files(letter(number))
        files(letter(number), "kitchen@lists.example")
    batch = [letter(number, text=f"number {number}") for number in range(100, 2_400)]
    filed = file_batch(batch, NOON)

    assert len({one.posting_id for one in filed}) == 2_300
    assert counters()[0] == 2_329
    assert sum(month.postings for month in models.Month.objects.filter(archive=garden)) == 2_329
    found = list(models.Posting.objects.filter(archive=garden).order_by("id").values_list("id", flat=True))
    assert found[-1] >> 20 <= NOON + 3


def test_the_counters_of_months_are_right_on_both_sides_of_midnight(garden: models.Archive) -> None:
    new_year = 1_704_067_200  # 2024-01-01 00:00 UTC
    files(letter(1, at=new_year - 1))
    files(letter(2, at=new_year))
    files(letter(3, at=951_782_400))  # 2000-02-29

    months = {month.month: month.postings for month in models.Month.objects.all()}
    assert months == {12 * 2023 + 11: 1, 12 * 2024: 1, 12 * 2000 + 1: 1}


def test_a_deleted_posting_is_gone_everywhere_and_does_not_come_back(garden: models.Archive) -> None:
    one, two = files(letter(1, text="Secret")), files(letter(2, "Re: Tomatoes", at=NOON + 9, answers=1))

    filing.delete_posting(GARDEN, one.key, NOON)

    assert search("secret", [GARDEN]).total == 0
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:  # raises when the index and the texts differ
            cursor.execute("INSERT INTO archive_search(archive_search, rank) VALUES('integrity-check', 1)")
    assert counters() == (1, NOON + 9) and threads() == [("Tomatoes", 1)]
    assert Content.objects.count() == 1
    again = files(letter(1, text="Secret"))
    assert again.deleted and not again.new and counters() == (1, NOON + 9)
    with pytest.raises(Gone):
        filing.delete_posting(GARDEN, one.key, NOON)
    with pytest.raises(NoSuchPosting):
        filing.delete_posting(GARDEN, "A" * 32, NOON)
    filing.delete_posting(GARDEN, two.key, NOON)
    assert counters() == (0, 0) and threads() == [] and not models.KnownId.objects.exists()
    assert not models.Month.objects.exists() and not Content.objects.exists()


def test_a_deleted_thread_takes_all_its_postings_along(garden: models.Archive) -> None:
    one = files(letter(1))
    files(letter(2, "Re: Tomatoes", at=NOON + 9, answers=1))
    files(letter(3, "Beans", at=NOON + 4))

    assert filing.delete_thread(GARDEN, one.key, NOON) == 2

    assert threads() == [("Beans", 1)] and counters() == (1, NOON + 4)
    with pytest.raises(Gone):
        filing.delete_thread(GARDEN, one.key, NOON)


def test_nothing_is_left_of_a_filing_whose_transaction_fails(garden: models.Archive) -> None:
    with pytest.raises(RuntimeError), transaction():
        files(letter(1, text="half"))
        raise RuntimeError

    assert not search("half", [GARDEN]).hits and counters() == (0, 0) and not Content.objects.exists()


def test_text_that_no_database_takes_is_cleaned(garden: models.Archive) -> None:
    content = letter(1, "null\0 and \udcff".encode("utf-8", "surrogateescape").decode("latin-1"), "a\0b")

    filed = files(content)

    assert filed.new and models.Posting.objects.get().subject


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["Message-ID", "References", "In-Reply-To", "Subject", "From", "To", "Date", "Content-Type",
                 "Content-Disposition", "Content-Transfer-Encoding"]
            ),
            st.one_of(
                st.binary(max_size=60),
                st.sampled_from(
                    [b"<a@b>", b"<a@b> <c@d>", b"=?utf-8?b?7aCA?= =?utf-7?q?+2AA-?=", b"Re: x\0y", b"\xed\xa0\x80",
                     b"multipart/mixed; boundary=x", b'attachment; filename="\xff\0"', b"text/plain; charset=utf-16"]
                ),
            ),
        ),
        max_size=8,
    ),
    st.binary(max_size=200),
)  # fmt: skip
def test_any_bytes_can_be_filed_and_shown(garden: models.Archive, fields: list[tuple[str, bytes]], body: bytes) -> None:
    content = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in fields) + b"\r\n" + body

    filed = files(content)

    assert reading.posting(GARDEN, filed.key).posting.key == filed.key
    assert filed.key in [entry.key for entry in reading.thread(GARDEN, filed.thread_key).entries]
    assert reading.content_of(GARDEN, filed.key).all() == content


def test_an_archive_is_renamed_and_removed_with_all_it_holds(garden: models.Archive) -> None:
    files(letter(1))
    filing.open_archive("kitchen@lists.example")
    kept = files(letter(2), "kitchen@lists.example")

    filing.rename_archive(GARDEN, "allotment@lists.example")
    assert search("ripe", ["allotment@lists.example"]).total == 1
    filing.remove_archive("allotment@lists.example")

    with pytest.raises(NoSuchArchive):
        filing.remove_archive(GARDEN)
    assert [hit.key for hit in search("ripe", None).hits] == [kept.key]
    assert Content.objects.count() == 1 and models.Tombstone.objects.count() == 0


def test_archives_are_filed_in_from_several_sides_at_once(garden: models.Archive) -> None:
    filing.open_archive("kitchen@lists.example")

    def side(archive: str, first: int) -> list[str]:
        try:
            return [
                files(letter(number, "Re: Tomatoes", answers=number // 2 if number > 1 else ""), archive).key
                for number in range(first, 31, 2)
            ]
        finally:
            close()

    with ThreadPoolExecutor(4) as pool:
        sides = [(archive, first) for archive in (GARDEN, "kitchen@lists.example") for first in (1, 2)]
        keys = [future.result() for future in [pool.submit(side, *one) for one in sides]]

    assert len({key for found in keys for key in found}) == 30
    assert models.Posting.objects.count() == 60 and counters() == (30, NOON)
    assert sorted(models.Thread.objects.values_list("postings", flat=True)) == [30, 30]
    assert set(Content.objects.values_list("uses", flat=True)) == {2}


def test_a_filing_costs_a_fixed_number_of_statements_whatever_the_batch(garden: models.Archive) -> None:
    from django.test.utils import CaptureQueriesContext

    def statements(numbers: range) -> int:
        batch = [letter(number, at=NOON + number, text=f"number {number}") for number in numbers]
        contents = keeping.keep_many([spooled_from(one) for one in batch])
        items = [filing.Item(kept, digest(one), read(one), NOON) for kept, one in zip(contents, batch, strict=True)]
        with CaptureQueriesContext(connection) as captured:
            filing.file_many(GARDEN, items)
        return len(captured)

    assert statements(range(100, 110)) <= 16
    assert statements(range(200, 400)) <= 18
