"""Addresses that stand for others, from the door to the far host or to a program; live, never accepted to bounce."""

from __future__ import annotations

import dataclasses
import json
import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from posthouse import configuration
from posthouse.configuration import Configuration
from posthouse.directory import accounts, domains
from tests.people import ANA, BEN, CLEO, GARDEN, OWEN
from tests.running_house import House, running


def somebody() -> str:
    """A user with no processes but those of this test process: how many one may have is counted for all together."""
    names = sorted({one.pw_name for one in pwd.getpwall()} & {"games", "man", "lp", "news", "uucp"}) or ["nobody"]
    return names[int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % len(names)]


NOBODY = somebody()


@pytest.fixture
def house(sqlite: Configuration, tmp_path: Path) -> Iterator[House]:
    """A house with a folder of alias files, whose programs run as the user nobody."""
    folder = tmp_path / "aliases"
    folder.mkdir()
    routing = configuration.Routing(aliases=str(folder), includes=str(tmp_path))
    pipes = configuration.Pipes(user=NOBODY, folder="/", seconds=60.0, output=2000, processes=4)
    chosen = dataclasses.replace(sqlite, routing=routing, pipes=pipes, origin="parent.example")
    with running(chosen) as opened:
        domains.add("parent.example")
        accounts.create(OWEN, "Owen", superuser=True)
        yield opened


def says(house: House, text: str, domain: str = "parent.example") -> None:
    """Write a domain's alias file."""
    path = Path(house.configuration.routing.aliases) / domain
    path.write_text(text)
    path.chmod(0o644)


def waiting(house: House) -> list[tuple[str, str]]:
    """(recipient, last reply) of all that waits."""
    found = []
    for line in json.loads(house.runs("queue", "list", "--json").stdout)["messages"]:
        shown = json.loads(house.runs("queue", "show", line["name"], "--json").stdout)
        found += [(one["recipient"], one["last_reply"] or "") for one in shown["deliveries"]]
    return found


