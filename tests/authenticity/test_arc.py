"""ARC: a chain that we continue holds; a chain that was touched does not; silence of the DNS is temporary."""

from __future__ import annotations

import asyncio
import base64

import dkim as oracle
import dns.name
import pytest

from posthouse.authenticity.arc import Arc, validate
from posthouse.authenticity.arc_sealing import seal
from posthouse.authenticity.canonical import relaxed_field
from posthouse.authenticity.dkim_signing import body_hash, field_of, signature_over
from posthouse.dns.lookups import Answer, Lookups
from tests.authenticity.letters import BODY, ED25519, HEADER, NOW, RSA, run, zone

RESULTS = "mx.lists.example; spf=pass smtp.mailfrom=far.example; dmarc=pass header.from=far.example"


def judged(header: bytes, body: bytes = BODY, lookups: Lookups | None = None, seconds: float = 5) -> Arc:
    return run(lambda deadline: validate(header, [body], lookups or zone(), deadline=deadline), seconds)


def sealed(header: bytes, validation: str, body: bytes = BODY, selector: str = "rsa") -> bytes:
    key = RSA if selector == "rsa" else ED25519
    return seal(header, body_hash([body]), RESULTS, validation, "far.example", selector, key, now=NOW) + header


def chain(count: int) -> bytes:
    header = HEADER
    for instance in range(count):
        header = sealed(header, "pass" if instance else "none", selector="ed" if instance % 2 else "rsa")
    return header


def test_a_message_without_a_chain_has_none() -> None:
    assert judged(HEADER) == Arc("none")


@pytest.mark.parametrize("count", [1, 2, 3, 50])
def test_a_chain_that_we_continue_holds(count: int) -> None:
    found = judged(chain(count))
    assert (found.result, found.reason, found.oldest_pass) == ("pass", "", 0)
    assert [link.instance for link in found.links] == list(range(1, count + 1))
    assert {link.domain for link in found.links} == {"far.example"}
    assert "dmarc=pass header.from=far.example" in " ".join(found.links[0].results.split())


def test_nobody_seals_above_the_fiftieth_instance_or_above_a_failed_chain() -> None:
    assert sealed(chain(50), "pass") == chain(50)
    failed = sealed(chain(2), "fail")
    assert failed.startswith(b"ARC-Seal:")
    assert b"cv=fail" in failed
    assert judged(failed).result == "fail"
    assert sealed(failed, "fail") == failed


def test_more_than_fifty_sets_are_not_even_verified() -> None:
    lookups = zone()
    own = sealed(HEADER, "none")[: -len(HEADER)]
    assert judged(own * 51 + HEADER, lookups=lookups).result == "fail"
    assert not lookups.asked


def test_a_list_that_changes_the_body_and_seals_it_leaves_a_chain_that_holds() -> None:
    changed = BODY + b"-- \r\ngarden mailing list\r\n"
    header = sealed(sealed(HEADER, "none"), "pass", changed)
    found = judged(header, changed)
    assert (found.result, found.oldest_pass) == ("pass", 2)
    assert judged(header, BODY).result == "fail"


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"dmarc=pass", b"dmarc=fail"), (b"Tomatoes", b"Potatoes"), (b"cv=pass", b"cv=none"), (b"t=17", b"t=16"),
     (b"ARC-Seal", b"X-Seal"), (b"i=1;", b"i=3;")],
)  # fmt: skip
def test_a_chain_that_was_touched_fails(old: bytes, new: bytes) -> None:
    header = chain(2)
    assert old in header
    found = judged(header.replace(old, new, 1))
    assert found.result == "fail"
    assert found.reason


@pytest.mark.parametrize("behaviour", ["servfail", "timeout"])
def test_a_dns_that_fails_is_a_temperror(behaviour: str) -> None:
    lookups = zone()
    lookups.behave("rsa._domainkey.far.example", behaviour)
    found = judged(chain(2), lookups=lookups)
    assert found.result == "temperror"
    assert len(found.links) == 2


class Silent(Lookups):
    """Nameservers that never answer."""

    async def ask(self, name: dns.name.Name, kind: str) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError


def test_a_dns_that_is_silent_is_a_temperror_at_the_deadline() -> None:
    assert judged(chain(2), lookups=Silent(), seconds=0.02).result == "temperror"


def test_no_line_that_we_write_is_longer_than_it_should_be() -> None:
    for line in chain(2).split(b"\r\n"):
        assert len(line) <= 100


def test_a_seal_does_not_choose_what_it_covers() -> None:
    found = judged(chain(1).replace(b"cv=none;", b"cv=none; h=from;"))
    assert (found.result, "h=" in found.reason) == ("fail", True)


def field(name: str, tags: dict[str, str], before: bytes) -> bytes:
    """A field of a set, truly signed over what stands before it."""
    octets = before + relaxed_field(field_of(name, [*tags.items(), ("b", "")]))[:-2]
    return field_of(name, [*tags.items(), ("b", signature_over(octets, ED25519))])


@pytest.mark.parametrize(("more", "result"), [(b"", "pass"), (b"an advertisement\r\n", "fail")])
def test_a_chain_whose_newest_signature_leaves_the_body_open_fails(more: bytes, result: str) -> None:
    short = b"Ripe at last.\r\n"
    found = b"ARC-Authentication-Results: i=1; mx.lists.example; none\r\n"
    who = {"i": "1", "a": "ed25519-sha256", "d": "far.example", "s": "ed"}
    hashed = {"h": "from", "l": str(len(short)), "bh": base64.b64encode(body_hash([short])).decode()}
    message = field("ARC-Message-Signature", who | hashed, relaxed_field(b"From: Ana <ana@far.example>\r\n"))
    sealing = field("ARC-Seal", who | {"cv": "none"}, relaxed_field(found) + relaxed_field(message))
    assert judged(sealing + message + found + HEADER, short + more).result == result


def test_a_chain_that_we_wrote_holds_in_another_program() -> None:
    def txt(name: bytes, timeout: int = 5) -> bytes:
        found = zone().find(dns.name.from_text(name.decode()), "TXT")
        return b"".join(found[0].strings) if found else b""

    header = sealed(sealed(HEADER, "none"), "pass")
    assert oracle.arc_verify(header + b"\r\n" + BODY, dnsfunc=txt)[0] == b"pass"
    touched = header.replace(b"dmarc=pass", b"dmarc=fail", 1)
    assert oracle.arc_verify(touched + b"\r\n" + BODY, dnsfunc=txt)[0] == b"fail"
