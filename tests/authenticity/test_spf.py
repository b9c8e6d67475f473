"""SPF beyond the suite: identities, limits, time, hostile records."""

from __future__ import annotations

import asyncio

import dns.name
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthouse.authenticity.spf import Spf, check_helo, check_return_path
from posthouse.dns.lookups import Answer, Lookups
from posthouse.dns.zone import FixedZone
from tests.authenticity.letters import quoted, run

RESULTS = {"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"}


def zone(policy: str, **more: str) -> FixedZone:
    records = {"far.example": {"TXT": [quoted(policy)], "A": ["192.0.2.1"], "MX": ["10 mx.far.example."]},
               "mx.far.example": {"A": ["192.0.2.25"], "AAAA": ["2001:db8::25"]}}  # fmt: skip
    for name, text in more.items():
        records[name.replace("_", ".")] = {"TXT": [quoted(text)]}
    return FixedZone(records)


def checked(lookups: Lookups, client: str = "192.0.2.25", sender: str = "ana@far.example", seconds: float = 5) -> Spf:
    return run(
        lambda deadline: check_return_path(client, sender, "mx.far.example", lookups, deadline=deadline), seconds
    )


def test_a_client_that_the_domain_names_passes_and_the_reason_is_told() -> None:
    found = checked(zone("v=spf1 mx -all"))
    assert (found.result, found.identity, found.domain, found.mechanism) == ("pass", "mailfrom", "far.example", "mx")
    assert found.lookups == 1
    assert checked(zone("v=spf1 mx -all"), client="2001:db8::25").result == "pass"
    assert checked(zone("v=spf1 mx -all"), client="192.0.2.99").mechanism == "-all"


def test_a_null_return_path_is_checked_as_postmaster_of_the_helo_name() -> None:
    lookups = zone("v=spf1 -all", mx_far_example="v=spf1 exists:%{l}.%{o} -all")
    lookups.put("postmaster.mx.far.example", "A", "127.0.0.2")
    found = checked(lookups, sender="")
    assert (found.result, found.domain, found.sender) == ("pass", "mx.far.example", "postmaster@mx.far.example")


def test_the_helo_identity_is_checked_by_itself() -> None:
    lookups = zone("v=spf1 -all", mx_far_example="v=spf1 ip4:192.0.2.25 -all")
    found = run(lambda deadline: check_helo("192.0.2.25", "mx.far.example", lookups, deadline=deadline))
    assert (found.result, found.identity) == ("pass", "helo")
    for helo in ("localhost", "[192.0.2.25]", "", "a..b", "x" * 300):
        found = run(lambda deadline, helo=helo: check_helo("192.0.2.25", helo, lookups, deadline=deadline))
        assert found.result == "none"


@pytest.mark.parametrize("behaviour", ["servfail", "timeout", "refused"])
def test_a_dns_that_fails_is_a_temperror(behaviour: str) -> None:
    lookups = zone("v=spf1 a mx -all")
    lookups.behave("far.example", behaviour)
    assert checked(lookups).result == "temperror"
    lookups.behave("far.example", "")
    lookups.behave("mx.far.example", behaviour)
    assert checked(lookups).result == "temperror"


class Silent(Lookups):
    """Nameservers that never answer."""

    async def ask(self, name: dns.name.Name, kind: str) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError


def test_a_dns_that_is_silent_is_a_temperror_at_the_deadline() -> None:
    assert checked(Silent(), seconds=0.02).result == "temperror"


class SilentExplanation(Lookups):
    """Answers a policy, never its explanation."""

    def __init__(self) -> None:
        self.zone = zone("v=spf1 -all exp=why.far.example")

    async def ask(self, name: dns.name.Name, kind: str) -> Answer:
        if name.labels[0] == b"why":
            await asyncio.Event().wait()
        return await self.zone.ask(name, kind)


def test_a_late_explanation_does_not_change_the_result() -> None:
    found = checked(SilentExplanation(), seconds=0.05)
    assert (found.result, found.mechanism, found.explanation) == ("fail", "-all", "")


def test_an_address_that_is_none_or_has_a_scope_is_survived() -> None:
    assert checked(zone("v=spf1 +all"), client="unix:/run/x").result == "none"
    assert checked(zone("v=spf1 ip6:fe80::/10 -all"), client="fe80::1%eth0").result == "pass"


def test_an_explanation_is_one_bounded_line() -> None:
    lookups = zone("v=spf1 -all exp=why.far.example", why_far_example="no " * 500)
    assert len(checked(lookups).explanation) <= 400
    lookups.put("why.far.example", "TXT", '"one\\010250 two"')
    assert checked(lookups).explanation == ""


def test_a_policy_cannot_make_us_ask_without_end() -> None:
    lookups = FixedZone()
    for number in range(30):
        more = " ".join(f"include:p{number + 1}.example" for _ in range(20))
        lookups.put(f"p{number}.example", "TXT", quoted(f"v=spf1 {more} mx ptr -all"))
    found = checked(lookups, sender="eve@p0.example")
    assert found.result == "permerror"
    assert sum(lookups.asked.values()) <= 11


def test_an_international_domain_is_asked_by_its_a_label() -> None:
    lookups = zone("v=spf1 -all", **{"xn--mller-kva_example": "v=spf1 exists:%{o}.%{d} -all"})
    lookups.put("xn--mller-kva.example.xn--mller-kva.example", "A", "127.0.0.2")
    found = checked(lookups, sender="ana@müller.example")
    assert (found.result, found.domains) == ("pass", ("xn--mller-kva.example",))
    assert checked(lookups).domains == ()


def test_a_null_mx_names_no_host_to_ask_for() -> None:
    lookups = zone("v=spf1 mx -all")
    lookups.put("far.example", "MX", "0 .")
    assert checked(lookups).result == "fail"
    assert {kind for _, kind in lookups.asked} == {"TXT", "MX"}


def test_a_pass_of_an_included_policy_is_not_undone_by_what_follows() -> None:
    lookups = zone("v=spf1 include:_spf.far.example -all")
    lookups.put("_spf.far.example", "TXT", '"v=spf1 ip4:192.0.2.0/24 -all"')
    found = checked(lookups)
    assert (found.result, found.mechanism) == ("pass", "include:_spf.far.example")
    assert checked(lookups, client="198.51.100.1").mechanism == "-all"


terms = st.lists(
    st.sampled_from(
        ["a", "mx", "ptr", "-all", "~all", "ip4:192.0.2.0/24", "ip6:::/0", "include:far.example", "exists:%{ir}.%{d}",
         "a:%{l1r-}.far.example", "redirect=far.example", "exp=%{p}.far.example", "mx:x/33", "moo", "=", "%", "a:%{z}",
         "ip4:1.2.3", "a/0//0", "x=%{c}", "?a:%{h}", "+mx//128"]
    ), max_size=12,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(terms, st.text(max_size=20), st.sampled_from(["192.0.2.25", "2001:db8::25", "::ffff:192.0.2.25"]))
def test_any_policy_and_any_sender_end_in_one_of_the_seven_results(policy: list[str], local: str, client: str) -> None:
    lookups = zone("v=spf1 " + " ".join(policy))
    found = checked(lookups, client, f"{local}@far.example")
    assert found.result in RESULTS
    assert sum(lookups.asked.values()) <= 150
