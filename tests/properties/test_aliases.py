"""Alias files and constant databases survive anything that somebody may write into them."""

from __future__ import annotations

import random
import time
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from posthouse.configuration import Lookup
from posthouse.directory.alias_syntax import ERROR, FAIL, included, read, targets_of
from posthouse.routing.lookups.files import Cdb
from posthouse.routing.lookups.sql import for_driver

PIECES = st.sampled_from(
    ["ana", "@far.example", ":", ",", " ", "\n", "\t", '"', "\\", "#", "|", "/", "<", ">", ":fail:", ":include:/x",
     ":blackhole:", "*", "+", "'", "é", "\0", "\u2028", "a.b", "\r\n"]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=60).map("".join) | st.text(max_size=300)


@given(TEXTS)
@settings(max_examples=400, deadline=None)
def test_any_text_is_read_and_every_fault_has_its_line(text: str) -> None:
    entries, complaints = read(text)
    lines = len(text.splitlines())
    assert all(1 <= one.line <= lines and one.sentence for one in complaints)
    for name, entry in entries.items():
        assert name == name.lower() and entry.targets and 1 <= entry.line <= lines
    included(text)


@given(TEXTS)
@settings(max_examples=400, deadline=None)
def test_what_was_understood_is_understood_again_when_it_is_written(text: str) -> None:
    targets = targets_of(text)
    if any(one.kind == ERROR for one in targets):
        return
    written = ", ".join(str(one) for one in targets)
    again = targets_of(written)
    assert [one.kind for one in again] == [one.kind for one in targets]
    assert again == targets or targets[0].kind == FAIL


def test_long_files_cost_time_in_proportion() -> None:
    for piece in ("a: b\n", "\t# x\n", "\tb,\n", '"', "a, ", "\\\n", ':"', "#", "x:\n\t:fail: #\n", "|", "a@", '"\\'):
        text = "start: x,\n" + piece * (400_000 // len(piece))
        started = time.process_time()
        read(text)
        assert time.process_time() - started < 10, repr(piece)


@given(st.text(max_size=100))
@settings(max_examples=300, deadline=None)
def test_a_query_keeps_all_its_letters_but_its_places(text: str) -> None:
    written = for_driver(text)
    assert written.replace("%%", "%") == text or "%(" in written


def test_a_damaged_constant_database_never_hangs_or_breaks_out(tmp_path: Path) -> None:
    chance = random.Random(7)
    path = tmp_path / "map"
    source = Cdb(Lookup(kind="cdb", path=str(path)))
    values = {"address": "ana@far.example", "local": "ana", "name": "ana", "detail": "", "domain": "far.example"}
    for number in range(300):
        path.unlink(missing_ok=True)
        path.write_bytes(chance.randbytes(chance.randrange(0, 6000)) if number % 2 else bytes(2048 + number))
        try:
            source.ask(str(path), values)
        except Exception as error:
            assert type(error).__name__ in ("BadFile", "UnicodeDecodeError", "OSError"), error