@pytest.fixture
def written() -> Iterator[Path]:
    """A folder that the user may write to. Not below pytest's: each start of pytest closes those to others."""
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    with tempfile.TemporaryDirectory(prefix="posthouse-written-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        os.chown(folder, pwd.getpwnam(NOBODY).pw_uid, -1)
        yield folder


def test_mail_for_an_alias_reaches_those_it_stands_for_with_its_own_return_path(house: House) -> None:
    says(house, "office: ana@far.example, second\nsecond: ben@far.example\n")
    assert house.outside.posts(ANA, "office+desk@parent.example", "Keys").startswith("250")
    house.settles()
    for person in (ANA, BEN):
        [(return_path, copy)] = house.outside.copies_for(person)
        assert return_path == ANA, "a forward keeps the return path"
        assert copy["Delivered-To"] == "office+desk@parent.example" and copy["Subject"] == "Keys"
    says(house, "office: :fail: Closed for the summer\n")
    assert house.outside.posts(ANA, "office@parent.example", "Again").startswith("550 5.2.1 Closed for the summer")
    says(house, "office: :defer: Back on Monday\n")
    assert house.outside.posts(ANA, "office@parent.example", "Again").startswith("451 4.2.1 Back on Monday")
    says(house, "office: :blackhole:\n")
    assert house.outside.posts(ANA, "office@parent.example", "Lost").startswith("250")
    house.settles()
    assert not waiting(house)
    assert "nowhere" in house.runs("trace", "office@parent.example").stdout


def test_what_leads_nowhere_is_refused_at_rcpt_and_never_bounced(house: House) -> None:
    says(house, "office: missing\ncircle: back\nback: circle\n")
    for local, code in (("office", "550 5.1.1"), ("circle", "550 5.4.6"), ("unknown", "550 5.1.1")):
        assert house.outside.posts(ANA, f"{local}@parent.example", "x").startswith(code)


def test_a_list_has_an_address_in_the_parent_domain_by_an_alias(house: House) -> None:
    house.has_list(GARDEN, members=[ANA, BEN], acceptable_aliases="plants@parent.example")
    says(house, f"plants: {GARDEN}\n")
    assert house.outside.posts(ANA, "plants@parent.example", "Tomatoes").startswith("250")
    house.settles()
    [(return_path, copy)] = house.outside.copies_for(BEN)
    assert return_path == "garden-bounces+ben=far.example@lists.example" and copy["Subject"].endswith("Tomatoes")


def test_a_member_behind_an_alias_of_ours_keeps_the_return_path_of_the_membership(house: House) -> None:
    for style in ("discussion", "personal"):
        name = f"{style}@lists.example"
        personal = {"personalize": "full", "footer": "For $user_email"} if style == "personal" else {}
        house.has_list(name, members=[ANA, "office@parent.example"], **personal)
        says(house, f"office: {BEN}\n")
        assert house.outside.posts(ANA, name, f"To {style}").startswith("250")
        house.settles()
        copies = [(path, copy) for path, copy in house.outside.copies_for(BEN) if f"To {style}" in copy["Subject"]]
        [(return_path, copy)] = copies
        assert return_path == f"{style}-bounces+office=parent.example@lists.example"
        assert copy["List-Unsubscribe"] and copy["List-Unsubscribe"] != copy["List-Post"]
        if personal:
            assert "For office@parent.example" in copy.get_payload()


def test_a_program_gets_the_message_as_another_user_without_a_shell(house: House, written: Path) -> None:
    script = written / "take"
    script.write_text('#!/bin/sh\ncat >"$1"; { id -un; pwd; env; echo "$2"; } >"$1.about"\n')
    script.chmod(0o755)
    says(house, f"ticket: \"|{script} {written}/got '$(id); a b'\", {BEN}\n")
    assert house.outside.posts(ANA, "ticket+42@parent.example", "Broken").startswith("250")
    house.settles()
    assert not waiting(house)
    got = (written / "got").read_bytes()
    assert got.startswith(b"Return-Path: <ana@far.example>\nDelivered-To: ticket+42@parent.example\n")
    assert b"Subject: Broken\n" in got and b"\r" not in got
    about = (written / "got.about").read_text()
    assert about.startswith(f"{NOBODY}\n/\n") and about.endswith("$(id); a b\n")
    assert "EXTENSION=42\n" in about and "SENDER=ana@far.example\n" in about and "POSTHOUSE" not in about
    assert len(house.outside.copies_for(BEN)) == 1


@pytest.mark.parametrize(
    ("words", "outcome", "said"),
    [
        ("exit 75", "waits", "asks for another try"), ("echo no such box; exit 67", "fails", "no such box"),
        ("exit 1", "fails", "exit 1"), ("kill -9 $$", "waits", "SIGKILL"), ("exit 78", "waits", "configuration"),
        ("sleep 60", "waits", "ended after 1 seconds"), ("yes", "waits", "said more than 2000 bytes"),
        ("exec /missing", "waits", "not found"),
        ("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 0.1 & done; wait; exit 0", "fails", "fork"),
    ],
)  # fmt: skip
def test_what_a_program_says_at_its_end_decides(
    house: House, written: Path, words: str, outcome: str, said: str
) -> None:
    script = written / "do"
    script.write_text(f"#!/bin/sh\n{words}\n")
    script.chmod(0o755)
    if "seconds" in said:
        house.runner._programs._settings = dataclasses.replace(house.configuration.pipes, seconds=1.0)
    says(house, f"do: |{script}\n")
    assert house.outside.posts(ANA, "do@parent.example", "x").startswith("250")
    house.settles()
    if outcome == "waits":
        [(recipient, reply)] = waiting(house)
        assert recipient == "do@parent.example" and said in reply
    else:
        assert not waiting(house)
        [(return_path, report)] = house.outside.copies_for(ANA)
        assert return_path == "" and said in report.as_string()
        assert report["From"].endswith("<MAILER-DAEMON@parent.example>"), "our own reports come from the origin"


@pytest.mark.skipif(not os.path.exists("/usr/sbin/runuser"), reason="needs runuser of util-linux")
def test_words_that_become_the_user_are_put_before_the_program_and_its_time_is_bounded(
    house: House, written: Path
) -> None:
    become = ["/usr/sbin/runuser", "-u", NOBODY, "--"]
    pipes = dataclasses.replace(house.configuration.pipes, become=become, processes=20)
    house.runner._programs._settings = pipes
    script = written / "who"
    script.write_text(f'#!/bin/sh\n(id -un; cat) >"{written}/got"; [ "$EXTENSION" = slow ] && exec sleep 60; exit 0\n')
    script.chmod(0o755)
    says(house, f"who: |{script}\n")
    assert house.outside.posts(ANA, "who@parent.example", "Fast").startswith("250")
    house.settles()
    assert not waiting(house) and (written / "got").read_text().startswith(f"{NOBODY}\nReturn-Path:")
    house.runner._programs._settings = dataclasses.replace(pipes, seconds=1.0)
    assert house.outside.posts(ANA, "who+slow@parent.example", "Slow").startswith("250")
    house.settles()
    [(_, reply)] = waiting(house)
    assert "ended after 1 seconds" in reply


def test_a_wrong_user_or_program_is_told_clearly_and_the_mail_waits_until_it_is_mended(
    house: House, written: Path
) -> None:
    script = written / "take"
    says(house, f"ticket: |{script} {written}/got\n")
    programs, pipes = house.runner._programs, house.configuration.pipes
    assert house.outside.posts(ANA, "ticket@parent.example", "x").startswith("250")
    wrong = [({"user": ""}, "[pipes] user is not set"), ({"user": "root"}, "must not be root"),
             ({"user": "nosuchuser"}, "nosuchuser"), ({}, "cannot run it: [Errno 2]")]  # fmt: skip
    for change, words in wrong:
        programs._settings = dataclasses.replace(pipes, **change)  # type: ignore[arg-type]
        house.passes(hours=1)
        [(_, reply)] = waiting(house)
        assert words in reply
    script.write_text('#!/bin/sh\ncat >"$1"\n')
    script.chmod(0o755)
    house.passes(hours=7)
    assert not waiting(house) and (written / "got").exists()


def test_operators_set_show_list_lint_and_remove_aliases(house: House) -> None:
    house.has_list(GARDEN)
    ran = house.runs("aliases", "set", "info@parent.example", "ana@far.example", "office", "--note", "The desk")
    assert ran.exit_code == 0, ran.stderr
    says(house, "office: ben@far.example\n")
    assert house.outside.posts(ANA, "info@parent.example", "x").startswith("250"), "at once"
    listed = json.loads(house.runs("aliases", "list", "--json").stdout)
    assert [(one["address"], one["note"]) for one in listed] == [
        ("office@parent.example", ""), ("info@parent.example", "The desk"),
    ]  # fmt: skip
    shown = house.runs("aliases", "show", "info@parent.example").stdout
    assert "In the end: ana@far.example, ben@far.example" in shown
    assert house.runs("aliases", "lint").exit_code == 0
    ran = house.runs("aliases", "set", GARDEN, "ana@far.example")
    assert ran.exit_code == 0 and "hides garden@lists.example" in ran.stderr
    says(
        house,
        "info: nosuch, one\none: info\nprog: |/missing\ninc: :include:/etc/passwd\nbox: /var/mail/x\n"
        "postmaster: :fail: no\n",
    )
    ran = house.runs("aliases", "lint", "--json")
    assert ran.exit_code == 1
    kinds = {one["id"] for one in json.loads(ran.stdout)}
    assert kinds == {
        "hides-list",
        "missing-target",
        "loop",
        "no-program",
        "unreachable-include",
        "syntax",
        "hidden",
        "postmaster-refused",
    }
    assert house.runs("aliases", "remove", "info@parent.example").exit_code == 0
    assert house.runs("aliases", "remove", "info@parent.example").exit_code == 3
    ran = house.runs("aliases", "set", "x@parent.example", "|/bin/cat")
    assert ran.exit_code == 1 and "alias files alone" in ran.stderr


def test_route_tells_the_whole_way_for_a_client_and_a_return_path(house: House) -> None:
    house.has_list(GARDEN)
    says(house, "info: ana@far.example\n")
    told = house.runs("route", "info@parent.example", "--from", "192.0.2.1").stdout
    assert "192.0.2.1 is a stranger" in told and "Asked our domains" in told and "Courier: expansion" in told
    refused = house.runs("route", GARDEN, "--sender", "<>").stdout
    assert "Mail with the null return path is refused at RCPT: 550 5.7.1" in refused
    ways = json.loads(house.runs("route", CLEO, "--json").stdout)["ways"]
    assert [way["kind"] for way in ways] == ["refused", "remote"]
    assert house.runs("route", GARDEN, "--from", "nonsense").exit_code == 2
