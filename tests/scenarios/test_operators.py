"""An operator sees the queue, acts on it, and learns what happened and where an address leads; exit codes tell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from posthouse import configuration
from tests.outside import Outside
from tests.people import ANA, BEN, EVE, GARDEN, OWEN
from tests.running_house import BACKED_UP, House

DAN = f"dan@{BACKED_UP}"


def answer(house: House, *words: str) -> Any:
    ran = house.runs(*words, "--json")
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


def test_what_waits_is_listed_and_shown(house: House, outside: Outside) -> None:
    outside.refuses(DAN, "451 4.2.1 mailbox is busy")
    queue_id = outside.posts(ANA, DAN, "Hello").rsplit(" ", 1)[1]
    house.settles()

    [line] = answer(house, "queue", "list")["messages"]
    assert (line["name"], line["return_path"], line["first_recipient"], line["waiting"]) == (queue_id, ANA, DAN, 1)
    assert "mailbox is busy" in line["last_reply"]
    shown = answer(house, "queue", "show", queue_id)
    assert [(one["recipient"], one["attempts"], one["state"]) for one in shown["deliveries"]] == [(DAN, 1, "waiting")]
    for text in (house.runs("queue", "list").stdout, house.runs("queue", "show", queue_id).stdout):
        assert queue_id in text and DAN in text and "mailbox is busy" in text


def test_a_message_is_tried_at_once_when_the_operator_says_so(house: House, outside: Outside) -> None:
    outside.refuses(DAN, "451 4.2.1 mailbox is busy")
    queue_id = outside.posts(ANA, DAN, "Hello").rsplit(" ", 1)[1]
    house.settles()
    outside.accepts(DAN)
    house.settles()
    assert outside.copies_for(DAN) == []

    assert house.runs("queue", "retry", queue_id).stdout == "1 deliveries are due now.\n"
    house.settles()

    assert len(outside.copies_for(DAN)) == 1
    assert house.runs("queue", "list").stdout == "The queue is empty.\n"


def test_what_is_no_destination_and_what_nothing_waits_for_is_said(house: House) -> None:
    for word in ("", "no domain", "a..example"):
        refused = house.runs("queue", "suspend", word)
        assert refused.exit_code == 2 and f"{word!r} is no destination" in refused.stderr
    assert answer(house, "queue", "list")["suspended"] == []
    for word in ("zzz.example", "1zzzzzzzzz"):
        assert house.runs("queue", "retry", word).exit_code in (2, 3)
    assert house.runs("queue", "retry").stdout == "0 deliveries are due now.\n"
    assert house.runs("queue", "suspend", "BÜCHER.example").stdout.startswith("xn--bcher-kva.example is suspended.")
    assert house.runs("queue", "resume", "bücher.example").exit_code == 0


def test_a_suspended_destination_gets_nothing_until_it_is_resumed(house: House, outside: Outside) -> None:
    assert house.runs("queue", "suspend", BACKED_UP, "--reason", "they move house").exit_code == 0
    outside.posts(ANA, DAN, "One")
    outside.posts(EVE, "garden@far.example")  # refused: not ours, no relay
    house.passes(hours=3)
    assert outside.copies_for(DAN) == []
    [stopped] = answer(house, "queue", "list")["suspended"]
    assert (stopped["name"], stopped["reason"], stopped["waiting"]) == (BACKED_UP, "they move house", 1)
    assert "resumed by hand" in house.runs("queue", "list").stdout

    assert house.runs("queue", "resume", BACKED_UP).exit_code == 0
    house.settles()

    assert len(outside.copies_for(DAN)) == 1
    again = house.runs("queue", "resume", BACKED_UP)
    assert (again.exit_code, again.stderr) == (3, f"posthouse: {BACKED_UP} is not suspended\n")


def test_a_message_given_up_by_the_operator_is_reported_to_its_sender(house: House, outside: Outside) -> None:
    outside.refuses(DAN, "451 4.2.1 mailbox is busy")
    queue_id = outside.posts(ANA, DAN, "Hello").rsplit(" ", 1)[1]
    house.settles()

    assert house.runs("queue", "return", queue_id).stdout == "1 recipients given up; the sender is told.\n"
    house.settles()

    [(return_path, report)] = outside.copies_for(ANA)
    assert return_path == "" and "given up by the operator" in report.as_string()
    assert house.runs("queue", "return", queue_id).exit_code == 3


def test_the_trace_of_a_posting_tells_all_of_it_in_words(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    outside.refuses(BEN)
    queue_id = outside.posts(ANA, GARDEN, "Tomatoes", message_id="<tomatoes@far.example>").rsplit(" ", 1)[1]
    house.settles()

    lines = answer(house, "trace", queue_id)
    kinds = [line["kind"] for line in lines]
    for kind in ("accepted", "judged", "filed", "enqueued", "delivered", "failed", "returned", "bounced"):
        assert kind in kinds, kinds
    assert kinds.index("accepted") < kinds.index("filed") < kinds.index("failed") < kinds.index("bounced")
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    text = house.runs("trace", "<tomatoes@far.example>").stdout
    assert "no such mailbox" in text and GARDEN in text
    unknown = house.runs("trace", "nobody-knows-this-word")
    assert unknown.exit_code == 3 and "Nothing is known" in unknown.stdout


def test_route_tells_where_an_address_leads(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA])

    assert "the mailing list garden@lists.example" in house.runs("route", GARDEN).stdout
    assert "relay_domains" in house.runs("route", DAN).stdout
    assert "refused at RCPT: 550" in house.runs("route", "nobody@lists.example").stdout
    assert answer(house, "route", "garden-join@lists.example")["path"]


def test_every_noun_answers_in_json(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA])
    for words in (
        ["domains", "list"], ["lists", "list"], ["lists", "show", GARDEN], ["members", "list", GARDEN],
        ["members", "find", ANA], ["held", "list"], ["queue", "list"], ["route", GARDEN], ["trace", GARDEN],
        ["archive", "search", GARDEN, "tomato"], ["check-config"], ["migrate", "--check"], ["status"],
        ["lists", "set", GARDEN, "description=Ripe"], ["members", "add", GARDEN, BEN],
        ["members", "remove", GARDEN, BEN],
        ["lists", "create", "news@lists.example", "--owner", OWEN, "--style", "announce"],
        ["domains", "add", "other.example"], ["accounts", "create", "root@lists.example", "--superuser"],
        ["sign-in", "root@lists.example"],
    ):  # fmt: skip
        if words[0] == "trace":
            outside.posts(ANA, GARDEN)
            house.settles()
        ran = house.runs(*words, "--json")
        assert ran.exit_code == 0, (words, ran.output)
        json.loads(ran.stdout)


def test_exit_codes_and_sentences_say_what_was_wrong(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA])
    for words, code, sentence in (
        (["lists", "show", "nothing@lists.example"], 3, "nothing@lists.example"),
        (["lists", "show", "garden"], 3, f"there is no mailing list garden; there is {GARDEN}"),
        (["lists", "set", GARDEN, "colour=red"], 1, "'colour' is not a setting"),
        (["lists", "set", GARDEN, "subject_prefx=[x]"], 1, "did you mean subject_prefix"),
        (["lists", "resume", GARDEN], 0, f"{GARDEN} is active already"),
        (["lists", "set", GARDEN, "advertised=perhaps"], 1, "yes or no"),
        (["lists", "create", GARDEN, "--owner", OWEN], 1, GARDEN),
        (["lists", "create", "x@nowhere.example", "--owner", OWEN], 3, "nowhere.example"),
        (["members", "add", GARDEN, "not an address"], 1, "not an address"),
        (["members", "remove", GARDEN, BEN], 3, "is not a member"),
        (["held", "reject", "99", "--reason", "no"], 3, "99"),
        (["queue", "show", "0"], 2, "is not a queue id"),
        (["queue", "show", "0000000000000"], 3, "not in the queue"),
        (["sign-in", "nobody@lists.example"], 3, "nobody@lists.example"),
        (["lists", "sing"], 2, "sing"),
    ):
        ran = house.runs(*words)
        assert (ran.exit_code, sentence in ran.output, "Traceback" in ran.output) == (code, True, False), (
            words, ran.exit_code, ran.output,
        )  # fmt: skip


def test_a_file_in_another_charset_and_a_directory_without_configuration_are_named(
    house: House, tmp_path: Path
) -> None:
    house.has_list(GARDEN)
    (tmp_path / "members.txt").write_bytes("Émile <emile@far.example>\n".encode("latin-1"))
    ran = house.runs("members", "add", GARDEN, "--file", str(tmp_path / "members.txt"))
    assert (ran.exit_code, "is not UTF-8 (octet c9)" in ran.stderr) == (1, True), ran.output
    alone = {name: value for name, value in os.environ.items() if name != "POSTHOUSE_CONFIG"}
    ran_alone = subprocess.run(
        [sys.executable, "-m", "posthouse", "lists", "list"],
        env=alone, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran_alone.returncode == 4 and "name one with --config FILE" in ran_alone.stderr, ran_alone


def test_what_a_command_does_to_mail_is_not_logged_to_the_terminal(house: House) -> None:
    house.has_list(GARDEN)
    path = house.configuration.data / configuration.FILE_NAME
    house.runs("status")  # writes the configuration
    text = path.read_text(encoding="utf-8")
    assert "stderr = false" in text  # in tests; a house by itself writes what happens to standard error
    path.write_text(text.replace("stderr = false", "stderr = true"), encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "posthouse", "lists", "pause", GARDEN],
        env={**os.environ, "POSTHOUSE_CONFIG": str(path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, ""), ran
    assert "enqueued" in house.runs("trace", OWEN).stdout


def test_the_program_itself_ends_with_these_codes(house: House) -> None:
    path = house.configuration.data / configuration.FILE_NAME
    house.runs("status")  # writes the configuration
    environment = {**os.environ, "POSTHOUSE_CONFIG": str(path)}
    ran = subprocess.run(
        [sys.executable, "-m", "posthouse", "lists", "show", GARDEN],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 3 and ran.stdout == "" and ran.stderr.count("\n") == 1
