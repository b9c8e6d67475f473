"""Each check alone: facts in, a reason or nothing out."""

from __future__ import annotations

import dataclasses

import pytest

from posthouse.authenticity.arc import Arc, Link
from posthouse.authenticity.dkim import Dkim, Signature
from posthouse.authenticity.dmarc import Dmarc
from posthouse.authenticity.spf import Spf
from posthouse.configuration import Policy
from posthouse.reception.evidence import Evidence
from posthouse.reception.policy import checks
from posthouse.reception.policy.checks import CHECKS, may_use
from posthouse.reception.policy.facts import (
    Excess,
    Facts,
    Listed,
    Listing,
    Rights,
    Scan,
    Standing,
    Verified,
    Visit,
    Waiting,
)
from posthouse.reception.policy.question import Rules
from posthouse.smtp.reply import Reply

GARDEN = "garden@lists.example"
POLICY = Policy(
    blocked_networks=["192.0.2.0/24"],
    inside_addresses=["10.0.0.1"],
    inside_networks=["10.0.0.0/8"],
    blocked_senders=["eve@far.example", "spam.example", ".bad.example", "grün.example"],
)
RULES = Rules(POLICY, "mx.lists.example")
ANAS = Rights(frozenset({"ana@far.example", "garden@lists.example"}), frozenset({"near.example"}))


def visit(**more: object) -> Visit:
    """A stranger with a name."""
    return Visit(**{"listener": "transfer", "address": "198.51.100.7", "local_address": "203.0.113.25",
                    "helo": "mail.far.example"} | more)  # type: ignore[arg-type]  # fmt: skip


def facts(return_path: str = "ana@far.example", client: Visit | None = None, **more: object) -> Facts:
    """A transaction of theirs."""
    return Facts(client or visit(), return_path, **more)  # type: ignore[arg-type]


def reason(name: str, found: Facts, recipient: str = GARDEN, rules: Rules = RULES) -> str | None:
    """What any of the checks with this name says."""
    said = [check.judge(found, rules, recipient) for check in CHECKS if check.name == name]
    return next((one for one in said if one is not None), None)


def evidence(spf: str = "none", dkim: tuple[Signature, ...] = (), dmarc: Dmarc | None = None) -> Evidence:
    """Evidence with these results."""
    path = Spf(spf, "mailfrom", "far.example", "ana@far.example")
    return Evidence("", Spf("none", "helo", "", ""), path, Dkim(dkim), Arc("none"), dmarc or Dmarc("none"))


def test_nothing_that_is_not_known_counts_against_anybody() -> None:
    nothing_known = facts(client=visit(helo=""))
    assert [check.name for check in CHECKS if check.judge(nothing_known, RULES, GARDEN)] == []
    unknown = facts(
        client=visit(helo_domain="unknown", listing=Listing((), ("dead.example",)), standing=Standing()),
        sender_domain="unknown",
        domain_listing=Listing(),
        spf=Spf("temperror", "mailfrom", "far.example", ""),
        callout=Verified("ana@far.example", "unknown", "busy"),
        waiting={GARDEN: Waiting(GARDEN, "exempt")},
        evidence=evidence("temperror", (Signature("temperror"),), Dmarc("temperror")),
        scans=(Scan("rspamd", "failed", words="down"), Scan("clam", "skipped")),
    )  # fmt: skip
    assert [check.name for check in CHECKS if check.judge(unknown, RULES, GARDEN)] == []


def test_blocked_networks_hold_for_ipv4_in_ipv6_too() -> None:
    assert reason("blocked", facts(client=visit(address="192.0.2.9")))
    assert reason("blocked", facts(client=visit(address="::ffff:192.0.2.9")))
    assert reason("blocked", facts()) is None


def test_inside_addresses_are_for_our_own_hosts() -> None:
    there = {"local_address": "10.0.0.1"}
    assert reason("inside_only", facts(client=visit(**there)))
    assert reason("inside_only", facts(client=visit(address="10.9.9.9", **there))) is None
    assert reason("inside_only", facts(client=visit(trusted=True, **there))) is None
    assert reason("inside_only", facts()) is None


def test_who_talks_before_the_greeting_is_an_early_talker() -> None:
    assert reason("early_talker", facts(client=visit(early=True)))


