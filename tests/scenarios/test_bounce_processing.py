"""Copies that come back, day after day: counted, probed, delivery stopped, warned, removed; and what never counts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from posthouse.configuration import Configuration
from posthouse.lists import bounces, creation, roster
from tests.outside import Outside
from tests.people import ANA, BEN, EVE, GARDEN, OWEN
from tests.running_house import Browser, House, running

BENS_RETURN_PATH = "garden-bounces+ben=far.example@lists.example"
STOPPED, REMOVED, WARNED = "Delivery to a member", "was removed after bounces", "has stopped sending you mail"
PROBE = "Does mail from Garden reach you?"
DEAD, FULL, LATE = "550 5.1.1 no such mailbox", "552 5.2.2 mailbox is full", "451 4.2.1 mailbox is busy"


def report(action: str = "failed", status: str = "5.1.1", diagnostic: str = "550 5.1.1 no such mailbox") -> bytes:
    """A delivery report about Ben as any far host can write it (RFC 3464)."""
    lines = [
        "From: Mail Delivery System <MAILER-DAEMON@mx.far.example>", f"To: {BENS_RETURN_PATH}",
        "Subject: Delivery Status Notification", "Message-ID: <report-1@mx.far.example>", "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"', "",
        "--b", "Content-Type: text/plain", "", "Something about your message.", "",
        "--b", "Content-Type: message/delivery-status", "", "Reporting-MTA: dns; mx.far.example", "",
        f"Final-Recipient: rfc822; {BEN}", f"Action: {action}", f"Status: {status}",
        f"Diagnostic-Code: smtp; {diagnostic}", "", "--b--", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


@pytest.fixture
def quick_house(sqlite: Configuration) -> Iterator[House]:
    """A house on SQLite alone, for the long tables."""
    with running(sqlite) as opened:
        yield opened


class Story:
    """Days in the life of a list with Ben on it."""

    def __init__(self, house: House, outside: Outside, settings: dict[str, str]) -> None:
        self.house, self.outside = house, outside
        house.clock.at += 12 * 3600 - house.clock.at % 86400 + 86400  # noon: a day's steps are of one day (UTC)
        house.has_list(GARDEN, members=[ANA, BEN], **{"bounce_score_threshold": "3", **settings})

    def goes(self, steps: Sequence[str]) -> None:
        """Play steps: `post`, `day 7`, `refuse <reply>`, `accept`, `report <action> <status>`."""
        for step in steps:
            word, _, rest = step.partition(" ")
            if word == "post":
                self.outside.posts(ANA, GARDEN)
                self.house.settles()
            elif word == "day":
                self.house.clock.passes(days=float(rest or 1))
                bounces.periodic(int(self.house.clock() * 1000))
                self.house.settles()
            elif word == "refuse":
                self.outside.refuses(BEN, rest)
            elif word == "accept":
                self.outside.accepts(BEN)
            elif word == "report":
                action, status = rest.split()
                self.outside.sends("", [BENS_RETURN_PATH], report(action, status))
                self.house.settles()
            else:
                raise AssertionError(step)

    @property
    def ben(self) -> Any:
        """How Ben stands: delivery status and score, None when he is off the list."""
        member = next((one for one in roster.members(GARDEN) if one.address == BEN), None)
        stands = {one.address: one.score for one in bounces.standings(GARDEN)}
        return (member.delivery_status, stands.get(BEN, 0.0)) if member else None

    def subjects(self, address: str) -> list[str]:
        """The subjects of what came for an address, postings left out, in order."""
        return [
            str(one["Subject"]) for _, one in self.outside.copies_for(address) if "Hello" not in str(one["Subject"])
        ]


A_DAY = ["post", "day"]
THRICE = A_DAY * 3
SCENARIOS = {
    "a dead address on three days: probed, and stopped": (
        {}, ["refuse " + DEAD, *A_DAY, *A_DAY, "post"], ("by_bounces", 0.0),
    ),
    "a threshold of one": ({"bounce_score_threshold": "1"}, ["refuse " + DEAD, "post"], ("by_bounces", 0.0)),
    "a threshold of five": ({"bounce_score_threshold": "5"}, ["refuse " + DEAD, *THRICE], ("enabled", 3.0)),
    "two days are not enough": ({}, ["refuse " + DEAD, *A_DAY, *A_DAY], ("enabled", 2.0)),
    "ten posts on one day count once": ({}, ["refuse " + DEAD, *["post"] * 10], ("enabled", 1.0)),
    "a full mailbox counts half": ({}, ["refuse " + FULL, *THRICE], ("enabled", 1.5)),
    "first full, then dead, on one day: one": (
        {}, ["refuse " + FULL, "post", "refuse " + DEAD, "post"], ("enabled", 1.0),
    ),
    "a copy that is late counts nothing": ({}, ["refuse " + LATE, *THRICE], ("enabled", 0.0)),
    "a copy given up after days of trying counts half": ({}, ["refuse " + LATE, "post", "day 6"], ("enabled", 0.5)),
    "after a week of quiet the score begins anew": (
        {}, ["refuse " + DEAD, *A_DAY, *A_DAY, "day 8", "post"], ("enabled", 1.0),
    ),
    "a longer memory keeps it": (
        {"bounce_info_stale_after": "30d"},
        ["refuse " + DEAD, *A_DAY, "post", "day 9", "accept", "report failed 5.1.1"],
        ("enabled", 0.0),  # the third: probed, and the probe arrives
    ),
    "delay warnings count nothing": ({}, ["report delayed 4.4.7", "day"] * 5, ("enabled", 0.0)),
    "forged reports only bring a probe, which arrives": ({}, ["report failed 5.1.1", "day"] * 3, ("enabled", 0.0)),
    "forged reports without probes asked for: probed all the same": (
        {"verp_probes": "no"}, ["report failed 5.1.1", "day"] * 3, ("enabled", 0.0),
    ),
    "one forged among our own: probed": (
        {"verp_probes": "no"}, ["refuse " + DEAD, *A_DAY, *A_DAY, "accept", "report failed 5.1.1"], ("enabled", 0.0),
    ),
    "a hundred forged reports on one day count once": ({}, ["report failed 5.1.1"] * 20, ("enabled", 1.0)),
    "process_bounces off: nothing counts": ({"process_bounces": "no"}, ["refuse " + DEAD, *THRICE], ("enabled", 0.0)),
    "no warnings wanted: removed at once": (
        {"bounce_you_are_disabled_warnings": "0"}, ["refuse " + DEAD, *THRICE], None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_days_of_bounces_come_to(name: str, quick_house: House) -> None:
    house, outside = quick_house, quick_house.outside
    settings, steps, stands = SCENARIOS[name]
    story = Story(house, outside, settings)
    story.goes(steps)
    assert story.ben == stands
    assert all(one.delivery_status == "enabled" for one in roster.members(GARDEN) if one.address == ANA)


def test_a_dead_address_is_probed_stopped_warned_and_removed(house: House, outside: Outside) -> None:
    story = Story(house, outside, {})
    story.goes(["refuse " + DEAD, *A_DAY, *A_DAY, "post"])
    assert story.ben == ("by_bounces", 0.0)
    [told] = [one for _, one in outside.copies_for(OWEN)]
    assert STOPPED in told["Subject"]
    assert "no such mailbox" in told.get_body(("plain",)).get_content()
    [attached] = list(told.iter_attachments())
    assert attached.get_content_type() == "message/rfc822"

    story.goes(["accept", "day 0", "day 6"])
    assert story.subjects(BEN) == []  # no warning in the pass that stops, nor before the interval is over
    story.goes(["day 1.01"])
    [subject] = story.subjects(BEN)
    assert WARNED in subject
    story.goes(["post", "day 7", "day 7"])
    assert [WARNED in one for one in story.subjects(BEN)] == [True] * 3
    assert story.ben == ("by_bounces", 0.0) and len(outside.copies_for(BEN)) == 3  # the posting did not go to him
    story.goes(["day 7"])
    assert story.ben is None
    assert [REMOVED in one for one in story.subjects(OWEN)] == [False, True]
    assert len(story.subjects(BEN)) == 3


def test_who_reads_the_warning_begins_again_with_one_button(house: House, outside: Outside, browser: Browser) -> None:
    story = Story(house, outside, {})
    story.goes(["refuse " + DEAD, *THRICE, "accept", "day 7"])
    warning = outside.copies_for(BEN)[-1][1].get_body(("plain",)).get_content()
    found = re.search(r"https://lists.example(/bounces/restart/\S+/)", warning)
    assert found and "no such mailbox" in warning
    path = found[1]

    page = browser.visits(path)
    assert page.status == 200 and "came back" in page.text and "no such mailbox" in page.text
    assert story.ben == ("by_bounces", 0.0)  # looking does nothing: mail scanners do
    assert browser.posts(path, page.form("")).status == 200

    assert story.ben == ("enabled", 0.0)
    story.goes(["post"])
    assert outside.copies_for(BEN)[-1][1]["Subject"].endswith("Hello")
    assert browser.visits(path).status == 410  # that stop is over
    forged = path[:20] + ("A" if path[20] != "A" else "B") + path[21:]
    assert browser.visits(forged).status == 410


def test_a_probe_that_arrives_begins_a_new_score_and_one_that_bounces_later_stops(
    house: House, outside: Outside
) -> None:
    story = Story(house, outside, {})
    story.goes(["report failed 5.1.1", "day", "report failed 5.1.1", "day", "report failed 5.1.1"])
    assert story.subjects(BEN) == [PROBE]
    [(return_path, _)] = outside.copies_for(BEN)
    assert re.fullmatch(r"garden-bounces\+[a-z2-7]{26}@lists\.example", return_path)
    assert story.ben == ("enabled", 0.0)

    outside.sends("", [f"garden-bounces+{'a' * 26}@lists.example"], report())  # nobody guesses it
    outside.sends("", [return_path], report("delayed", "4.4.7"))
    house.settles()
    assert story.ben[0] == "enabled"
    outside.sends("", [return_path], report())  # the far host took it, and gave it back
    house.settles()
    assert story.ben == ("by_bounces", 0.0)


def test_a_probe_is_waited_for_ten_days(quick_house: House) -> None:
    house, outside = quick_house, quick_house.outside
    story = Story(house, outside, {"bounce_info_stale_after": "0"})
    story.goes(["report failed 5.1.1"])
    assert story.ben == ("enabled", 1.0)
    creation.set_settings(GARDEN, {"bounce_score_threshold": "1"})
    story.goes(["day", "report failed 5.1.1"])
    [(return_path, _)] = outside.copies_for(BEN)
    story.goes(["day 10.1"])
    outside.sends("", [return_path], report())
    house.settles()
    assert story.ben is not None and story.ben[0] == "enabled"


@pytest.mark.parametrize(
    ("to", "reaches"), [("administrators", [OWEN]), ("site_owner", [EVE]), ("discard", [])],
)  # fmt: skip
def test_what_cannot_be_read_goes_to_whom_the_list_says(to: str, reaches: list[str], quick_house: House) -> None:
    house, outside = quick_house, quick_house.outside
    from posthouse.directory import accounts

    accounts.create(EVE, superuser=True)
    story = Story(house, outside, {"forward_unrecognized_bounces_to": to})
    words = b"From: Odd <odd@far.example>\r\nSubject: Something happened\r\n\r\nYour letter was eaten.\r\n"
    outside.sends("", [BENS_RETURN_PATH], words)
    house.settles()
    for address in (OWEN, EVE):
        got = outside.copies_for(address)
        assert len(got) == (address in reaches)
        for _, one in got:
            assert "cannot read" in one["Subject"] and "Your letter was eaten." in one.as_string() and BEN in str(one)
    assert story.ben == ("enabled", 0.0)
    outside.posts(BEN, BENS_RETURN_PATH, "Out of office", return_path="")
    house.settles()
    assert len(outside.taken) == len(reaches)  # a vacation note goes to nobody


@pytest.mark.parametrize(
    ("setting", "on", "subject"),
    [
        ("bounce_notify_owner_on_disable", True, STOPPED), ("bounce_notify_owner_on_disable", False, STOPPED),
        ("bounce_notify_owner_on_removal", True, REMOVED), ("bounce_notify_owner_on_removal", False, REMOVED),
        ("bounce_notify_owner_on_bounce_increment", True, "came back"),
        ("bounce_notify_owner_on_bounce_increment", False, "came back"),
    ],
)  # fmt: skip
def test_owners_are_told_what_they_want_to_be_told(setting: str, on: bool, subject: str, quick_house: House) -> None:
    house, outside = quick_house, quick_house.outside
    more = {"bounce_you_are_disabled_warnings": "1", "bounce_you_are_disabled_warnings_interval": "1d"}
    story = Story(house, outside, {setting: "yes" if on else "no", **more})
    story.goes(["refuse " + DEAD, *THRICE, "day", "day"])
    assert story.ben is None
    assert sum(subject in one for one in story.subjects(OWEN)) == (3 if "increment" in setting else 1) * on


@pytest.mark.parametrize(("interval", "days"), [("1d", 1), ("14d", 14)])
@pytest.mark.parametrize("warnings", [1, 2])
def test_so_many_warnings_so_far_apart(interval: str, days: int, warnings: int, quick_house: House) -> None:
    house, outside = quick_house, quick_house.outside
    chosen = {"bounce_you_are_disabled_warnings": str(warnings), "bounce_you_are_disabled_warnings_interval": interval}
    story = Story(house, outside, chosen)
    story.goes(["refuse " + DEAD, *A_DAY, *A_DAY, "post", "accept"])
    for number in range(warnings):
        story.goes([f"day {days}"])
        assert len(story.subjects(BEN)) == number + 1
        assert story.ben is not None
    story.goes([f"day {days}"])
    assert story.ben is None and len(story.subjects(BEN)) == warnings


def test_an_operator_sees_who_bounces_and_begins_again(quick_house: House) -> None:
    house, outside = quick_house, quick_house.outside
    story = Story(house, outside, {})
    assert "No copy of" in house.runs("members", "bounces", GARDEN).stdout
    story.goes(["refuse " + DEAD, *A_DAY])
    assert "1 of 3" in house.runs("members", "bounces", GARDEN).stdout
    story.goes([*A_DAY, "post"])
    shown = house.runs("members", "bounces", GARDEN).stdout
    assert BEN in shown and "stopped" in shown and "no such mailbox" in shown and ANA not in shown
    [one] = json.loads(house.runs("members", "bounces", GARDEN, "--json").stdout)
    assert one["warnings"] == 0 and one["removed_at"]
    assert "gets mail again" in house.runs("members", "restart", GARDEN, BEN).stdout
    assert "was not stopped" in house.runs("members", "restart", GARDEN, BEN).stdout
    assert story.ben == ("enabled", 0.0)
    assert "probe" in house.runs("trace", BEN).stdout


@pytest.mark.parametrize("probes", ["yes", "no"])
def test_without_probes_what_our_own_delivery_saw_stops_at_once(probes: str, quick_house: House) -> None:
    story = Story(quick_house, quick_house.outside, {"verp_probes": probes})
    story.goes(["refuse " + DEAD, *A_DAY, *A_DAY, "post"])
    assert story.ben == ("by_bounces", 0.0)
    assert ("sent a probe" in quick_house.runs("trace", BEN).stdout) == (probes == "yes")


def test_a_report_that_somebody_made_our_own_delivery_write_is_not_believed_more(quick_house: House) -> None:
    # Eve sends from Ben's VERP address to what cannot be delivered: our report about it goes to that address.
    story = Story(quick_house, quick_house.outside, {"verp_probes": "no", "bounce_score_threshold": "1"})
    story.outside.refuses("nobody@backup.example")
    letter = b"From: eve@elsewhere.example\r\nSubject: Hello\r\n\r\nHello.\r\n"
    assert story.outside.sends(BENS_RETURN_PATH, ["nobody@backup.example"], letter).startswith("250")
    quick_house.settles()
    assert story.subjects(BEN) == [PROBE]
    assert story.ben == ("enabled", 0.0)


def test_who_has_stopped_delivery_themselves_is_not_counted(quick_house: House) -> None:
    story = Story(quick_house, quick_house.outside, {"bounce_score_threshold": "1"})
    roster.set_preferences(GARDEN, BEN, delivery_status="by_user")
    story.goes(["report failed 5.1.1"])
    assert story.ben == ("by_user", 0.0)
    assert not bounces.restart(GARDEN, BEN, "test", 0)
    assert story.ben == ("by_user", 0.0)


def test_a_list_that_moved_in_with_stopped_members_gives_them_their_warnings(quick_house: House) -> None:
    story = Story(quick_house, quick_house.outside, {})
    roster.set_preferences(GARDEN, BEN, delivery_status="by_bounces")
    story.goes(["day"])
    assert story.subjects(BEN) == []
    story.goes(["day 7"])
    assert [WARNED in one for one in story.subjects(BEN)] == [True]


def test_two_processes_that_look_at_the_same_time_warn_once(quick_house: House) -> None:
    from posthouse.lists.bounces import stopping

    story = Story(quick_house, quick_house.outside, {})
    story.goes(["refuse " + DEAD, *A_DAY, *A_DAY, "post", "accept"])
    quick_house.clock.passes(days=7)
    now = int(quick_house.clock() * 1000)
    [due] = stopping._due(stopping.moment(now))
    assert stopping.periodic(now) == 1 and stopping.periodic(now) == 0
    assert stopping._go_on(due, stopping.moment(now), now) == 0  # another had found it due as well
    quick_house.settles()
    assert len(story.subjects(BEN)) == 1
