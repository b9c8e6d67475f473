"""An import loses nothing, doubles nothing, can be killed at any moment, and says what was odd."""

from __future__ import annotations

import gzip
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from posthouse.archive import exporting, filing, importing, models
from posthouse.archive.errors import Gone, NoSuchArchive, NoSuchPosting
from posthouse.archive.importing import ImportFailed, OddMessage, Progress, import_mbox
from posthouse.archive.search import search
from posthouse.configuration import Configuration
from posthouse.content import keeping
from posthouse.content.models import Content
from posthouse.message.mbox import messages, write_message
from tests.archive.letters import ANA, GARDEN, NOON, files, letter

NOW = NOON + 10 * 365 * 86_400
REAL = Path(__file__).resolve().parents[3] / "shared" / "mboxes" / "twisted-web.mbox.gz"


@pytest.fixture
def garden(database: Configuration) -> None:
    filing.open_archive(GARDEN)


def mbox(path: Path, contents: list[bytes]) -> Path:
    with path.open("wb") as out:
        for content in contents:
            write_message(out, content, "ana@far.example", NOON)
    return path


def many(number: int) -> list[bytes]:
    return [
        letter(one, f"Subject {one // 5}" if one % 5 == 0 else f"Re: Subject {one // 5}", f"word{one} of many",
               at=NOON + 60 * one, answers="" if one % 5 == 0 else one - 1)
        for one in range(number)
    ]  # fmt: skip


def state() -> tuple[int, int, int, int, int, int]:
    archive = models.Archive.objects.get(address=GARDEN)
    return (
        archive.postings,
        models.Posting.objects.count(),
        models.Text.objects.count(),
        models.Thread.objects.count(),
        Content.objects.count(),
        sum(month.postings for month in models.Month.objects.all()),
    )


@pytest.mark.parametrize("apart", [True, False])
def test_an_import_run_twice_adds_nothing(garden: None, tmp_path: Path, apart: bool) -> None:
    contents = [
        *many(30),
        letter(99, message_id=None),
        letter(99, message_id=None),
        letter(1, text="other bytes"),
        letter(2),
    ]
    path = mbox(tmp_path / "garden.mbox", contents)

    first = import_mbox(GARDEN, path, now=NOW, apart=apart)
    then = state()
    second = import_mbox(GARDEN, path, now=NOW, apart=apart)

    assert first.finished and first.counts() == {
        "read": 34, "added": 33, "known": 1, "variants": 2, "deleted": 0, "odd": 4,
    }  # fmt: skip
    assert (second.added, second.known, second.read) == (0, 34, 34)
    assert state() == then == (33, 33, 33, 7, 33, 33)
    assert set(Content.objects.values_list("uses", flat=True)) == {1}
    assert search("word17", [GARDEN]).total == 1


def test_what_an_archive_exports_is_the_same_bytes_and_comes_back_as_nothing_new(garden: None, tmp_path: Path) -> None:
    odd = b"From: x\nSubject: bare\n\n>From here\nFrom there\n>>From deep\n"
    contents = [*many(20), letter(77, text="From the archive\n>From it\n.\n"), odd]
    import_mbox(GARDEN, mbox(tmp_path / "garden.mbox", contents), now=NOW)
    before = state()

    exported = tmp_path / "export.mbox"
    with exported.open("wb") as out:
        assert exporting.export(GARDEN, out) == 22
    again = import_mbox(GARDEN, exported, now=NOW)

    assert (again.added, again.known) == (0, 22) and state() == before
    assert sorted(one.content for one in messages(io.BytesIO(exported.read_bytes()))) == sorted(contents)


def test_a_thread_or_what_came_since_a_day_is_exported_alone(garden: None) -> None:
    for content in many(10):
        files(content, at=NOW)
    key = filing.hash_of("m7@far.example")

    out = io.BytesIO()
    assert exporting.export(GARDEN, out, thread=key) == 5
    assert exporting.export(GARDEN, io.BytesIO(), since=NOON + 60 * 8) == 2
    filing.delete_thread(GARDEN, key, NOON)
    with pytest.raises(Gone):
        exporting.export(GARDEN, out, thread=filing.hash_of("m5@far.example"))
    with pytest.raises(NoSuchPosting):
        exporting.export(GARDEN, out, thread="A" * 32)
    with pytest.raises(NoSuchArchive):
        exporting.export("nowhere@lists.example", out)


