"""Authentication-Results: what we found is said so that it can be read again, and nobody else speaks in our name."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.authenticity import results
from posthouse.authenticity.arc import Arc
from posthouse.authenticity.dkim import Dkim, Signature
from posthouse.authenticity.dmarc import Dmarc
from posthouse.authenticity.results import Method, Reported, read, without_ours, written
from posthouse.authenticity.spf import Spf
from posthouse.authenticity.tags import TagError, read_tags
from posthouse.message.headers import encode_field
from tests.authenticity.letters import HEADER

PASSED = Signature("pass", "", "far.example", "rsa", "@far.example", "rsa-sha256", 2048, mark="ab/d+f0=")
FAILED = Signature("fail", 'the "body" was changed', "list.example", "s1", "@list.example", "ed25519-sha256", mark="x")


def test_all_evidence_is_said_in_one_field() -> None:
    value = written(
        "mx.lists.example",
        [
            results.of_spf(Spf("pass", "mailfrom", "far.example", "ana@far.example")),
            *results.of_dkim(Dkim((PASSED, FAILED))),
            results.of_arc(Arc("pass", oldest_pass=0)),
            results.of_dmarc(Dmarc("pass", "far.example", "reject", "reject")),
        ],
    )
    assert value == (
        "mx.lists.example; spf=pass smtp.mailfrom=ana@far.example; "
        'dkim=pass header.d=far.example header.s=rsa header.a=rsa-sha256 header.b="ab/d+f0="; '
        'dkim=fail reason="the \\"body\\" was changed" header.d=list.example header.s=s1 header.a=ed25519-sha256 '
        "header.b=x; arc=pass header.oldest-pass=0; dmarc=pass header.from=far.example policy.dmarc=reject"
    )
    raw = encode_field("Authentication-Results", value)
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 78


def test_nothing_found_is_said_too() -> None:
    assert written("mx.lists.example", []) == "mx.lists.example; none"
    assert written("mx.lists.example", results.of_dkim(Dkim())) == "mx.lists.example; dkim=none"
    assert written("m", [results.of_spf(Spf("none", "helo", "mx", "postmaster@mx"))]) == "m; spf=none smtp.helo=mx"


@pytest.mark.parametrize(
    "sender", ["a;b dmarc=pass@far.example", '"x"; dmarc=pass@far.example', "ü@far.example", "(@far.example"]
)
def test_a_stranger_cannot_write_results_through_an_address(sender: str) -> None:
    value = written("mx", [results.of_spf(Spf("fail", "mailfrom", "far.example", sender))])
    assert value == "mx; spf=fail smtp.mailfrom=far.example"


@pytest.mark.parametrize("domain", ["far.example; dmarc=pass", 'a" dmarc=pass "', "a\r\nX: y", "a (b", "é"])
def test_a_stranger_cannot_write_results_through_a_domain(domain: str) -> None:
    value = written("mx", [results.of_dmarc(Dmarc("fail", domain, "none")), Method("dkim", "none")])
    assert value.isascii()
    assert value.isprintable()
    found = read(value)
    assert found is not None
    assert [(one.name, one.result) for one in found.methods] == [("dmarc", "fail"), ("dkim", "none")]


texts = st.text(max_size=30)
plain = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)


pairs = st.lists(st.tuples(st.sampled_from(["smtp.mailfrom", "header.d"]), plain), max_size=3).map(tuple)
names = st.sampled_from(["spf", "dkim", "x-own"])


@given(st.lists(st.builds(Method, names, st.sampled_from(["pass", "fail"]), pairs, plain), max_size=4))
def test_what_is_written_is_read_again(methods: list[Method]) -> None:
    assert read(written("mx.lists.example", methods)) == Reported("mx.lists.example", tuple(methods))


@given(texts)
def test_any_value_is_survived(value: str) -> None:
    read(value)
    read("mx; " + value)


def test_what_others_write_is_understood() -> None:
    # the forms of RFC 8601 Appendix B, in our words
    found = read(
        'example.com (its name (really)) 1; auth=pass (cram-md5) smtp.auth="ana; x"; spf=fail reason="no; way"\r\n'
        "   smtp.mailfrom = far.example (ana=1); dkim/1 = PASS header.i=@far.example; ; none"
    )
    assert found == Reported(
        "example.com",
        (
            Method("auth", "pass", (("smtp.auth", "ana; x"),)),
            Method("spf", "fail", (("smtp.mailfrom", "far.example"),), "no; way"),
            Method("dkim", "pass", (("header.i", "@far.example"),)),
        ),
    )
    assert found.methods[1].value("smtp.mailfrom") == "far.example"
    assert read("example.org; none") == Reported("example.org", ())
    assert read("  ;spf=pass") is None


@pytest.mark.parametrize(
    "value",
    ["lists.example; dmarc=pass", " LISTS.example ; dmarc=pass", "(comment) lists.example 1; spf=pass",
     '"lists.example"; dmarc=pass', "mx.lists.example; none", "\r\n lists.example;\r\n dkim=pass",
     "lists.example.; x=y",
     "", ";dmarc=pass", "(only a comment",
     '(") lists.example; dmarc=pass; x=" ) far.example; none', "(\\)) lists.example; dmarc=pass"],
)  # fmt: skip
def test_a_field_in_our_name_from_outside_is_removed(value: str) -> None:
    forged = b"Authentication-Results: " + value.encode() + b"\r\n"
    assert without_ours(forged + HEADER, ["lists.example"]) == HEADER
    half = HEADER.index(b"From:")
    assert without_ours(HEADER[:half] + forged + HEADER[half:], ["other.example", "lists.example"]) == HEADER


@pytest.mark.parametrize("value", ["far.example; dmarc=pass", "evil-lists.example; dmarc=pass", "example; none"])
def test_a_field_in_another_name_stays_byte_for_byte(value: str) -> None:
    header = b"authentication-results :\t" + value.encode() + b"\r\n" + HEADER
    assert without_ours(header, ["lists.example"]) == header


@pytest.mark.parametrize("piece", ['\\"', '"', "(", "a", "a ", "a=", ";", '"a" ', "\\", "=", "\t"])
def test_a_long_value_of_any_kind_is_read_in_linear_time(piece: str) -> None:
    start = time.process_time()
    read("mx; " + piece * (65_000 // len(piece)))
    read('mx; "' + piece * (65_000 // len(piece)))
    assert time.process_time() - start < 1


def test_what_is_remembered_of_results_is_short_whatever_strangers_write() -> None:
    long = "a" * 400_000
    with pytest.raises(TagError) as told:
        read_tags(f"{long}=1; {long}=2")
    assert len(str(told.value)) < 100
    methods = [
        *results.of_dkim(Dkim((Signature("permerror", long),))),
        results.of_arc(Arc("fail", reason=long)),
        results.of_dmarc(Dmarc("none", f"[{long}]", reason=long)),
        results.of_dmarc(Dmarc("fail", long, reason=long)),
        results.of_spf(Spf("permerror", "mailfrom", "far.example", "ana@far.example", reason=long)),
    ]
    assert all(len(repr(method)) < 1_000 for method in methods)