@pytest.mark.parametrize(
    "name", ["mail", "localhost", "192.0.2.1", "far.example.123", "-a", "a..example", "a b.example"]
)
def test_these_are_no_full_names(name: str) -> None:
    assert reason("helo_name", facts(client=visit(helo=name)))


@pytest.mark.parametrize(
    "name", ["mail.far.example", "far.example.", "[192.0.2.1]", "[IPv6:::1]", "grün.example", "_a.b.cc"]
)
def test_these_are_names_to_say_in_helo(name: str) -> None:
    assert reason("helo_name", facts(client=visit(helo=name))) is None


@pytest.mark.parametrize("name", ["MX.lists.example", "mx.lists.example.", "[203.0.113.25]"])
def test_our_own_name_is_ours(name: str) -> None:
    assert reason("helo_ours", facts(client=visit(helo=name)))
    ourselves = visit(helo=name, address="203.0.113.25")
    assert reason("helo_ours", facts(client=ourselves)) is None


def test_a_name_that_does_not_exist_is_said_so() -> None:
    assert reason("helo_unknown", facts(client=visit(helo_domain="missing")))
    assert reason("client_name", facts(client=visit(client_name="")))
    assert reason("client_name", facts(client=visit(client_name="mail.far.example"))) is None
    assert "far.example" in (reason("sender_domain", facts(sender_domain="missing")) or "")


def test_lists_are_added_up_and_good_ones_outweigh_bad_ones() -> None:
    bad, good = Listed("bl.example", "127.0.0.2", 1.0, "abused"), Listed("wl.example", "127.0.0.1", -2.0)
    said = reason("dns_lists", facts(client=visit(listing=Listing((bad,)))))
    assert said == "bl.example 127.0.0.2 (abused)"
    assert reason("dns_lists", facts(client=visit(listing=Listing((bad, good))))) is None
    strict = Rules(dataclasses.replace(POLICY, dns_lists_at=2.0, domain_lists_at=0.5), "mx.lists.example")
    assert reason("dns_lists", facts(client=visit(listing=Listing((bad,)))), rules=strict) is None
    assert reason("domain_lists", facts(domain_listing=Listing((bad,))), rules=strict)


def test_bad_standing_needs_to_be_seen_often() -> None:
    assert reason("standing", facts(client=visit(standing=Standing(0, 4)))) is None
    assert reason("standing", facts(client=visit(standing=Standing(0, 90, "spam.example")))) == (
        "95% of what came from this network and spam.example was bad"
    )


@pytest.mark.parametrize(
    "path",
    [
        "eve@far.example", "EVE@Far.Example", "any@spam.example", "a@x.y.bad.example", "a@GRÜN.example",
        "a@xn--grn-ioa.example",
    ],
)  # fmt: skip
def test_unwanted_senders_are_blocked(path: str) -> None:
    assert reason("blocked_sender", facts(path))


@pytest.mark.parametrize("path", ["", "ana@far.example", "a@bad.example", "a@x.spam.example", "a@notbad.example"])
def test_other_senders_are_not(path: str) -> None:
    assert reason("blocked_sender", facts(path)) is None


def test_accounts_send_as_themselves() -> None:
    ana = visit(listener="submission", role="account", account="ana@far.example", rights=ANAS)
    for path in ("", "ana@far.example", "Ana+shop@far.example", "garden@lists.example", "anybody@near.example"):
        assert reason("sender_rights", facts(path, ana)) is None, path
    for path in ("ben@far.example", "ana@far.example.org", "anab@far.example", "garden-owner@lists.example"):
        assert reason("sender_rights", facts(path, ana)) == f"{path} is no address of ana@far.example"
    assert reason("sender_rights", facts("ben@far.example")) is None, "strangers have no rights to exceed"


def test_every_author_must_be_the_accounts() -> None:
    ana = visit(listener="submission", role="account", account="ana@far.example", rights=ANAS)
    mine = facts(client=ana, header=b"From: Ana <ana@far.example>, The list <garden@lists.example>\r\n")
    assert reason("sender_rights", mine) is None
    two = facts(client=ana, header=b"From: Ana <ana@far.example>,\r\n =?utf-8?q?Ben?= <ben@far.example>\r\n")
    assert reason("sender_rights", two) == "the author ben@far.example is no address of ana@far.example"
    second = facts(client=ana, header=b"From: ana@far.example\r\nSubject: x\r\nFROM: ben@far.example\r\n")
    assert reason("sender_rights", second)