def test_an_export_in_many_portions_leaves_nothing_out(garden: None, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = [letter(number, text=f"number {number}") for number in range(10)]  # all of one second
    for content in contents:
        files(content)
    monkeypatch.setattr(exporting, "_ROWS", 3)
    monkeypatch.setattr(exporting, "_OCTETS", 2 * len(contents[0]))

    out = io.BytesIO()
    assert exporting.export(GARDEN, out) == 10
    assert [one.content for one in messages(io.BytesIO(out.getvalue()))] == contents


def test_a_dry_run_tells_what_would_happen_and_keeps_nothing(garden: None, tmp_path: Path) -> None:
    files(letter(3))
    path = mbox(tmp_path / "garden.mbox", [letter(1), letter(1), letter(1, text="else"), letter(2, at=None), letter(3)])
    before = state()

    report = import_mbox(GARDEN, path, now=NOW, dry_run=True)

    assert state() == before and not models.ImportRun.objects.exists()
    assert report.counts() == import_mbox(GARDEN, path, now=NOW).counts()
    assert report.counts() == {"read": 5, "added": 3, "known": 2, "variants": 1, "deleted": 0, "odd": 2}


def test_a_stopped_import_goes_on_where_it_was(garden: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing.mbox_reader, "MOST_MESSAGES", 10)
    path = mbox(tmp_path / "garden.mbox", many(45))
    heard: list[Progress] = []

    first = import_mbox(GARDEN, path, now=NOW, apart=False, progress=heard.append, stop=lambda: len(heard) == 2)
    assert not first.finished and first.added == 20 == state()[0]
    assert [one.added for one in heard] == [10, 20] and heard[-1].size == path.stat().st_size
    second = import_mbox(GARDEN, path, now=NOW, apart=False)

    assert second.finished and second.resumed_at == first.offset > 0
    assert (second.read, second.added, second.known) == (45, 45, 0) and state()[0] == 45
    assert not models.ImportRun.objects.exists()


def test_a_ctrl_c_leaves_what_was_committed(garden: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing.mbox_reader, "MOST_MESSAGES", 10)
    path = mbox(tmp_path / "garden.mbox", many(25))

    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_mbox(GARDEN, path, now=NOW, apart=False, progress=interrupt)
    assert state()[0] == 10
    assert import_mbox(GARDEN, path, now=NOW, apart=False).resumed_at > 0 and state()[0] == 25


_CHILD = """
import sys
from pathlib import Path
from posthouse import configuration, database, maillog
configuration.activate(configuration.Configuration(
    data_directory=sys.argv[1], database=configuration.Database(url=sys.argv[2])))
database.setup()
maillog.quiet()
from posthouse.archive import mbox_reader
from posthouse.archive.importing import import_mbox
mbox_reader.MOST_MESSAGES = 20
def tell(progress):
    print(progress.added, flush=True)
    sys.stdin.readline()
import_mbox("garden@lists.example", Path(sys.argv[3]), now=2_000_000_000, progress=tell, apart=False)
"""


def test_a_killed_import_is_finished_by_the_next_one_and_nothing_is_there_twice(
    garden: None, database: Configuration, tmp_path: Path
) -> None:
    path = mbox(tmp_path / "garden.mbox", many(200))
    for batches in (1, 2, 3):
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(database.data), database.database_url, str(path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert child.stdin and child.stdout
        for _ in range(batches):
            child.stdout.readline()
            child.stdin.write(b"\n")
            child.stdin.flush()
        os.kill(child.pid, signal.SIGKILL)  # somewhere in the next batch, or just behind it
        child.communicate()
    assert 120 <= state()[0] <= 180

    report = import_mbox(GARDEN, path, now=NOW)

    assert report.finished and report.resumed_at > 0
    assert (report.read, report.added, report.known) == (200, 200, 0)
    assert state() == (200, 200, 200, 40, 200, 200)
    assert set(Content.objects.values_list("uses", flat=True)) == {1}


def test_every_odd_message_is_named_with_its_place(garden: None, tmp_path: Path) -> None:
    files(letter(5))
    filing.delete_posting(GARDEN, filing.hash_of("m5@far.example"), NOON)
    path = mbox(tmp_path / "garden.mbox", [letter(1), letter(2, message_id=None, at=None), letter(5)])
    heard: list[OddMessage] = []

    report = import_mbox(GARDEN, path, now=NOW, odd=heard.append)

    assert heard == report.odd_messages and report.odd == 2 and report.deleted == 1
    assert heard[0].oddities == ("it has no Message-ID", "it has no Date") and heard[0].offset > 0
    assert heard[1] == OddMessage(
        heard[1].offset, "m5@far.example", ("it was deleted from this archive and is left out",)
    )
    undated = models.Posting.objects.get(message_id__endswith="@posthouse.invalid")
    assert undated.sent_at == NOON  # the day in the file's separator


def test_pipermails_addresses_are_read_as_addresses(garden: None, tmp_path: Path) -> None:
    path = tmp_path / "2003-December.txt"
    path.write_bytes(
        b"From ana at far.example  Thu Dec 11 05:57:05 2003\nFrom: ana at far.example (Ana Sommer)\n"
        b"Date: Wed, 10 Dec 2003 22:57:05 -0700\nSubject: First\nMessage-ID: <a@far.example>\n\nHello\n\n"
    )

    import_mbox(GARDEN, path, now=NOW)

    posting = models.Posting.objects.get()
    assert (posting.author_name, posting.author_address, posting.offset) == ("Ana Sommer", "ana@far.example", -420)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent", None, "cannot be read: No such file"),
        ("letter.txt", b"Dear Ana,\n\nthis is no mbox.\n", "this is no mbox"),
        (
            "cut.gz",
            gzip.compress(b"From a@b.example Thu Dec 11 05:57:05 2003\nSubject: x\n\nbody\n" * 50, mtime=0)[:-30],
            "cut.gz cannot",
        ),
        ("broken.gz", b"\x1f\x8b\x08\x00garbage that is no gzip", "broken.gz cannot be read on"),
    ],
)
@pytest.mark.parametrize("apart", [True, False])
def test_a_file_that_cannot_be_read_is_said_to_be_so(
    garden: None, tmp_path: Path, name: str, content: bytes | None, words: str, apart: bool
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ImportFailed, match=words):
        import_mbox(GARDEN, path, now=NOW, apart=apart)


