"""What a list is called, and who is shown that it exists."""

from __future__ import annotations

from tests.outside import Outside
from tests.running_house import Browser, House

GARDEN = "garden@lists.example"


def test_name_description_and_information_stand_where_people_look(
    house: House, outside: Outside, browser: Browser
) -> None:
    house.has_list(GARDEN, members=["ana@far.example"])
    settings = {"display_name": "The Green Thumbs", "description": "Growing food together", "info": "Every week."}
    for name, value in settings.items():
        assert house.runs("lists", "set", GARDEN, f"{name}={value}").exit_code == 0
    about = browser.visits(f"/lists/{GARDEN}/").text
    assert all(value in about for value in settings.values())
    overview = browser.visits("/").text
    assert "The Green Thumbs" in overview and "Growing food together" in overview
    outside.posts(author="ana@far.example", to=GARDEN, subject="Tomatoes", text="Ripe at last.")
    house.settles()
    [(_, copy)] = outside.copies_for("ana@far.example")
    assert copy["List-Id"] == "Growing food together <garden.lists.example>"
    assert "The Green Thumbs" in copy.as_string()


def test_only_an_advertised_list_is_shown_to_strangers(house: House, browser: Browser) -> None:
    house.has_list(GARDEN, archive_policy="private")
    for advertised, shown in (("yes", True), ("no", False)):
        house.runs("lists", "set", GARDEN, f"advertised={advertised}")
        assert ("Garden" in browser.visits("/").text) == shown
        assert (browser.visits(f"/lists/{GARDEN}/").status == 200) == shown