def test_rights_do_not_grow_by_a_plus() -> None:
    assert may_use(ANAS, "ana+x+y@far.example")
    assert not may_use(ANAS, "+ana@far.example") and not may_use(Rights(), "+@far.example")
    assert not may_use(ANAS, "ana") and not may_use(ANAS, "@")


def test_only_a_fail_of_spf_is_a_fail() -> None:
    for result in ("none", "neutral", "pass", "softfail", "permerror", "temperror"):
        assert reason("spf", facts(spf=Spf(result, "mailfrom", "far.example", ""))) is None
    assert (
        reason("spf", facts(spf=Spf("fail", "mailfrom", "far.example", "")))
        == "198.51.100.7 may not send for far.example"
    )


def test_no_callout_stands_in_the_way_of_reports() -> None:
    no = facts(callout=Verified("ana@far.example", "no", "550 no such user"))
    assert reason("callout", no) == "ana@far.example: 550 no such user"
    assert reason("callout", no, "garden-bounces@lists.example") is None
    assert reason("callout", no, "Garden-Bounces+ben=far.example@lists.example") is None


def test_the_host_behind_us_knows_its_recipients() -> None:
    ben = "ben@backup.example"
    [check] = [check for check in CHECKS if check.name == "recipient"]
    no = facts(verified={ben: Verified(ben, "no", "550 5.1.1 unknown")})
    assert reason("recipient", no, ben) and reason("recipient", no, "other@backup.example") is None
    assert check.reply("refuse", "x", no, ben).code == 550
    down = facts(verified={ben: Verified(ben, "unknown", "silent")})
    assert reason("recipient", down, ben)
    assert check.reply("refuse", "x", down, ben).code == 451, "what cannot be asked is never a no"
    believing = Rules(POLICY, "mx.lists.example", unverified=True)
    assert reason("recipient", down, ben, believing) is None and reason("recipient", no, ben, believing)


def test_rates_and_greylisting_only_ever_defer() -> None:
    much = facts(excess=(Excess("client 192.0.2.1", "messages", 10, 60, 7), Excess("network", "messages", 99, 60, 3)))
    assert reason("flood", much) == "more than 10 messages of client 192.0.2.1 in 60 seconds; try again in 7 seconds"
    waiting = facts(waiting={GARDEN: Waiting(GARDEN, "early", 30, "in 30 seconds")})
    assert reason("greylist", waiting) == "in 30 seconds"
    assert reason("greylist", waiting, "other@lists.example") is None
    for name in ("flood", "greylist"):
        [check] = [check for check in CHECKS if check.name == name]
        assert check.reply("refuse", "x", much, GARDEN).temporary


def test_dkim_holds_when_no_signature_is_good() -> None:
    bad, good = Signature("fail", "body hash", "far.example"), Signature("pass", "", "list.example")
    assert reason("dkim", facts(evidence=evidence(dkim=(bad,)))) == "far.example: body hash"
    for fine in ((), (bad, good), (bad, Signature("temperror"))):
        assert reason("dkim", facts(evidence=evidence(dkim=fine))) is None


def test_dmarc_holds_when_its_domain_asks_for_something() -> None:
    for policy, holds in (("reject", True), ("quarantine", True), ("none", False)):
        found = facts(evidence=evidence(dmarc=Dmarc("fail", "far.example", policy)))
        assert (reason("dmarc", found) is not None) is holds
    assert reason("dmarc", facts(evidence=evidence(dmarc=Dmarc("pass", "far.example", "reject")))) is None


