"""A message's text becomes blocks that show what it says and can do nothing."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.archive.render import Run, blocks, links


def shape(text: str) -> list[tuple[str, int, str]]:
    return [(block.kind, block.depth, block.text) for block in blocks(text)]


def test_quotes_are_told_apart_by_their_depth() -> None:
    text = "Ana wrote:\n> > Ripe?\n>> Really?\n> Yes.\n\nGood.\n"

    assert shape(text) == [
        ("text", 0, "Ana wrote:"),
        ("quote", 2, "Ripe?\nReally?"),
        ("quote", 1, "Yes."),
        ("text", 0, "Good."),
    ]


def test_spaces_and_empty_lines_inside_a_block_stay() -> None:
    assert shape("a\n\n   |--- drawing\n\nb") == [("text", 0, "a\n\n   |--- drawing\n\nb")]


def test_a_signature_is_what_follows_two_dashes_near_the_end() -> None:
    assert shape("Hello\n-- \nAna\nGardener")[1] == ("signature", 0, "-- \nAna\nGardener")
    assert [block.kind for block in blocks("Hello\n-- \n" + "more\n" * 100)] == ["text"]


def test_a_diff_is_marked_line_by_line() -> None:
    text = "See:\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n same\nThat is all."

    [before, diff, after] = blocks(text)
    assert (before.text, diff.kind, after.text) == ("See:", "diff", "That is all.")
    assert [run.mark for run in diff.runs] == ["place", "place", "place", "removed", "added", ""]


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("see https://far.example/a.", "https://far.example/a"),
        ("(https://far.example/a_(b))", "https://far.example/a_(b)"),
        ("<http://far.example/?a=1&b=2>", "http://far.example/?a=1&b=2"),
        ('"HTTPS://far.example"', "HTTPS://far.example"),
        ("javascript://far.example", ""),
        ("xhttp://far.example data:text/html,x", ""),
        ("http://", ""),
    ],
)
def test_only_web_addresses_become_links(text: str, url: str) -> None:
    assert [run.url for run in links(text) if run.url] == ([url] if url else [])


@given(
    st.one_of(
        st.text(),
        st.lists(st.sampled_from([">", "> ", "\n", "-- \n", "diff --git a b\n", "index 1\n", "--- a\n+++ b\n", "+x\n",
                                  "http://a.example/", "(", ")", ".", "word", " ", "\t", "\0"])).map("".join),
    )
)  # fmt: skip
def test_no_word_of_any_text_is_lost(text: str) -> None:
    shown = "".join(block.text for block in blocks(text))

    wanted = [character for character in text if not character.isspace() and character != ">"]
    assert [character for character in shown if not character.isspace() and character != ">"] == wanted
    for block in blocks(text):
        for run in block.runs:
            assert run.url == "" or run.url.lower().startswith(("http://", "https://", "ftp://"))


def test_the_worst_text_takes_linear_time() -> None:
    started = time.thread_time()
    for text in (">" * 500_000, "> " * 250_000, "http://a" + ")" * 100_000, "--- a\n" * 20_000, "http://" * 60_000):
        blocks(text)
    assert time.thread_time() - started < 10


def test_plain_runs_carry_no_link() -> None:
    assert links("nothing here") == (Run("nothing here"),)
