"""Bulk mail is known by its envelope sender and the listener it came in at, and leaves by an address of its own."""

from __future__ import annotations

import dataclasses

from posthouse.configuration import Bulk, Configuration
from tests.people import ANA, BEN, CLEO, DOMAIN, GARDEN
from tests.running_house import BACKED_UP, running

DAN = f"dan@{BACKED_UP}"


def test_what_comes_in_at_the_inside_address_and_list_copies_leave_from_the_bulk_address(sqlite: Configuration) -> None:
    bulk = {
        "news": Bulk(origins=["inside"], return_paths=["*@news.example"], source=["127.0.0.9"], hello="bulk.example"),
        "lists": Bulk(origins=["list"], return_paths=["*-bounces@*"], source=["127.0.0.8"]),
    }
    with running(
        dataclasses.replace(sqlite, bulk=bulk),
        policy={"inside_addresses": ["127.0.0.1"], "inside_networks": ["127.0.0.0/8"]},
    ) as house:
        house.has_list(GARDEN, members=[ANA, BEN, CLEO])
        house.outside.sends("bulletin@news.example", [DAN], b"From: n@news.example\r\nSubject: news\r\n\r\nx\r\n")
        house.outside.sends(ANA, [DAN], f"From: {ANA}\r\nSubject: hello\r\n\r\nx\r\n".encode())
        house.outside.posts(ANA, GARDEN, "Tomatoes")
        house.settles()
        seen = {(one.subject, one.client) for one in house.outside.taken}
        assert ("news", "127.0.0.9") in seen and ("hello", "127.0.0.1") in seen
        copies = [one for one in house.outside.taken if one.return_path.startswith("garden-bounces+")]
        assert len(copies) == 3 and {one.client for one in copies} == {"127.0.0.8"}
        assert {one.hello for one in house.outside.taken if one.subject == "news"} == {"bulk.example"}
        others = [one for one in house.outside.taken if one not in copies and one.subject != "news"]
        assert {one.client for one in others} == {"127.0.0.1"}
        assert all(one.return_path.endswith(f"@{DOMAIN}") for one in copies)


def test_bulk_that_comes_in_anywhere_else_is_ordinary_mail(sqlite: Configuration) -> None:
    bulk = {"news": Bulk(origins=["inside"], return_paths=["*@news.example"], source=["127.0.0.9"])}
    with running(dataclasses.replace(sqlite, bulk=bulk)) as house:
        house.outside.sends("bulletin@news.example", [DAN], b"From: n@news.example\r\nSubject: news\r\n\r\nx\r\n")
        house.settles()
        assert [one.client for one in house.outside.taken] == ["127.0.0.1"]
