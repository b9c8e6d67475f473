"""Postings written in Markdown: shown as their author meant, and never as anything a page should not hold."""

from __future__ import annotations

import re
import time

import pytest

from posthouse.archive.markdown import LONGEST
from posthouse.archive.render import blocks


def _html(text: str) -> str:
    return "".join(block.html for block in blocks(text, "markdown"))


def test_emphasis_lists_tables_and_code_are_shown() -> None:
    html = _html(
        "# Beans\n\n*one* **two** ~~three~~\n- a\n- b\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\n```\nif a < b:\n```\n"
    )
    for piece in ("<h3>Beans</h3>", "<em>one</em>", "<strong>two</strong>", "<s>three</s>", "<li>a</li>", "<td>1</td>",
                  "<pre><code>if a &lt; b:\n</code></pre>"):  # fmt: skip
        assert piece in html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>", "a <b onmouseover=alert(1)>b</b>", "[x](javascript:alert(1))",
        "[x](data:text/html,<script>)", "<javascript:alert(1)>", '[x](https://ok.example "\\" onclick=alert(1)")',
        "![x](https://far.example/seen.png)", "![x](javascript:alert(1))", "[x]: javascript:alert(1)\n\n[x]",
        "```\"><script>\nx\n```", "&lt;script&gt;", "[x](https://a.example/\"><script>alert(1)</script>)",
        "<https://a.example/\"onclick=x>",
    ],
)  # fmt: skip
def test_nothing_dangerous_becomes_markup(text: str) -> None:
    html = _html(text)
    assert not re.search(r"<(?:script|b|img|iframe|object|style)\b", html)
    for tag in re.findall(r"<[a-z][^>]*>", html):
        assert not re.search(r'\son\w+="', tag) and "javascript:" not in tag and "data:" not in tag
    assert "src=" not in re.sub(r"&[a-z]+;", "", html)  # nothing is fetched by reading


def test_web_addresses_are_links_and_no_word_is_hidden() -> None:
    html = _html("See https://far.example/a_b_c. And [1].\n\n[1]: https://far.example/one\n<ana@far.example>")
    assert html.count("<a ") == html.count('rel="nofollow noopener ugc"') == 2
    assert 'href="https://far.example/a_b_c"' in html and ">https://far.example/one</a>" in html
    assert "mailto:" not in html and "ana@far.example" in html


def test_quotes_know_their_lines_and_a_signature_stays_text() -> None:
    quoted = "\n".join(f"> line {number}" for number in range(20))
    found = blocks(f"Yes.\n\n{quoted}\n\n*No*.\n-- \n*Ana*", "markdown")
    assert [(block.kind, block.depth) for block in found] == [
        ("markdown", 0), ("markdown", 20), ("markdown", 0), ("signature", 0),
    ]  # fmt: skip
    assert found[-1].text == "-- \n*Ana*"


def test_a_list_that_shows_text_shows_the_stars() -> None:
    assert blocks("*one*")[0].text == "*one*" and not blocks("*one*")[0].html


@pytest.mark.parametrize("piece", ["[", "> ", "*a_ ", "`", "- ", "![](", "<http://", "|a", "\\", "\0", "&#x", "    "])
def test_any_text_is_shown_in_bounded_time(piece: str) -> None:
    begun = time.thread_time()
    assert blocks(piece * (LONGEST // len(piece)), "markdown") is not None
    assert time.thread_time() - begun < 10


def test_a_text_beyond_the_bound_is_shown_as_text() -> None:
    assert {block.kind for block in blocks("*a*\n" * LONGEST, "markdown")} == {"text"}
