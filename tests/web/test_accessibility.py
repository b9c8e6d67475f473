"""No page breaks a rule that a machine can check: axe-core finds nothing, wide and narrow, light and dark."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from posthouse.directory import accounts, belonging, domains
from posthouse.lists import bans, creation, holding, roster, subscription, tokens
from posthouse.lists.models import Membership
from posthouse.lists.moderation import header_matches, links
from posthouse.web.views import settings as settings_view
from tests.people import ANA, DOMAIN, GARDEN, OWEN
from tests.web.neighbourhood import BOARD, Neighbourhood
from tests.web.test_archive import HOSTILE, conversation
from tests.web.test_desk import PAGES as DESK_PAGES
from tests.web.test_held import hold
from tests.web.test_office import PAGES as OFFICE_PAGES

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
SWITCHES = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--hide-scrollbars",
)  # fmt: skip


def require_chromium() -> None:
    """Skip where there is no Chromium; fail where everything must be there."""
    if CHROMIUM.exists() and DRIVER.exists():
        return
    told = "Chromium is missing: apt-get install chromium chromium-driver"
    if os.environ.get("CI"):
        pytest.fail(told)
    pytest.skip(told)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    """A Chromium of its own, without a window."""
    require_chromium()
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = str(CHROMIUM)
    for switch in (*SWITCHES, f"--user-data-dir={tmp_path / 'chromium'}"):
        options.add_argument(switch)
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    driver.set_page_load_timeout(300)
    driver.set_script_timeout(300)
    yield driver
    driver.quit()


@pytest.fixture
def address(quick_site: Neighbourhood) -> Iterator[str]:
    """The site on a free port of this machine."""
    from waitress.server import create_server

    from posthouse.web.wsgi import application

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(50)
    server = create_server(application, map={}, sockets=[listening], threads=2)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.task_dispatcher.shutdown()


def furnish() -> None:
    """Something on every page of the desk."""
    now = time.time_ns() // 1_000_000
    domains.add_owner(DOMAIN, OWEN)
    creation.set_settings(
        GARDEN, {"topics_enabled": "yes", "topics": "Seeds: seeds", "subscription_policy": "moderate"}
    )
    roster.add(GARDEN, OWEN)
    roster.add(BOARD, OWEN)
    subscription.request_join(GARDEN, "dora@far.example", "Dora", now, verified=True)
    bans.ban("^spam.*@far", GARDEN, by=OWEN, now=now, why="spam")
    account = accounts.find(OWEN)
    assert account
    belonging.give(account.id, "owen@work.example", now)
    belonging.ask_for_address(account.id, "owen@play.example", now)
    bans.ban("@spam.example", None, by=OWEN, now=now, why="spam")
    header_matches.add(GARDEN, "x-spam-flag", "yes", "discard", "spam")
    creation.create(f"old@{DOMAIN}", [OWEN])
    creation.remove(f"old@{DOMAIN}")
    Membership.objects.filter(address__key=OWEN, mailing_list__list_name="board", role="member").update(
        delivery_status="by_bounces", last_bounce="550 no such mailbox", bounce_stopped_at=timezone.now()
    )


def pages(site: Neighbourhood) -> dict[str, str]:
    """Every kind of page: its path, and who looks at it."""
    site.changes(trial=True)
    conversation(site)
    hostile = site.letter(66, raw=HOSTILE)
    site.letter(67, archive=BOARD)
    held = hold("garden", 1)
    by_link = links.link_token(hold("garden", 2), "reject", int(time.time() * 1000))
    archive = f"/archives/{GARDEN}/"
    token = tokens.signed(tokens.unsubscribe_key(), creation.show(GARDEN).pk, ANA)
    strangers = (
        "/", archive, f"{archive}2026/05/", f"{archive}thread/{site.key(1)}/", f"{archive}thread/{hostile}/",
        f"{archive}thread/{site.key(1)}/?sort=date&fixed=1", f"{archive}message/{site.key(2)}/",
        f"{archive}message/{hostile}/", f"{archive}message/{hostile}/headers", f"{archive}search?q=ripe",
        "/search?q=ripe&sort=rank", "/search", "/search?q=nothing+after:never", f"/lists/{GARDEN}/", "/sign-in/",
        "/sign-in/token/", f"/unsubscribe/{token}/", "/confirm/token/", "/nowhere", f"/archives/{BOARD}/",
        "/trial/outbox", f"/held/act/{by_link}/", f"/lists/{GARDEN}/join/",
    )  # fmt: skip
    holding.discard(hold("garden", 3), "owen", int(time.time() * 1000))
    furnish()
    desk = [f"/lists/{GARDEN}/settings/{name}/" for name in settings_view.areas()]
    desk += [f"/lists/{GARDEN}/{tail}" for tail in (*DESK_PAGES, "")]
    desk += ["/options/", "/lists/new/", f"/lists/{GARDEN}/join/?signed-in"]
    owners = dict.fromkeys(desk, "owen")
    return {
        **dict.fromkeys(strangers, "stranger"),
        **owners,
        "/held/": "owen",
        f"/held/{held}/": "owen",
        "/sign-out/": "owen",
        "/options/addresses/": "owen",
        "/held/discarded/": "owen",
        **dict.fromkeys((*OFFICE_PAGES, f"/site/people/?q={OWEN}"), "root"),
    }


@pytest.mark.interop
@pytest.mark.parametrize("width", [1350, 320])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    browser: Any, address: str, quick_site: Neighbourhood, width: int, scheme: str
) -> None:
    from axe_selenium_python import Axe

    sessions = {who: quick_site.as_(who).cookies["sessionid"].value for who in ("owen", "root")}
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    wrong = []
    for path, who in pages(quick_site).items():
        browser.get(f"{address}/robots.txt")
        browser.delete_all_cookies()
        if who != "stranger":
            browser.add_cookie({"name": "sessionid", "value": sessions[who], "path": "/"})
        browser.get(address + path)
        if browser.execute_script("return document.documentElement.scrollWidth > window.innerWidth"):
            wrong.append(f"{path}: wider than the screen")
        axe = Axe(browser)
        axe.inject()
        for found in axe.run()["violations"]:
            wrong.append(f"{path}: {found['id']}: {found['nodes'][0]['html'][:200]}")
    assert not wrong, "\n".join(wrong)
