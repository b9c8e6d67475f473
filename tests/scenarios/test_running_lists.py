"""Somebody who runs many lists works at the command line: people, tables, topics, domains, texts, accounts."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from posthouse.directory import accounts, domains
from posthouse.lists import bans, roster
from tests.outside import Outside
from tests.people import ANA, BEN, EVE, GARDEN, OWEN
from tests.running_house import House

CHESS, DOMAIN, NEW = "chess@lists.example", "lists.example", "talk.example"
WORK = "ana@work.example"


def answer(house: House, *words: str, given: str = "") -> Any:
    ran = house.runs(*words, "--json", given=given)
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


def test_somebody_is_taken_off_every_list_in_one_act(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    house.has_list(CHESS, members=[WORK], owner=ANA)
    account = accounts.create(ANA)
    assert house.runs("accounts", "add-address", ANA, WORK).exit_code == 0
    would = answer(house, "members", "remove-everywhere", ANA, "--person", "--dry-run")
    assert [one[0] for one in would["lists"]] == [GARDEN, CHESS, CHESS] or len(would["lists"]) == 3
    assert would["dry_run"] and roster.find(ANA)

    ran = house.runs("members", "remove-everywhere", ANA, "--person", "--ban")
    assert ran.exit_code == 0 and f"{CHESS}: {WORK} is removed as member" in ran.stdout
    assert f"{CHESS} has no owner now" in ran.stderr
    assert not roster.find(ANA) and not roster.find(WORK)
    assert sorted(one.pattern for one in bans.bans()) == [ANA, WORK]
    assert "on no list" in house.runs("members", "remove-everywhere", ANA).stdout
    assert accounts.show(account.id).addresses == (ANA, WORK)
    assert house.runs("members", "remove-everywhere", "nonsense").exit_code == 1

    outside.posts(OWEN, GARDEN, "Hello")
    house.settles()
    assert not outside.copies_for(ANA) and outside.copies_for(BEN)


def test_members_go_out_as_a_table_and_come_in_again_with_their_choices(house: House, tmp_path: Path) -> None:
    house.has_list(GARDEN, topics_enabled="yes", topics="Seeds: seeds\nTools: tools")
    house.has_list(CHESS, topics_enabled="yes", topics="Seeds: seeds")
    roster.add(GARDEN, "Ana@far.example", "Ana Gärtner")
    roster.add(GARDEN, BEN, "=cmd()")
    assert house.runs("members", "set", GARDEN, BEN, "delivery_mode=mime_digests", "hide_address=yes",
                      "moderation_action=hold").exit_code == 0  # fmt: skip
    assert house.runs("members", "topics", GARDEN, BEN, "Seeds", "--nonmatching").exit_code == 0

    table = house.runs("members", "export", GARDEN, "--csv").stdout
    rows = {row["address"]: row for row in csv.DictReader(io.StringIO(table))}
    assert rows["Ana@far.example"]["display_name"] == "Ana Gärtner"
    assert rows[BEN]["display_name"] == "'=cmd()"  # no spreadsheet calculates what somebody calls themselves
    assert (rows[BEN]["delivery_mode"], rows[BEN]["hide_address"], rows[BEN]["topics"]) == (
        "mime_digests",
        "yes",
        "seeds",
    )

    file = tmp_path / "people.csv"
    assert house.runs("members", "export", GARDEN, str(file), "--csv", "--role", "all").exit_code == 0
    assert answer(house, "members", "import", CHESS, str(file), "--dry-run")["added"] == 2  # the owner is one there
    assert not roster.members(CHESS)
    assert answer(house, "members", "import", CHESS, str(file))["added"] == 2
    again = answer(house, "members", "import", CHESS, str(file))
    assert (again["added"], again["unchanged"]) == (0, 3)
    ben = next(one for one in roster.members(CHESS) if one.address == BEN)
    assert (ben.display_name, ben.delivery_mode, ben.hide_address, ben.moderation_action) == (
        "=cmd()", "mime_digests", True, "hold")  # fmt: skip
    assert answer(house, "members", "topics", CHESS, BEN) == {
        "offered": ["Seeds"], "chosen": ["seeds"], "nonmatching": True}  # fmt: skip
    lines = house.runs("members", "export", GARDEN).stdout.splitlines()
    assert lines[0] == "Ana@far.example" and lines[1].endswith(f"<{BEN}>")


def test_a_table_with_wrong_rows_adds_the_others_and_says_which(house: House, tmp_path: Path) -> None:
    house.has_list(GARDEN)
    file = tmp_path / "people.csv"
    file.write_text(
        "\ufeffEmail address,Nickname,delivery_mode,Shoe size\nana@far.example,Ana,regular,38\nnonsense,,,\n\n"
        'ben@far.example,"Ben, the other",sometimes,\neve@far.example,Eve,,\n',
        encoding="utf-8",
    )
    ran = house.runs("members", "import", GARDEN, str(file))
    assert ran.exit_code == 1 and ran.stdout.startswith("2 added, 0 changed, 0 unchanged, 2 refused.")
    assert "line 3: nonsense" in ran.stderr and "line 5:" in ran.stderr and "shoe size" in ran.stderr
    assert [one.address for one in roster.members(GARDEN)] == [ANA, "eve@far.example"]
    for text in ("name\nAna\n", ""):
        file.write_text(text)
        assert "columns" in house.runs("members", "import", GARDEN, str(file)).stderr
    file.write_text("address,acknowledge_posts\nana@far.example,yes\n")
    assert answer(house, "members", "import", GARDEN, str(file), "--update")["changed"] == 1
    assert next(one for one in roster.members(GARDEN) if one.address == ANA).acknowledge_posts


def test_topics_of_a_member_are_shown_chosen_and_taken_back(house: House) -> None:
    house.has_list(GARDEN, members=[ANA], topics_enabled="yes", topics="Seeds: seeds\nTools: tools")
    assert "every posting" in house.runs("members", "topics", GARDEN, ANA).stdout
    assert answer(house, "members", "topics", GARDEN, ANA, "seeds", "Tools")["chosen"] == ["seeds", "tools"]
    assert house.runs("members", "topics", GARDEN, ANA, "Cats").exit_code == 1
    assert answer(house, "members", "topics", GARDEN, ANA, "--all")["chosen"] == []
    assert house.runs("members", "topics", GARDEN, EVE).exit_code == 3


def test_a_domain_moves_with_its_lists_and_is_retired_later(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[BEN])
    house.has_list(CHESS, members=[BEN])
    accounts.create(OWEN)
    domains.add_owner(DOMAIN, OWEN)
    assert house.runs("templates", "set", "list:user:notice:welcome", "-", "--for", DOMAIN,
                      given="Subject: Hi\n\nHi $address\n").exit_code == 0  # fmt: skip
    done = answer(house, "domains", "rename", DOMAIN, NEW)
    assert dict(done["lists"]) == {GARDEN: f"garden@{NEW}", CHESS: f"chess@{NEW}"}
    assert domains.show(NEW).owners == (OWEN,) and domains.show(DOMAIN).stands_for == NEW
    shown = answer(house, "templates", "show", "list:user:notice:welcome", "--for", f"garden@{NEW}")
    assert (shown["subject"], shown["of"]) == ("Hi", "domain")

    outside.posts(OWEN, GARDEN, "To the old address")
    outside.posts(OWEN, f"garden@{NEW}", "To the new address")
    house.settles()
    copies = outside.copies_for(BEN)
    assert len(copies) == 2
    for return_path, copy in copies:
        assert return_path == f"garden-bounces+ben=far.example@{NEW}"
        assert copy["List-Id"] == "<garden.lists.example>" and f"garden@{NEW}" in copy["List-Post"]

    assert "still lead to lists" in house.runs("domains", "remove", DOMAIN, "--yes").stderr
    assert "still needed" in house.runs("domains", "remove", NEW, "--yes").stderr
    assert house.runs("domains", "remove", DOMAIN, given="n\n").exit_code == 1 and domains.is_ours(DOMAIN)
    assert answer(house, "domains", "remove", DOMAIN, "--yes", "--with-old-names")["old_names"] == 2
    refused = outside.posts(OWEN, GARDEN, "Too late")
    assert refused.startswith("550")
    assert house.runs("domains", "rename", "nowhere.example", NEW).exit_code == 1


def test_a_list_begins_in_a_temporary_domain_and_moves_to_its_own(house: House, outside: Outside) -> None:
    temporary, first = "temp.example", "garden@temp.example"
    house.has_list(first, members=[BEN])
    outside.posts(OWEN, first, "Before")
    domains.add(DOMAIN)
    ran = house.runs("lists", "rename", first, GARDEN)
    assert ran.exit_code == 0, ran.stderr
    assert outside.posts(OWEN, first, "To the temporary address").startswith("250")
    assert outside.posts(OWEN, GARDEN, "To its own address").startswith("250")
    house.settles()
    copies = [(path, copy) for path, copy in outside.copies_for(BEN) if "Before" not in copy["Subject"]]
    assert len(copies) == 2
    for return_path, copy in copies:
        assert return_path == "garden-bounces+ben=far.example@lists.example" and GARDEN in copy["List-Post"]
    assert house.runs("domains", "remove", temporary, "--yes", "--with-old-names").exit_code == 0
    assert outside.posts(OWEN, first, "Retired").startswith("550")
    assert outside.posts(OWEN, GARDEN, "Still here").startswith("250")


@pytest.mark.parametrize("place", ["site", DOMAIN, GARDEN])
def test_templates_are_listed_worded_previewed_and_taken_back_in_each_place(house: House, place: str) -> None:
    house.has_list(GARDEN)
    name = "list:user:notice:welcome"
    assert name in house.runs("templates", "list", "--for", place).stdout
    assert answer(house, "templates", "list", "--for", place) == []
    put = house.runs("templates", "set", name, "-", "--for", place, "--language", "fr",
                     given="Subject: Salut\n\nBonjour $address\n")  # fmt: skip
    assert put.exit_code == 0, put.output
    wrong = house.runs("templates", "set", name, "-", "--for", place, given="Subject: x\n\n$nonsense\n")
    assert wrong.exit_code == 1 and "nothing fills $nonsense" in wrong.stderr
    assert house.runs("templates", "show", name, "--for", place, "--language", "fr").stdout == (
        "Subject: Salut\n\nBonjour $address\n"
    )
    assert (
        "Bonjour ana@far.example" in house.runs("templates", "preview", name, "--for", place, "--language", "fr").stdout
    )
    assert "<html" in house.runs("templates", "preview", name, "--for", place, "--html").stdout
    assert answer(house, "templates", "reset", name, "--for", place) == {"name": name, "taken_back": 1}
    sign_in = house.runs("templates", "set", "site:user:action:sign-in", "-", "--for", place, given="$link_url\n")
    assert sign_in.exit_code == (0 if place == "site" else 1)


def test_accounts_are_listed_and_their_addresses_and_rights_changed(house: House) -> None:
    house.has_list(GARDEN)
    assert house.runs("accounts", "create", ANA, "--name", "Ana").exit_code == 0
    assert answer(house, "accounts", "add-address", ANA, WORK)["addresses"] == [ANA, WORK]
    assert answer(house, "accounts", "primary", WORK)["address"] == WORK
    assert answer(house, "accounts", "superuser", WORK)["is_superuser"]
    assert [one["addresses"] for one in answer(house, "accounts", "list", "--staff")] == [[WORK, ANA]]
    assert "administrator" in house.runs("accounts", "show", ANA).stdout
    given = "correct horse battery\n"
    assert house.runs("accounts", "password", ANA, given=given + given).exit_code == 0
    assert accounts.check_password(WORK, given.strip()) and not accounts.check_password(ANA, "a guess")
    assert not answer(house, "accounts", "superuser", ANA, "--remove")["is_superuser"]
    assert answer(house, "accounts", "remove-address", WORK)["addresses"] == [ANA]
    assert house.runs("accounts", "remove-address", ANA).exit_code == 1  # the last one stays
    assert house.runs("accounts", "show", EVE).exit_code == 3
    assert answer(house, "accounts", "trust", ANA)["is_trust"]


def test_a_member_moves_to_another_address_at_once_or_when_it_has_answered(house: House, outside: Outside) -> None:
    home = "ana.lima@far.example"
    house.has_list(GARDEN, members=[ANA, BEN])
    assert house.runs("members", "set", GARDEN, BEN, "hide_address=yes").exit_code == 0
    assert answer(house, "members", "move", GARDEN, ANA, home)["done"] == "moved"
    assert house.runs("members", "move", GARDEN, home, BEN).exit_code == 1
    assert house.runs("members", "move", GARDEN, EVE, ANA).exit_code == 1

    new = "ben.okafor@far.example"
    assert "is asked" in house.runs("members", "move", GARDEN, BEN, new, "--ask").stdout
    house.settles()
    [(_, asked)] = outside.copies_for(new)
    assert BEN not in str(asked) and [one.address for one in roster.members(GARDEN)] == [home, BEN]
    outside.posts(new, str(asked["reply-to"]).strip("<>"), f"Re: {asked['subject']}")
    house.settles()
    assert [(one.address, one.hide_address) for one in roster.members(GARDEN)] == [(home, False), (new, True)]

    outside.taken.clear()
    outside.posts(OWEN, GARDEN, "Hello")
    house.settles()
    assert outside.copies_for(home) and outside.copies_for(new)
    assert not outside.copies_for(ANA) and not outside.copies_for(BEN)


def test_a_list_is_shown_as_its_owner_writes_it(house: House) -> None:
    house.has_list(GARDEN, members=[ANA], autoresponse_grace_period="12h", emergency="yes", footer="One\nTwo")
    shown = house.runs("lists", "show", GARDEN).stdout.splitlines()
    for line in ("autoresponse_grace_period = 12h", "emergency = yes", "list id: garden.lists.example",
                 "last post at: never", "moderators: none"):  # fmt: skip
        assert line in shown
    assert shown[shown.index("footer = One") + 1] == "    Two"
    assert not [line for line in shown if line.startswith("pk") or line.endswith(("None", "True", "False"))]
    assert answer(house, "lists", "show", GARDEN)["pk"]
