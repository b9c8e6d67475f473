"""Who is not served, and how much a stranger may ask of the site."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from posthouse.configuration import ConfigurationError, load
from posthouse.web import guard
from tests.people import GARDEN
from tests.web.neighbourhood import Neighbourhood

BAD = "192.0.2.66"


class Clock:
    """Seconds that pass when told."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """The guard counts by a clock that the test owns, from nothing."""
    clock = Clock()
    monkeypatch.setattr(guard, "buckets", guard.Buckets(clock))
    yield clock


@pytest.mark.parametrize(
    ("settings", "asks", "status"),
    [
        ({"web_deny_networks": ["192.0.2.0/24"]}, {"REMOTE_ADDR": BAD}, 403),
        ({"web_deny_networks": ["@abusers"], "networks": {"abusers": ["192.0.2.66/32"]}}, {"REMOTE_ADDR": BAD}, 403),
        ({"web_deny_networks": ["192.0.2.66/32"]}, {"REMOTE_ADDR": f"::ffff:{BAD}"}, 403),
        ({"web_deny_networks": ["192.0.2.0/24"]}, {"REMOTE_ADDR": "198.51.100.7"}, 200),
        ({"web_deny_paths": ["/wp-*", "*q=%27*"]}, {"path": "/wp-login.php"}, 403),
        ({"web_deny_paths": ["/wp-*", "*q=%27*"]}, {"path": "/search?q=%27+OR+1"}, 403),
        ({"web_deny_paths": ["/wp-*"]}, {"path": "/search?q=/wp-"}, 200),
        ({"web_deny_agents": ["*badbot*"]}, {"HTTP_USER_AGENT": "Mozilla/5.0 (BadBot/2; +https://bad.example)"}, 403),
        ({"web_deny_agents": ["*badbot*"]}, {"HTTP_USER_AGENT": "Mozilla/5.0"}, 200),
        ({"web_deny_agents": ["*badbot*"]}, {}, 200),
        ({"web_deny_agents": [""]}, {}, 403),  # nobody's name; not to be had from a file
    ],
)
def test_who_is_denied_gets_a_short_403_and_the_database_nothing(
    quick_site: Neighbourhood, settings: dict[str, Any], asks: dict[str, str], status: int
) -> None:
    quick_site.changes(**settings)
    path = asks.pop("path", "/")
    client = quick_site.as_("root")  # signed in or not
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(path, **asks)  # type: ignore[arg-type]
    assert answer.status_code == status
    if status == 403:
        assert (answer.content, len(queries)) == (b"Not served here.\n", 0)
        assert answer.headers["Cache-Control"] == "no-store" and answer.headers["Content-Security-Policy"]


def test_the_client_that_is_denied_is_the_one_a_trusted_proxy_names(quick_site: Neighbourhood) -> None:
    quick_site.changes(web_deny_networks=["192.0.2.0/24"], web_trusted_proxies=["127.0.0.1/32"])
    client = quick_site.as_("stranger")
    assert client.get("/", headers={"x-forwarded-for": BAD}).status_code == 403
    assert client.get("/", headers={"x-forwarded-for": "198.51.100.7"}).status_code == 200
    quick_site.changes(web_trusted_proxies=[])
    assert client.get("/", headers={"x-forwarded-for": BAD}).status_code == 200  # anybody can write that


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ('deny_paths = [""]', "must be a pattern like /wp-*"),
        (f'deny_agents = ["{"*a" * 11}"]', "10 stars"),
        ('deny_networks = ["@nobody"]', "names @nobody, which is not in [networks]"),
        ('deny_networks = ["192.0.2.1/24"]', "CIDR"),
        ("costly_per_minute = -1", "must not be negative"),
    ],
)
def test_settings_that_cannot_be_obeyed_are_named(tmp_path: Any, line: str, rule: str) -> None:
    file = tmp_path / "posthouse.toml"
    file.write_text(f"[web]\n{line}\n")
    with pytest.raises(ConfigurationError, match=r"line 2: web") as told:
        load(file)
    assert rule in str(told.value)


def test_a_pattern_takes_time_in_proportion_to_the_request() -> None:
    found = guard._pattern(("*a" * 10 + "b",), True)
    assert not found.match("a" * guard.LOOKED_AT)


def test_strangers_of_a_network_search_so_often_and_then_wait(quick_site: Neighbourhood, clock: Clock) -> None:
    quick_site.letter(1)
    quick_site.changes(web_costly_per_minute=3)
    stranger = quick_site.as_("stranger")
    for last in (1, 2, 3):
        assert stranger.get("/search?q=ripe", REMOTE_ADDR=f"192.0.2.{last}").status_code == 200
    answer = stranger.get(f"/archives/{GARDEN}/search?q=ripe", REMOTE_ADDR="192.0.2.4")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "20")
    assert answer.headers["Cache-Control"] == "no-store" and b"20 seconds" in answer.content
    for elsewhere in ("192.0.3.1", "2001:db8::1"):
        assert stranger.get("/search?q=ripe", REMOTE_ADDR=elsewhere).status_code == 200
    assert stranger.get(f"/archives/{GARDEN}/", REMOTE_ADDR="192.0.2.4").status_code == 200  # pages are not counted
    assert quick_site.as_("eve").get("/search?q=ripe", REMOTE_ADDR="192.0.2.4").status_code == 200
    fake = quick_site.as_("stranger")
    fake.cookies["sessionid"] = "a" * 32
    assert fake.get("/search?q=ripe", REMOTE_ADDR="192.0.2.4").status_code == 429
    clock.now += 20
    assert stranger.get("/search?q=ripe", REMOTE_ADDR="192.0.2.4").status_code == 200
    assert stranger.get("/search?q=ripe", REMOTE_ADDR="192.0.2.4").status_code == 429


def test_a_whole_archive_costs_ten_searches(quick_site: Neighbourhood, clock: Clock) -> None:
    quick_site.letter(1)
    quick_site.changes(web_costly_per_minute=25)
    stranger = quick_site.as_("stranger")
    statuses = [stranger.get(f"/archives/{GARDEN}/mbox").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert stranger.get("/search?q=ripe").status_code == 200
    quick_site.changes(web_costly_per_minute=0)
    assert {stranger.get(f"/archives/{GARDEN}/mbox").status_code for _ in range(30)} == {200}
    quick_site.changes(web_costly_per_minute=5, web_costly_exempt=["127.0.0.0/8"])
    assert {stranger.get(f"/archives/{GARDEN}/mbox").status_code for _ in range(5)} == {200}


def test_the_log_names_a_busy_network_once_a_minute(
    quick_site: Neighbourhood, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    quick_site.changes(web_costly_per_minute=1)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            quick_site.as_("stranger").get("/search?q=ripe", REMOTE_ADDR=BAD)
    assert caplog.text.count("192.0.2.0/24 asks for too much") == 1


def test_what_is_counted_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MOST_NETWORKS", 10)
    clock = Clock()
    buckets = guard.Buckets(clock)
    for number in range(30):
        assert buckets.take(f"n{number}", 1, 2) == 0 and len(buckets._left) <= 10
        assert buckets.newly(f"n{number}") and len(buckets._said) <= 10
    clock.now += 60
    buckets.take("new", 2, 2)
    assert list(buckets._left) == ["new"]
    assert buckets.take("new", 1, 2) == 30


@pytest.mark.parametrize(
    ("address", "network"),
    [("192.0.2.7", "192.0.2.0/24"), ("::ffff:192.0.2.7", "192.0.2.0/24"), ("2001:db8:1:2::3", "2001:db8:1::/48"),
     ("fe80::1%eth0", "fe80::/48"), ("unix", "unix")],
)  # fmt: skip
def test_a_network_is_what_one_customer_may_have(address: str, network: str) -> None:
    assert guard.network_of(address) == network
