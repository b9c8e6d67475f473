"""A relay between others: what people hand in, what is on its way with a return path of its own, what comes back."""

from __future__ import annotations

import dataclasses
import smtplib
import ssl
import time
from pathlib import Path

from posthouse.configuration import Configuration, Tls
from posthouse.directory import accounts, domains
from posthouse.reception.certificates import make_own
from tests.outside import Outside
from tests.people import ANA, BEN, CLEO, DOMAIN, OWEN
from tests.ports import free_port
from tests.running_house import House, running

LETTER = f"From: {CLEO}\r\nTo: {BEN}\r\nSubject: Tomatoes\r\n\r\nRipe at last.\r\n".encode()


def test_what_people_hand_in_is_kept_until_the_relay_behind_us_takes_it(sqlite: Configuration, tmp_path: Path) -> None:
    pem, key = tmp_path / "c.pem", tmp_path / "c.key"
    make_own(pem, key, ["mx.lists.example"], time.time())
    relay = Outside()
    relay.port = free_port()
    chosen = dataclasses.replace(sqlite, tls=Tls(certificate=str(pem), key=str(key)))
    with running(chosen, outside=relay, smarthost=f"127.0.0.1:{relay.port}") as house:
        accounts.create(CLEO, password="correct horse battery")
        relay.refuses(BEN, "451 4.3.0 not now")
        with smtplib.SMTP("127.0.0.1", house.submission_port, timeout=60) as client:
            client._host = "mx.lists.example"  # type: ignore[attr-defined]
            client.starttls(context=ssl.create_default_context(cafile=str(pem)))
            client.login(CLEO, "correct horse battery")
            assert client.sendmail(CLEO, [BEN], LETTER) == {}
        house.settles()
        assert relay.copies_for(BEN) == [] and BEN in house.runs("queue", "list").stdout
        relay.accepts(BEN)
        house.passes(hours=1)
        [(return_path, copy)] = relay.copies_for(BEN)
        assert return_path == CLEO and copy["Subject"] == "Tomatoes"


def test_a_return_path_that_names_its_recipient_already_is_left_alone(sqlite: Configuration) -> None:
    reception = dataclasses.replace(sqlite.reception, relay_networks=["127.0.0.0/8"])
    for path in ("news-bounces+ben=far.example@elsewhere.example", "news-bounces@elsewhere.example"):
        with running(dataclasses.replace(sqlite, reception=reception)) as house:
            assert house.outside.sends(path, [BEN], LETTER).startswith("250")
            assert not [name for name, _ in house.zone.asked if name.endswith("far.example")], "taken without any DNS"
            house.settles()
            assert house.zone.asked["far.example", "MX"] == 1
            [(return_path, copy)] = house.outside.copies_for(BEN)
            assert return_path == path and copy["Errors-To"] is None


def test_what_comes_back_to_the_loop_address_reaches_the_administrators_and_goes_no_further(house: House) -> None:
    accounts.create(OWEN, superuser=True)
    domains.add(DOMAIN)
    for path in ("", ANA, f"mailman-loop@{DOMAIN}"):
        assert house.outside.sends(path, [f"mailman-loop@{DOMAIN}"], LETTER).startswith("250"), path
    house.settles()
    assert len(house.outside.copies_for(OWEN)) == 3
    house.outside.taken.clear()
    house.outside.refuses(OWEN, "550 5.1.1 no such mailbox")
    assert house.outside.sends("", [f"mailman-loop@{DOMAIN}"], LETTER).startswith("250")
    house.passes(days=6)
    assert house.outside.taken == [] and house.runs("queue", "list", "--json").stdout.count('"name"') == 0
