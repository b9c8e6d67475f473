"""Digests over the real road: gathered by day, sent at noon, delivered with a return path for each reader."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime
from typing import Any

import pytest

from posthouse.lists import roster, vacation
from tests.people import ANA, BEN, GARDEN
from tests.running_house import House

pytestmark = pytest.mark.usefixtures("database")


def until_noon(house: House) -> float:
    """Hours until it is noon (UTC) again, and a minute."""
    return ((12 * 3600 - house.clock.at) % 86400 + 60) / 3600


def test_digests_are_sent_at_noon_to_who_reads_them(house: House, outside: Any) -> None:
    house.has_list(GARDEN, members=[ANA])
    roster.add(GARDEN, BEN)
    roster.set_preferences(GARDEN, BEN, delivery_mode="mime_digests")
    house.settles()
    outside.posts(author=ANA, to=GARDEN, subject="Tomatoes", text="Ripe at last.")
    outside.posts(author=ANA, to=GARDEN, subject="Beans", text="Sown.")
    house.settles()
    assert not outside.copies_for(BEN)

    house.passes(hours=until_noon(house))

    [(return_path, copy)] = outside.copies_for(BEN)
    digest = email.message_from_bytes(bytes(copy), policy=email.policy.default)
    assert return_path == "garden-bounces+ben=far.example@lists.example"
    assert digest["subject"] == "Garden Digest, Vol 1, Issue 1"
    assert "/unsubscribe/" in digest["list-unsubscribe"]
    inside = [part for part in digest.walk() if part.get_content_type() == "message/rfc822"]
    # two that came at the same moment may be taken in any order
    assert sorted(part.get_content()["subject"] for part in inside) == ["Beans", "Tomatoes"]
    house.passes(hours=1)
    assert len(outside.copies_for(BEN)) == 1
    assert "a digest for 1 recipient" in house.runs("trace", "garden-bounces@lists.example").stdout

    shown = house.runs("lists", "digest", GARDEN)
    assert "Vol 1, Issue 2; 0 postings wait" in shown.stdout


def test_an_operator_sends_a_digest_at_once(house: House, outside: Any) -> None:
    house.has_list(GARDEN, members=[ANA])
    roster.add(GARDEN, BEN)
    roster.set_preferences(GARDEN, BEN, delivery_mode="plaintext_digests")
    outside.posts(author=ANA, to=GARDEN, subject="Tomatoes", text="Ripe at last.")
    house.settles()

    said = house.runs("lists", "digest", GARDEN, "--send")
    assert "Vol 1, Issue 1: postings: 1, readers: 1." in said.stdout
    house.settles()
    [(_, copy)] = outside.copies_for(BEN)
    assert b"Ripe at last." in bytes(copy)
    assert "digests" in house.runs("periodic", "list").stdout
    assert house.runs("periodic", "run", "--job", "nothing").exit_code != 0
    assert house.runs("periodic", "run", "--job", "digests").stdout.startswith("digests: 0")


def test_a_vacation_ends_by_itself(house: House, outside: Any) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    now = int(house.clock.at * 1000)
    vacation.begin(GARDEN, BEN, datetime.fromtimestamp(house.clock.at + 86400, UTC), "web", now)
    house.settles()
    outside.posts(author=ANA, to=GARDEN, subject="Tomatoes", text="Ripe at last.")
    house.settles()
    assert not outside.copies_for(BEN)

    house.passes(days=1, minutes=11)
    outside.posts(author=ANA, to=GARDEN, subject="Beans", text="Sown.")
    house.settles()
    assert len(outside.copies_for(BEN)) == 1


def test_an_operator_writes_a_vacation_down(house: House) -> None:
    house.has_list(GARDEN, members=[BEN])
    assert "no vacation" in house.runs("members", "vacation", GARDEN, BEN).stdout
    day = f"{datetime.fromtimestamp(house.clock.at + 5 * 86400, UTC):%Y-%m-%d}"
    assert f"no delivery until {day} 00:00 UTC" in house.runs("members", "vacation", GARDEN, BEN, "--until", day).stdout
    assert house.runs("members", "vacation", GARDEN, BEN, "--until", "2001-01-01").exit_code != 0
    assert "no vacation" in house.runs("members", "vacation", GARDEN, BEN, "--end").stdout
    assert house.runs("members", "vacation", GARDEN, BEN, "--end").exit_code == 3
