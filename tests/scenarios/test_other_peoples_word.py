"""What DNS lists, the senders' hosts and the host behind us say decides who gets in; what is broken refuses nobody."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import smtplib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from posthouse import maillog
from posthouse.configuration import Configuration, ConfigurationError, DnsList, describe, load
from posthouse.queue.trace import trace
from tests.people import ANA, BEN, GARDEN
from tests.running_house import BACKED_UP, House, running

EVES_ADDRESS = "127.0.0.66"  # a client that lists may know; 127.0.0.1 and 127.0.0.2 are their test points
NOBODY, KNOWN = "nobody@far.example", f"ana@{BACKED_UP}"
LETTER = b"From: ana@far.example\r\nTo: garden@lists.example\r\nSubject: Hello\r\n\r\nHello.\r\n"
OFF = {"sender_domain": "off", "spf": "off", "dmarc": "off", "header": "off"}


def opened(chosen: Configuration, policy: dict[str, str], **sections: Any) -> Any:
    return running(dataclasses.replace(chosen, **sections), policy=OFF | policy)


def says(house: House, return_path: str, recipient: str, client: str = "127.0.0.1") -> str:
    """The reply to RCPT."""
    with smtplib.SMTP("127.0.0.1", house.port, timeout=30, source_address=(client, 0)) as server:
        server.ehlo("client.far.example")
        server.mail(return_path)
        code, reply = server.rcpt(recipient)
    return f"{code} {reply.decode()}"


@pytest.fixture
def listed(sqlite: Configuration) -> Iterator[House]:
    """A house that refuses whom two lists, or one that weighs more, know."""
    lists = {"one": DnsList(zone="one.bl.example", weight=0.6), "two": DnsList(zone="two.bl.example", weight=0.6),
             "good": DnsList(zone="good.example", good=True, weight=5.0)}  # fmt: skip
    with opened(sqlite, {"dns_lists": "refuse"}, dns_lists=lists) as house:
        for one in lists.values():
            house.zone.put(f"2.0.0.127.{one.zone}", "A", "127.0.0.2")
        house.zone.put("66.0.0.127.one.bl.example", "A", "127.0.0.4")
        house.has_list(GARDEN, members=[ANA, BEN])
        yield house


def test_a_client_that_lists_know_together_is_refused_with_their_names_in_the_reply_and_the_maillog(
    listed: House,
) -> None:
    assert says(listed, ANA, GARDEN, EVES_ADDRESS).startswith("250"), "one alone does not weigh enough"
    listed.zone.put("66.0.0.127.two.bl.example", "A", "127.0.0.2")
    listed.zone.put("66.0.0.127.two.bl.example", "TXT", '"seen in a trap"')
    listed.passes(minutes=10)
    reply = says(listed, ANA, GARDEN, EVES_ADDRESS)
    assert reply.startswith("55") and "two.bl.example" in reply and "seen in a trap" in reply
    assert says(listed, ANA, GARDEN).startswith("250"), "somebody else"
    maillog.flush()
    assert "one.bl.example" in "\n".join(line.sentence for line in trace(GARDEN, 100))
    listed.zone.put("66.0.0.127.good.example", "A", "127.0.0.2")
    listed.passes(minutes=10)
    assert says(listed, ANA, GARDEN, EVES_ADDRESS).startswith("250"), "a list of good ones speaks for it"


def test_the_backup_is_no_weaker_entrance_than_the_house_itself(listed: House) -> None:
    for zone in ("one.bl.example", "two.bl.example"):
        listed.zone.put(f"66.0.0.127.{zone}", "A", "127.0.0.2")
    assert says(listed, ANA, KNOWN, EVES_ADDRESS).startswith("55")
    assert says(listed, ANA, KNOWN).startswith("250")


def test_our_own_servers_send_anywhere_and_outsiders_only_to_us_and_to_those_we_relay_for(
    sqlite: Configuration,
) -> None:
    inside, elsewhere = "127.0.0.77", "dan@elsewhere.example"
    reception = dataclasses.replace(sqlite.reception, relay_networks=[f"{inside}/32"])
    with opened(
        sqlite, {"dns_lists": "refuse", "callout": "refuse", "recipient": "refuse"}, reception=reception
    ) as house:
        house.outside.refuses(NOBODY)
        house.has_list(GARDEN, members=[ANA])
        assert says(house, NOBODY, elsewhere, inside).startswith("250"), "C7: its senders are not verified"
        assert says(house, ANA, f"nobody@{BACKED_UP}", inside).startswith("250")
        assert house.outside.connections == 0, "C4: nobody is asked about what our own servers hand in"
        assert "may not relay" in says(house, ANA, elsewhere)
        assert says(house, ANA, GARDEN).startswith("250") and says(house, ANA, KNOWN).startswith("250")


def test_a_list_that_lists_everybody_refuses_nobody_and_the_operator_is_told(listed: House) -> None:
    for zone in ("one.bl.example", "two.bl.example"):
        for last in (1, 66):
            listed.zone.put(f"{last}.0.0.127.{zone}", "A", "127.0.0.2")
    assert says(listed, ANA, GARDEN, EVES_ADDRESS).startswith("250")
    assert says(listed, ANA, GARDEN, EVES_ADDRESS).startswith("250")
    maillog.flush()
    told = [line.sentence for line in trace("two.bl.example", 100) if line.sentence.startswith("DNS list")]
    assert len(told) == 1 and "lists everybody" in told[0]
    result = listed.runs("dns-lists", "check", "--json")
    states = {one["name"]: one["alive"] for one in json.loads(result.stdout) if one["part"] == "IPv4"}
    assert result.exit_code == 4 and states == {"one": False, "two": False, "good": True}
    asked = json.loads(listed.runs("dns-lists", "ask", "127.0.0.66", "--json").stdout)
    assert asked["hits"] == [] and set(asked["silent"]) == {"one.bl.example", "two.bl.example"}
    nonsense = listed.runs("dns-lists", "ask", "300.1.1.1")
    assert nonsense.exit_code == 2 and "neither an address nor a domain" in nonsense.stderr


def test_when_no_list_answers_mail_goes_on(listed: House) -> None:
    for zone in ("one.bl.example", "two.bl.example", "good.example"):
        for question in (f"66.0.0.127.{zone}", f"1.0.0.127.{zone}", f"2.0.0.127.{zone}"):
            listed.zone.behave(question, "servfail")
    assert says(listed, ANA, GARDEN, EVES_ADDRESS).startswith("250")
    assert listed.runs("dns-lists", "check").exit_code == 4


def test_a_return_path_that_its_host_does_not_know_is_refused_but_reports_get_through(sqlite: Configuration) -> None:
    with opened(sqlite, {"callout": "refuse"}) as house:
        house.has_list(GARDEN, members=[ANA])
        house.outside.refuses(NOBODY)
        reply = says(house, NOBODY, GARDEN)
        assert reply.startswith("550 5.1.") and "no such mailbox" in reply
        assert says(house, ANA, GARDEN).startswith("250")
        assert says(house, NOBODY, "garden-bounces@lists.example").startswith("250")
        assert says(house, NOBODY, "garden-bounces+ana=far.example@lists.example").startswith("250")
        assert says(house, "", "garden-bounces@lists.example").startswith("250")
        asked = house.outside.connections
        assert says(house, NOBODY, GARDEN).startswith("550") and house.outside.connections == asked, "remembered"
        assert not house.outside.taken, "a question is no mail"
        maillog.flush()
        told = "\n".join(line.sentence for line in trace(NOBODY, 100))
        assert "callout" in told and "no such mailbox" in told
        house.outside.refuses(BEN, "451 4.7.1 greylisted")
        assert says(house, BEN, GARDEN).startswith("250")
        house.outside.stop()
        assert says(house, "new@far.example", GARDEN).startswith("250"), "its host is down"


def test_an_author_that_does_not_exist_is_refused_at_the_end_and_never_in_the_way_of_reports(
    sqlite: Configuration,
) -> None:
    with opened(sqlite, {"author_callout": "refuse"}) as house:
        house.has_list(GARDEN, members=[ANA])
        house.outside.refuses(NOBODY)
        assert house.outside.posts(NOBODY, GARDEN, return_path=ANA).startswith("550 5.7.1 An author's host")
        assert house.outside.posts(ANA, GARDEN).startswith("250")
        assert house.outside.posts(NOBODY, "garden-bounces@lists.example", return_path=ANA).startswith("250")
        assert house.outside.posts(NOBODY, "garden-bounces@lists.example", return_path="").startswith("250")
        house.outside.stop()
        assert house.outside.posts("new@far.example", GARDEN).startswith("250")


def test_no_callout_is_made_unless_it_is_asked_for(sqlite: Configuration) -> None:
    with opened(sqlite, {}) as house:
        house.has_list(GARDEN, members=[ANA])
        assert says(house, NOBODY, GARDEN).startswith("250") and house.outside.connections == 0


def test_a_backup_refuses_whom_the_primary_does_not_know_and_keeps_mail_while_the_primary_is_away(
    sqlite: Configuration,
) -> None:
    unknown = f"nobody@{BACKED_UP}"
    with opened(sqlite, {"recipient": "refuse"}) as house:
        house.outside.refuses(unknown)
        assert says(house, BEN, unknown).startswith("550 5.1.1") and says(house, BEN, KNOWN).startswith("250")
        house.outside.accepts(unknown)
        house.passes(minutes=1)
        assert says(house, BEN, unknown).startswith("250"), "made on the primary a minute ago"
        house.outside.refuses(unknown)
        house.outside.stop()
        house.passes(hours=3)
        assert house.outside.sends(BEN, [KNOWN], LETTER).startswith("250"), "it said yes to that one before"
        assert says(house, BEN, f"stranger@{BACKED_UP}").startswith("451")
        house.settles()
        house.outside.start()
        house.passes(hours=1)
        house.passes(hours=5)
        assert len(house.outside.copies_for(KNOWN)) == 1


def test_a_domain_whose_best_mx_is_this_host_is_ours_and_a_stranger_gains_nothing_by_that(
    sqlite: Configuration,
) -> None:
    reception = dataclasses.replace(sqlite.reception, primary_mx_here=True)
    with opened(sqlite, {}, reception=reception) as house:
        house.zone.put("eves.example", "MX", "5 mx.lists.example.")
        house.zone.put("trick.example", "MX", "5 loop.trick.example.")
        house.zone.put("loop.trick.example", "A", "127.0.0.1")
        house.zone.behave("broken.example", "servfail")
        reply = says(house, BEN, "eve@eves.example")
        assert reply.startswith("550 5.1.1"), "ours, and nobody there"
        assert "may not relay" in says(house, BEN, "eve@trick.example"), "loopback says nothing"
        assert "may not relay" in says(house, BEN, "eve@far.example")
        assert says(house, BEN, "eve@broken.example").startswith("451")


def test_our_own_mail_for_such_a_domain_never_leaves_by_the_dns(sqlite: Configuration) -> None:
    inside = "127.0.0.77"
    reception = dataclasses.replace(sqlite.reception, primary_mx_here=True, relay_networks=[f"{inside}/32"])
    with opened(sqlite, {}, reception=reception) as house:
        house.zone.put("mx.lists.example", "A", "127.0.0.1")  # where the far host listens: it would be dialled
        house.zone.put("eves.example", "MX", "5 mx.lists.example.")
        with smtplib.SMTP("127.0.0.1", house.port, timeout=30, source_address=(inside, 0)) as server:
            server.sendmail(ANA, ["eve@eves.example"], LETTER)
        house.settles()
        assert not house.outside.copies_for("eve@eves.example")
        [(return_path, report)] = house.outside.copies_for(ANA)
        assert return_path == "" and "No such address here" in report.as_string()


def test_what_was_seen_and_said_is_listed_and_forgotten_by_commands(database: Configuration) -> None:
    with opened(database, {"callout": "refuse", "standing": "tag"}) as house:
        house.has_list(GARDEN, members=[ANA])
        house.outside.refuses(NOBODY)
        assert says(house, NOBODY, GARDEN).startswith("550") and says(house, ANA, GARDEN).startswith("250")
        for number in range(3):
            assert says(house, ANA, f"nobody{number}@lists.example").startswith("550")
        house.call(house.reception._sources.callouts.flush())  # type: ignore[union-attr]
        house.call(house.reception._sources.reputation.close())  # type: ignore[attr-defined, union-attr]
        listed = json.loads(house.runs("verified", "list", "NOBODY@", "--json").stdout)
        assert [(one["kind"], one["address"], one["answer"]) for one in listed] == [("sender", NOBODY, "no")]
        assert ANA in house.runs("verified", "list").stdout
        house.outside.accepts(NOBODY)
        assert house.runs("verified", "forget", NOBODY).exit_code == 0
        assert house.runs("verified", "forget", NOBODY).exit_code == 1
        house.call(_told(house))
        assert says(house, NOBODY, GARDEN).startswith("250"), "the running house was told"
        [seen] = json.loads(house.runs("standing", "list", "--json").stdout)
        assert seen["whose"] == "127.0.0.0/24" and round(seen["bad"]) == 3
        assert house.runs("standing", "forget", "127.0.0.1").exit_code == 0
        assert house.runs("standing", "forget", "127.0.0.1").exit_code == 1
        assert json.loads(house.runs("standing", "list", "--json").stdout) == []


async def _told(house: House) -> None:
    """Wait until the running house has heard that something was forgotten."""
    heard = asyncio.Event()
    house.reception._sources.forgetting.append(heard.set)
    if house.reception._sources.callouts._heard._known:  # type: ignore[attr-defined, union-attr]
        await asyncio.wait_for(heard.wait(), 60)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[dns_lists.zen]\nkind = "address"', "dns_lists.zen.zone must be the domain that is asked"),
        ('[dns_lists.zen]\nzone = "a b"', "dns_lists.zen.zone must be"),
        ('[dns_lists.zen]\nzone = "bl.example"\nkind = "network"', "dns_lists.zen.kind must be one of address, domain"),
        ('[dns_lists.zen]\nzone = "bl.example"\ncodes = { "127.0.0.999" = 1 }', "must be like 127.0.0.2"),
        ('[dns_lists.zen]\nzone = "bl.example"\nweight = -1.0', "dns_lists.zen.weight must not be negative"),
        ('[verification]\nwhen_down = "bounce"', "verification.when_down must be one of known, accept, defer"),
        ('[policy]\ncallout = "maybe"', "policy.callout must be one of"),
    ],
)
def test_settings_that_cannot_be_obeyed_are_named(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "posthouse.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=re.escape(complaint)):
        load(path)


def test_weights_by_code_are_read_from_the_file_and_written_back(tmp_path: Path) -> None:
    path = tmp_path / "posthouse.toml"
    lists = {"zen": DnsList(zone="zen.bl.example", codes={"127.0.0.2-9": 1.0, "&8": 0.5}, good=True)}
    path.write_text(describe(Configuration(dns_lists=lists)), encoding="utf-8")
    assert load(path).dns_lists == lists
