"""A house with the domain lists.example, the list garden, its owner owen (superuser), and cleo, who may submit."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from posthouse import configuration, maillog
from posthouse import database as bridge_to
from posthouse.configuration import Configuration
from posthouse.directory import accounts, domains
from posthouse.lists import creation
from posthouse.reception.certificates import make_own
from tests.reception.station import Station, changed

PASSWORD = "correct horse battery"  # of cleo@near.example
ANY_PORT = {"transfer": ["127.0.0.1:0"], "submission": ["127.0.0.1:0"], "submissions": [], "lmtp": ["127.0.0.1:0"]}
Opener = Callable[..., Station]


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for mx.lists.example and its key."""
    folder = tmp_path_factory.mktemp("tls")
    make_own(folder / "c.pem", folder / "c.key", ["mx.lists.example"], time.time())
    return folder / "c.pem", folder / "c.key"


@pytest.fixture
def trust(pair: tuple[Path, Path]) -> ssl.SSLContext:
    """A client's context that believes that certificate alone."""
    return ssl.create_default_context(cafile=str(pair[0]))


def furnish(chosen: Configuration, pair: tuple[Path, Path]) -> Configuration:
    """Fill the database and give the listeners ports and a certificate."""
    maillog.quiet()
    domains.add("lists.example")
    accounts.create("owen@far.example", "Owen", superuser=True)
    accounts.create("cleo@near.example", "Cleo", password=PASSWORD)
    creation.create("garden@lists.example", ["owen@far.example"])
    maillog.flush()
    bridge_to.close()
    without_dns = {"enabled": False}  # the names of these tests stand in no DNS; tests of evidence bring their own
    tls = {"certificate": str(pair[0]), "key": str(pair[1])}
    no_strangers = {
        "greylist": "off",
        "sender_domain": "off",
        "header": "off",
        "recipient": "off",
    }  # tests of the door switch on what they are about
    return changed(chosen, reception=ANY_PORT, tls=tls, evidence=without_dns, policy=no_strangers)


@pytest.fixture
def house(sqlite: Configuration, pair: tuple[Path, Path]) -> Configuration:
    """The house on SQLite; most of reception does not care which database keeps the mail."""
    return furnish(sqlite, pair)


@pytest.fixture
def opens(request: pytest.FixtureRequest) -> Iterator[Opener]:
    """Open the house's reception, with other settings where a test wants them: `opens(limits={"hops": 3})`."""
    opened: list[Station] = []

    def open_one(
        chosen: Configuration | None = None, *, sockets: Any = None, clock: Any = None, fast: bool = True,
        **sections: dict[str, Any],
    ) -> Station:  # fmt: skip
        used = changed(chosen or request.getfixturevalue("house"), **sections)
        configuration.activate(used)
        station = Station(used, sockets, fast=fast, **({"clock": clock} if clock else {}))
        opened.append(station)
        return station

    yield open_one
    for station in opened:
        station.stop(0.05)  # nobody waits for a test that left a connection open
        assert station.faults == [], station.faults


@pytest.fixture
def station(opens: Opener) -> Station:
    """The house's reception, open."""
    return opens()
