"""Joining with a moderator's word, and commands by mail, over the real road and the links in the messages."""

from __future__ import annotations

import re

from posthouse.lists import roster
from tests.outside import Outside
from tests.running_house import Browser, House

GARDEN = "garden@lists.example"


def last_link(outside: Outside, address: str) -> str:
    """The confirmation link in the last message for an address."""
    body = outside.copies_for(address)[-1][1].as_string()
    found = re.findall(r"https://lists\.example(/confirm/[a-z2-7]{26}/)", body)
    assert found, body
    return str(found[-1])


def test_the_address_confirms_then_a_moderator_presses_the_button(
    house: House, outside: Outside, browser: Browser
) -> None:
    house.has_list(GARDEN, subscription_policy="confirm_then_moderate")
    outside.posts(author="eve@elsewhere.example", to="garden-join@lists.example", subject="", text="")
    house.settles()
    path = last_link(outside, "eve@elsewhere.example")
    page = browser.posts(path, browser.visits(path).form(""))
    assert "moderators" in page.text
    house.settles()
    assert roster.members(GARDEN) == []
    path = last_link(outside, "owen@far.example")
    asked = browser.visits(path)
    assert "eve@elsewhere.example" in asked.text and "Approve" in asked.text
    assert roster.members(GARDEN) == []  # a scanner that follows links decides nothing
    assert "Approved" in browser.posts(path, asked.form("")).text
    house.settles()
    assert [one.address for one in roster.members(GARDEN)] == ["eve@elsewhere.example"]
    assert "is now a member" in outside.copies_for("eve@elsewhere.example")[-1][1].as_string()
    assert browser.visits(path).status == 410


def test_commands_are_obeyed_from_the_link_in_the_message_that_asks(
    house: House, outside: Outside, browser: Browser
) -> None:
    house.has_list(GARDEN, members=["ana@far.example"])
    outside.posts(author="ana@far.example", to="garden-request@lists.example", subject="set delivery off", text="")
    house.settles()
    path = last_link(outside, "ana@far.example")
    asked = browser.visits(path)
    assert "set delivery off" in asked.text
    assert roster.members(GARDEN)[0].delivery_status == "enabled"
    browser.posts(path, asked.form(""))
    house.settles()
    assert roster.members(GARDEN)[0].delivery_status == "by_user"
    assert "Done." in outside.copies_for("ana@far.example")[-1][1].as_string()
