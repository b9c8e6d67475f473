"""What the door decides reaches those who have to know: the operator who tries it, the trace, the counts."""

from __future__ import annotations

import dataclasses
import json

from posthouse import maillog
from posthouse.configuration import Configuration
from posthouse.database import fetch
from tests.running_house import House, running

GARDEN, ANA, BEN = "garden@lists.example", "ana@far.example", "ben@far.example"
LETTER = (
    b"From: Ana <ana@far.example>\r\nTo: garden@lists.example\r\nSubject: Tomatoes\r\n"
    b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <t1@far.example>\r\n\r\nRipe at last.\r\n"
)


def kept() -> list[tuple[object, ...]]:
    """How many rows there are in every table of what is remembered, told or queued."""
    tables = ("encounters_stranger", "encounters_count", "encounters_standing", "encounters_verification",
              "queue_event", "queue_message")  # fmt: skip
    return [fetch(f"SELECT count(*) FROM {table}")[0] for table in tables]


def tries(house: House, *words: str, given: str = "") -> dict[str, object]:
    """The answer of `posthouse policy try`."""
    asked = house.runs(
        "policy", "try", "--from", "127.0.0.1", "--helo", "mail.far.example", *words, "--json", given=given
    )
    assert asked.exit_code == 0, asked.output
    found: dict[str, object] = json.loads(asked.stdout)
    return found


def test_the_operator_sees_what_the_door_would_say_and_nothing_is_learnt(sqlite: Configuration) -> None:
    policy = {"greylist": "defer", "standing": "tag", "spf": "refuse", "mailing_list": {GARDEN: {"spf": "tag"}}}
    with running(sqlite, policy=policy) as house:
        house.has_list(GARDEN, members=[ANA, BEN])
        house.has_list("seeds@lists.example")
        house.zone.put("far.example", "TXT", '"v=spf1 ip4:192.0.2.1 -all"')
        before = kept()

        answer = tries(house, "--sender", ANA, "--recipient", GARDEN, "-", given=LETTER.decode())
        assert (answer["action"], answer["check"]) == ("defer", "greylist")
        assert str(answer["reply"]).startswith("451 4.7.1 ")
        [spf] = [one for one in answer["checks"] if one["check"] == "spf"]  # type: ignore[attr-defined]
        assert (spf["mode"], spf["source"]) == ("tag", f'[policy.mailing_list."{GARDEN}"]')
        assert spf["holds"] and spf["found"] == "fail for far.example"

        refused = tries(house, "--sender", ANA, "--recipient", "seeds@lists.example")
        assert (refused["action"], refused["check"]) == ("refuse", "spf")
        unknown = tries(house, "--sender", ANA, "--recipient", "nobody@lists.example")
        assert (unknown["check"], str(unknown["reply"])[:9]) == ("routing", "550 5.1.1")
        for null in ("", "<>"):
            visit = ("--from", "127.0.0.1", "--helo", "h.far.example", "--sender", null)
            told = house.runs("policy", "try", *visit, "--recipient", "<garden-bounces@lists.example>").stdout
            assert "Verdict: accept" in told and "Reply: 250 2.1.5" in told
        assert kept() == before, "trying leaves no trace"

        assert house.outside.sends(ANA, [GARDEN], LETTER).startswith("451 4.7.1"), "and the door says the same"


def test_what_is_seen_of_strangers_is_learnt_before_anybody_asks_for_it(database: Configuration) -> None:
    with running(database, policy={"standing": "off"}) as house:
        house.has_list(GARDEN, members=[ANA, BEN])
        house.zone.put("far.example", "TXT", '"v=spf1 ip4:127.0.0.1 -all"')
        before = kept()
        tries(house, "--sender", ANA, "--recipient", GARDEN, "-", given=LETTER.decode())
        tries(house, "--sender", ANA, "--recipient", "nobody@lists.example")
        assert kept() == before, "trying leaves no trace"
        assert house.outside.sends(ANA, [GARDEN], LETTER).startswith("250 ")
        assert house.outside.sends(ANA, ["nobody@lists.example"], LETTER).startswith("550 ")
        house.call(house.reception._sources.reputation.close())  # type: ignore[union-attr]
        seen = {one["whose"]: one for one in json.loads(house.runs("standing", "list", "--json").stdout)}
        assert set(seen) == {"127.0.0.0/24", "far.example"}
        assert (round(seen["far.example"]["good"]), round(seen["127.0.0.0/24"]["bad"])) == (1, 1)


def test_what_was_refused_and_what_was_let_in_is_told_with_what_was_known(sqlite: Configuration) -> None:
    with running(sqlite, policy={"mailing_list": {GARDEN: {"spf": "refuse"}}}) as house:
        house.has_list(GARDEN, members=[ANA, BEN])
        house.zone.put("far.example", "TXT", '"v=spf1 ip4:192.0.2.1 -all"')

        assert house.outside.sends(ANA, [GARDEN], LETTER).startswith("550 5.7.23 ")
        assert house.outside.sends(ANA, ["garden-owner@lists.example"], LETTER).startswith("550 5.7.23 ")
        house.settles()

        told = house.runs("trace", GARDEN).stdout
        assert "refused at rcpt by the check spf <garden@lists.example> from 127.0.0.1" in told
        assert "known: SPF fail for far.example" in told


def test_status_counts_what_checks_led_to_and_warns_of_soft_refusals(sqlite: Configuration) -> None:
    soft = dataclasses.replace(sqlite, reception=dataclasses.replace(sqlite.reception, soft_refusals=True))
    with running(soft, policy={"helo_name": "tag"}) as house:
        house.has_list(GARDEN, members=[ANA, BEN])
        house.outside.replies["ben@far.example"] = "550 5.1.1 No such person"
        assert house.outside.sends(ANA, [GARDEN], LETTER).startswith("250 ")
        house.settles()
        waiting = house.runs("queue", "list").stdout
        assert BEN in waiting and "550 5.1.1" in waiting, "what others refuse is tried again"
        house.reception._tally.tell(house.clock(), at_once=True)
        maillog.flush()
        status = json.loads(house.runs("status", "--json").stdout)
        assert status["checks"]["accept"] == 1 and "not for production" in status["warnings"][0].lower()


def test_a_relay_takes_outside_mail_for_us_and_inside_mail_for_anybody(sqlite: Configuration) -> None:
    inside = dataclasses.replace(
        sqlite, reception=dataclasses.replace(sqlite.reception, relay_networks=["127.0.0.0/8"])
    )
    with running(inside) as house:
        house.has_list(GARDEN, members=[ANA, BEN])
        assert house.outside.sends("app@near.example", [BEN], LETTER).startswith("250 ")
        house.settles()
        [(path, _)] = house.outside.copies_for(BEN)
        assert path == "app@near.example"
    with running(sqlite) as house:
        assert house.outside.sends(ANA, [GARDEN], LETTER).startswith("250 ")
        assert house.outside.sends(ANA, ["ben@elsewhere.example"], LETTER).startswith("550 5.7.1")
