"""Somebody abuses the site: the operator denies them, and a greedy network waits; everybody else notices nothing."""

from __future__ import annotations

import dataclasses

import pytest

from posthouse import configuration
from posthouse.web import guard
from tests.outside import Outside
from tests.people import ANA, BEN, GARDEN
from tests.running_house import Browser, House, Page

ABUSER, NEIGHBOUR, READER = "192.0.2.66", "192.0.2.200", "198.51.100.7"
PAGE = f"/archives/{GARDEN}/"


def denies(**web: object) -> None:
    """The operator's configuration from now on; the site stands behind a web server on this machine."""
    now = configuration.active()
    section = dataclasses.replace(now.web, trusted_proxies=["127.0.0.1/32"], **web)  # type: ignore[arg-type]
    configuration.activate(dataclasses.replace(now, networks={"abusers": [f"{ABUSER}/32"]}, web=section))


def visits(who: str, path: str, **headers: str) -> Page:
    return Browser().visits(path, x_forwarded_for=who, **headers)


def test_abusers_are_kept_out_by_network_and_pattern_and_the_site_stays_up(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    outside.posts(ANA, GARDEN, "Tomatoes", "Ripe at last.")
    house.settles()
    assert visits(ABUSER, PAGE).status == 200

    denies(deny_networks=["@abusers"], deny_paths=["/wp-*", "*.php*"], deny_agents=["*badbot*"])

    for path in (PAGE, "/", "/search?q=ripe", "/sign-in/", "/nowhere"):
        assert (visits(ABUSER, path).status, visits(ABUSER, path).text) == (403, "Not served here."), path
    assert visits(READER, "/wp-login.php").status == 403
    assert visits(READER, "/index.php?x=1").status == 403
    assert visits(READER, PAGE, user_agent="Mozilla/5.0 (BadBot)").status == 403
    assert "Tomatoes" in visits(READER, PAGE, user_agent="Mozilla/5.0").text
    assert "Tomatoes" in visits(NEIGHBOUR, PAGE).text
    outside.posts(BEN, GARDEN, "Peas", "Green.")
    house.settles()
    assert "Peas" in visits(READER, PAGE).text

    denies(deny_networks=[])
    assert "Peas" in visits(ABUSER, PAGE).text


def test_a_network_that_searches_without_end_waits_and_others_search(
    house: House, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(guard, "buckets", guard.Buckets(lambda: now[0]))
    house.has_list(GARDEN, members=[ANA, BEN])
    outside.posts(ANA, GARDEN, "Tomatoes", "Ripe at last.")
    house.settles()
    denies(costly_per_minute=30)

    statuses = [visits(who, "/search?q=ripe").status for who in (ABUSER, NEIGHBOUR) * 16]
    assert statuses == [200] * 30 + [429] * 2
    assert "Try again in" in visits(NEIGHBOUR, f"{PAGE}mbox").text
    assert "Tomatoes" in visits(READER, "/search?q=ripe").text
    assert "Tomatoes" in visits(NEIGHBOUR, PAGE).text
    now[0] += 2
    assert "Tomatoes" in visits(NEIGHBOUR, "/search?q=ripe").text
    ana = Browser()
    ana.signs_in(ANA)
    assert "Tomatoes" in ana.visits("/search?q=ripe", x_forwarded_for=ABUSER).text
