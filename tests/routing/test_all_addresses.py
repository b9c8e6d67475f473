"""Every address that mail servers in front are told of beforehand is one that routing takes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from posthouse import configuration
from posthouse.configuration import Configuration
from posthouse.directory import accounts, domains
from posthouse.lists import creation
from posthouse.routing import Refused, route
from posthouse.routing.all_addresses import all_addresses


def test_domains_of_the_settings_and_legacy_lists_are_told_too(sqlite: Configuration, tmp_path: Path) -> None:
    (tmp_path / "aliases").mkdir()
    (tmp_path / "aliases" / "set.example").write_text("info: ana@far.example\n")
    (tmp_path / "legacy").write_text("garden\nnosuch\n")
    (tmp_path / "domains").write_text("filed.example\n")
    routing = configuration.Routing(
        aliases=str(tmp_path / "aliases"), local_domains=["set.example", ".wide.example"],
        local_domains_file=str(tmp_path / "domains"), legacy_domains=["old.example"],
        legacy_lists=str(tmp_path / "legacy"), legacy_target="lists.example",
    )  # fmt: skip
    configuration.activate(dataclasses.replace(sqlite, routing=routing))
    domains.add("lists.example")
    accounts.create("owen@far.example", "Owen", superuser=True)
    creation.create("garden@lists.example", ["owen@far.example"])
    known = all_addresses()
    assert known.domains == ("filed.example", "lists.example", "old.example", "set.example"), "not our own name"
    told = set(known.addresses)
    assert {"info@set.example", "garden@old.example", "garden-request@old.example", "postmaster@filed.example"} <= told
    assert not [one for one in told if one.startswith("nosuch")]
    assert not [one for one in told if isinstance(route(one), Refused)], "nothing is told that routing refuses"