def test_a_trusted_sealer_who_saw_dmarc_pass_is_believed_and_nobody_else() -> None:
    trusting = Rules(
        dataclasses.replace(POLICY, trusted_sealers=["lists.far.example", ".club.example"]), "mx.lists.example"
    )
    saw = "lists.far.example; dmarc=pass header.from=ana.example; spf=pass smtp.mailfrom=ana.example"

    def link(instance: int, domain: str, said: str = saw) -> Link:
        return Link(instance, domain, "s", domain, said)

    def judged(rules: Rules, *links: Link, result: str = "pass") -> str | None:
        found = dataclasses.replace(
            evidence(dmarc=Dmarc("fail", "ana.example", "reject")), arc=Arc(result, links=links)
        )
        return reason("dmarc", facts(evidence=found), rules=rules)

    assert judged(trusting, link(1, "lists.far.example")) is None
    assert judged(trusting, link(1, "mail.club.example")) is None
    assert judged(RULES, link(1, "lists.far.example")), "nobody is trusted unless somebody says so"
    assert judged(trusting, link(1, "lists.far.example"), result="fail")
    assert judged(trusting, link(1, "club.example")) and judged(trusting, link(1, "evil.example"))
    assert judged(trusting, link(1, "evil.example"), link(2, "lists.far.example", "x; dmarc=fail; arc=pass"))
    assert judged(trusting, link(1, "a.club.example"), link(2, "lists.far.example", "x; dmarc=fail; arc=pass")) is None
    assert judged(trusting, link(1, "lists.far.example"), link(2, "evil.example"))
    assert judged(trusting, link(1, "lists.far.example", "x; dmarc=pass header.from=other.example"))
    assert judged(trusting, link(1, "lists.far.example", "nonsense")) and judged(trusting)
    assert judged(trusting, link(1, "lists.far.example", "x; dmarc=pass")), "of whom it does not say"


def test_a_return_path_is_its_domains_where_one_of_its_own_hosts_comes() -> None:
    replayed = (Signature("pass", "", "far.example"), Signature("pass", "", "mail.far.example"))
    for spf in ("fail", "none", "temperror"):
        assert not facts(evidence=evidence(spf=spf, dkim=replayed)).is_its_domains, "anybody may bring a signature"
    assert facts(evidence=evidence(spf="pass")).is_its_domains
    assert not facts().is_its_domains, "nobody looked"


def test_the_standing_of_a_proven_domain_counts_at_the_end_of_the_content() -> None:
    assert reason("standing", facts(standing=Standing(5, 0, "spam.example", 0, 900))) == (
        "99% of what came from spam.example and this network was bad"
    )
    assert reason("standing", facts(standing=Standing(0, 0, "spam.example", 0, 3))) is None
    assert reason("standing", facts(standing=Standing(0, 900))) is None, "the network alone was judged at RCPT"


def test_findings_and_scans_hold() -> None:
    found = facts(findings=(("header", "two From"), ("virus", "EICAR"), ("spam", "GTUBE"), ("attachment", "a.exe")))
    assert [reason(name, found) for name in ("header", "virus", "spam", "attachment")] == [
        "two From", "EICAR", "GTUBE", "a.exe",
    ]  # fmt: skip
    scanned = facts(scans=(Scan("rspamd", "spam", 17.2, 12.0), Scan("clam", "virus", words="Eicar-Test")))
    assert reason("spam", scanned) == "score 17.2 of 12.0 (rspamd)"
    assert reason("virus", scanned) == "clam found Eicar-Test"
    assert reason("quarantine", facts(scans=(Scan("m", "quarantine", words="suspicious"),))) == "m: suspicious"
    assert reason("quarantine", scanned) is None


def test_a_milters_own_words_are_said() -> None:
    [check] = [check for check in CHECKS if check.name == "scanner"]
    no = facts(scans=(Scan("milter", "refuse", words="no", reply=Reply(554, "5.7.1", "Go away")),))
    assert reason("scanner", no) == "milter: no"
    assert str(check.reply("refuse", "x", no, GARDEN)) == "554 5.7.1 Go away"
    assert check.reply("defer", "x", no, GARDEN).code == 451
    later = facts(scans=(Scan("clam", "defer", words="down"),))
    assert check.reply("refuse", "x", later, GARDEN).temporary


def test_every_reply_says_4yz_or_5yz_as_its_mode() -> None:
    for check in CHECKS:
        assert check.defer.temporary and check.defer.enhanced.startswith("4."), check.name
        if check.name not in ("flood", "greylist"):
            assert check.refuse.permanent and check.refuse.enhanced.startswith("5."), check.name


def test_every_check_is_a_setting_and_every_mode_a_check() -> None:
    modes = {item.name for item in dataclasses.fields(Policy) if item.metadata["kind"] == "mode" and item.type == "str"}
    assert set(checks.NAMES) == modes
