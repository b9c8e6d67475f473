"""The list's way to show its postings, seen on the pages of its archive."""

from __future__ import annotations

import pytest

from posthouse.configuration import Configuration
from posthouse.lists import creation
from posthouse.message.identity import message_id_hash
from tests.lists.scene import has_list, posts
from tests.people import ANA, GARDEN
from tests.running_house import Browser

KEY = message_id_hash("tomatoes@far.example")


@pytest.mark.parametrize("page", ["message", "thread"])
def test_pages_show_markdown_where_the_list_wants_it(sqlite: Configuration, page: str) -> None:
    has_list(members=[ANA])
    posts(ANA, "Ripe, **at last**.\n<script>alert(1)</script>")
    path = f"/archives/{GARDEN}/{page}/{KEY}/"
    browser = Browser()
    assert "**at last**" in browser.visits(path).html

    creation.set_settings(GARDEN, {"archive_rendering_mode": "markdown"})
    html = browser.visits(path).html
    assert "<strong>at last</strong>" in html and "**" not in html
    assert "<script>alert" not in html and "&lt;script&gt;" in html

    creation.rename(GARDEN, "park@lists.example")
    assert "<strong>at last</strong>" in browser.visits(f"/archives/park@lists.example/{page}/{KEY}/").html


def test_a_new_list_can_begin_with_markdown(sqlite: Configuration) -> None:
    styles = sqlite.data / "styles"
    styles.mkdir(parents=True)
    (styles / "written.toml").write_text('[settings]\narchive_rendering_mode = "markdown"\n', encoding="utf-8")
    has_list(style="written", members=[ANA])
    posts(ANA, "**at last**")
    assert "<strong>" in Browser().visits(f"/archives/{GARDEN}/message/{KEY}/").html