def test_an_import_needs_an_archive(garden: None, tmp_path: Path) -> None:
    with pytest.raises(NoSuchArchive):
        import_mbox("nowhere@lists.example", mbox(tmp_path / "x", [letter(1)]), now=NOW)


def test_an_empty_file_holds_no_messages(garden: None, tmp_path: Path) -> None:
    report = import_mbox(GARDEN, mbox(tmp_path / "x", []), now=NOW)

    assert report.finished and report.read == 0


def test_a_real_archive_of_twenty_years_is_kept_whole(sqlite: Configuration, tmp_path: Path) -> None:
    if not REAL.exists():
        pytest.skip(f"{REAL.name} is not beside the checkout")
    filing.open_archive(GARDEN)

    report = import_mbox(GARDEN, REAL, now=NOW)

    with gzip.open(REAL) as file:
        contents = [one.content for one in messages(file)]  # type: ignore[arg-type]
    assert report.finished and report.read == len(contents) == 5_374  # three lines "From ..." are sentences
    assert report.added + report.known == report.read and report.known < 5
    assert search("defer*", [GARDEN]).total > 600 and search("from:glyph", [GARDEN]).total == 265
    exported = tmp_path / "export.mbox"
    with exported.open("wb") as out:
        exporting.export(GARDEN, out)
    with exported.open("rb") as file:
        assert {one.content for one in messages(file)} == set(contents)
    first = models.Posting.objects.order_by("id")[0]
    assert keeping.read(first.content_id).all() == contents[0] and ANA
