"""Which mode is in force, whoever says what, and which answer several checks give together."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from posthouse.configuration import MODES, Policy
from posthouse.configuration.policy import AT_CONNECT, LISTENERS
from posthouse.reception.policy.checks import CHECKS, NAMES
from posthouse.reception.policy.decision import Decision, Verdict, judge, tags, together
from posthouse.reception.policy.facts import Facts, Visit
from posthouse.reception.policy.question import CONNECT, Check, Rules
from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply

LIST, DOMAIN, NETWORKS = "garden@lists.example", "lists.example", ["office", "home"]
mode = st.sampled_from(MODES)
some_modes = st.dictionaries(st.sampled_from(NAMES), mode, max_size=6)


def decided(policy: Policy) -> Decision:
    return Decision(policy, Rules(policy, "mx.lists.example"))


@given(
    st.fixed_dictionaries(dict.fromkeys(NAMES, mode)),
    st.dictionaries(st.sampled_from(LISTENERS), some_modes),
    st.dictionaries(st.sampled_from(NETWORKS), some_modes),
    st.dictionaries(st.sampled_from([DOMAIN, "other.example"]), some_modes),
    st.dictionaries(st.sampled_from([LIST, "seeds@lists.example"]), some_modes),
    st.sampled_from(LISTENERS),
    st.sets(st.sampled_from(NETWORKS)),
    st.sampled_from([DOMAIN, "OTHER.example", "third.example"]),
    st.sampled_from(["", LIST, "Seeds@Lists.Example"]),
)
def test_every_level_overrides_the_ones_below(
    base: dict[str, str], listeners: Any, networks: Any, domains: Any, lists: Any, listener: str, within: set[str],
    domain: str, mailing_list: str,
) -> None:  # fmt: skip
    policy = Policy(**base, listener=listeners, network=networks, domain=domains, mailing_list=lists)  # type: ignore[arg-type]
    plan = decided(policy).stance(listener, "stranger", frozenset(within)).plan(domain, mailing_list)
    for name in NAMES:
        met = any("stranger" in check.meets for check in CHECKS if check.name == name)
        levels = [listeners.get(listener, {})]
        levels += [networks[one] for one in reversed(list(networks)) if one in within]
        met = met or any(name in level for level in levels)
        expected = base[name] if met else "off"
        for level in levels:
            expected = level.get(name, expected)
        for level in (domains.get(domain.lower(), {}), lists.get(mailing_list.lower(), {})):
            expected = level.get(name, expected) if met else expected
        assert plan.modes[name].value == expected, name


def test_the_source_of_a_mode_is_the_table_that_says_so() -> None:
    policy = Policy(
        spf="tag", listener={"transfer": {"dmarc": "refuse"}}, network={"office": {"spf": "off"}},
        domain={"a.example": {"spf": "defer"}}, mailing_list={"g@a.example": {"spf": "refuse"}},
    )  # fmt: skip
    stance = decided(policy).stance("transfer", "stranger", frozenset({"office"}))
    assert stance.base.modes["dmarc"].source == "[policy.listener.transfer]"
    assert stance.base.modes["spf"].source == "[policy.network.office]"
    assert stance.plan("A.example").modes["spf"].source == '[policy.domain."a.example"]'
    assert stance.plan("a.example", "g@a.example").modes["spf"].source == '[policy.mailing_list."g@a.example"]'
    assert stance.plan("b.example") is stance.base, "what has no table of its own costs nothing"


def test_trusted_clients_meet_what_is_for_them_and_what_their_own_way_in_says() -> None:
    policy = Policy(
        spam="refuse", spf="refuse", listener={"submission": {"spam": "defer"}}, domain={DOMAIN: {"spf": "refuse"}}
    )
    ana = decided(policy).stance("submission", "account").plan(DOMAIN)
    assert ana.modes["spam"].value == "defer" and ana.modes["sender_rights"].value == "refuse"
    assert ana.modes["spf"].value == "off", "a recipient's domain does not make a stranger of an account"
    relay = decided(policy).stance("transfer", "relay").plan(DOMAIN)
    assert [name for name, one in relay.modes.items() if one.value != "off"] == ["blocked"]


def test_what_can_never_hold_is_not_asked() -> None:
    stance = decided(Policy()).stance("transfer", "stranger")
    assert stance.base.connect == (), "no network is blocked, no address is inside"
    asked = {check.name for check, _ in stance.base.rcpt}
    assert "blocked_sender" not in asked and "helo_ours" in asked
    off = Policy(**dict.fromkeys(NAMES, "off"))  # type: ignore[arg-type]
    plan = decided(off).stance("transfer", "stranger").base
    assert (plan.connect, plan.rcpt, plan.content, plan.tags, plan.needs) == ((), (), (), (), frozenset())


def holding(name: str) -> Check:
    """A check that always holds."""
    return Check(name, "rcpt", lambda *_: "it is so", Reply(550, "5.7.1", "No"), Reply(451, "4.7.1", "Later"))


def test_a_refusal_goes_before_a_deferral_and_the_first_of_each_counts() -> None:
    facts, rules = Facts(Visit("transfer", "192.0.2.1")), Rules(Policy(), "mx.lists.example")
    one, two, three = holding("spf"), holding("flood"), holding("spam")
    assert judge(((one, "defer"), (two, "refuse"), (three, "refuse")), facts, rules) == Verdict(
        "refuse", "flood", Reply(550, "5.7.1", "No: it is so"), "it is so"
    )
    later = judge(((one, "defer"), (two, "defer")), facts, rules)
    assert (later.action, later.check, str(later.reply)) == ("defer", "spf", "451 4.7.1 Later: it is so")
    assert judge((), facts, rules).action == "accept"


def test_remarks_are_made_once_for_all_recipients() -> None:
    stance = decided(Policy(helo_name="tag", helo_ours="off", spf="off")).stance("transfer", "stranger")
    facts = Facts(Visit("transfer", "192.0.2.1", helo="mail"))
    assert tags(stance.base, facts, stance.rules, [LIST, "ben@lists.example"]) == (
        ("helo_name", "mail is neither a full domain name nor an address literal"),
    )


def test_one_reply_for_several_recipients_loses_nothing() -> None:
    no = Verdict("refuse", "spam", Reply(550, "5.7.1", "No"), "x")
    later = Verdict("defer", "greylist", catalogue.GREYLISTED, "y")
    yes = Verdict()
    assert together([no, no]) is no and together([yes, yes]).action == "accept" and together([no]) is no
    assert together([yes, later]) is later and together([no, later]) is later
    mixed = together([yes, no])
    assert mixed.action == "defer" and mixed.reply is not None and mixed.reply.temporary


def test_a_decision_remembers_what_it_worked_out() -> None:
    decision = decided(Policy())
    assert decision.stance("transfer", "stranger") is decision.stance("transfer", "stranger", frozenset())
    policy = dataclasses.replace(Policy(), domain={DOMAIN: {"spf": "refuse"}})
    stance = decided(policy).stance("transfer", "stranger")
    assert stance.plan(DOMAIN) is stance.plan("LISTS.example")


def test_the_file_knows_which_checks_are_decided_before_there_are_recipients() -> None:
    assert set(AT_CONNECT) == {check.name for check in CHECKS if check.stage == CONNECT}
