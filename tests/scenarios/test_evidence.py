"""What a stranger's mail proves of itself stands above it and in the trace; nothing is refused for want of proof."""

from __future__ import annotations

import json
import smtplib
import time
from collections.abc import Iterator

import pytest

from posthouse.authenticity.dkim_signing import sign
from posthouse.configuration import Configuration
from tests.authenticity.letters import RSA, SHORT, record
from tests.outside import Outside
from tests.people import ANA, BEN, CLEO, EVE, GARDEN, OWEN
from tests.running_house import House, running

FIELD = "Authentication-Results"


@pytest.fixture
def quick_house(sqlite: Configuration) -> Iterator[House]:
    """A house on SQLite, for what has nothing to do with the database."""
    with running(sqlite) as opened:
        yield opened


def publishes(house: House) -> None:
    """far.example says who may use its name, and that this machine may."""
    house.zone.put("far.example", "TXT", '"v=spf1 ip4:127.0.0.1 -all"')
    house.zone.put("rsa._domainkey.far.example", "TXT", record(RSA))
    house.zone.put("_dmarc.far.example", "TXT", '"v=DMARC1; p=none"')
    house.zone.put("1.0.0.127.in-addr.arpa", "PTR", "client.far.example.")
    house.zone.put("client.far.example", "A", "127.0.0.1")


def letter(
    house: House, key: object = RSA, more: bytes = b"", text: bytes = b"Ripe at last.\r\n", author: bytes = b"ana"
) -> bytes:
    """A signed posting, of Ana's by itself."""
    header = b"From: <%b@far.example>\r\nTo: garden@lists.example\r\nSubject: Tomatoes\r\n"
    header += b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <t1@far.example>\r\n" + more
    header %= author
    signed = sign(header, [text], "far.example", "rsa", key, now=house.clock())  # type: ignore[arg-type]
    return signed + header + b"\r\n" + text


def copy_of(house: House, outside: Outside, content: bytes, return_path: str = ANA) -> list[str]:
    """The Authentication-Results of Ben's copy of a posting, folded into lines of one."""
    assert outside.sends(return_path, [GARDEN], content).startswith("250 ")
    house.settles()
    [(_, copy)] = outside.copies_for(BEN)
    return [" ".join(str(value).split()) for value in copy.get_all(FIELD) or []]


def test_a_true_posting_passes_and_the_copies_and_the_trace_say_so(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    publishes(house)

    [found] = copy_of(house, outside, letter(house))

    assert found.startswith(f"{house.configuration.host}; spf=pass smtp.mailfrom={ANA}; dkim=pass header.d=far.example")
    assert "arc=none" in found and found.endswith("dmarc=pass header.from=far.example policy.dmarc=none")
    told = house.runs("trace", ANA).stdout
    assert "SPF pass for ana@far.example" in told and "DKIM pass for far.example" in told
    assert "DMARC pass for far.example" in told and "client client.far.example" in told
    [(_, copy)] = outside.copies_for(BEN)
    assert any("(client.far.example [127.0.0.1])" in value for value in copy.get_all("Received"))


def test_a_forged_posting_fails_and_still_arrives(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    publishes(house)
    house.zone.put("far.example", "TXT", '"v=spf1 ip4:192.0.2.1 -all"')
    lie = f"{FIELD}: {house.configuration.host}; spf=pass smtp.mailfrom={ANA}; dmarc=pass\r\n".encode()
    other = f"{FIELD}: mx.elsewhere.example; dkim=pass header.d=far.example\r\n".encode()

    ours, theirs = copy_of(house, outside, lie + other + letter(house, SHORT))

    assert "spf=fail" in ours and "dkim=fail" in ours and "dmarc=fail" in ours and "pass" not in ours
    assert theirs.startswith("mx.elsewhere.example;"), "what others say of themselves stays"
    told = house.runs("trace", ANA).stdout
    assert "SPF fail for ana@far.example" in told and "DMARC fail for far.example" in told


def test_a_silent_dns_is_a_temperror_within_the_deadline_and_the_mail_is_taken(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA, BEN])
    publishes(house)
    sources = house.reception._sources
    assert sources.witness is not None
    sources.witness.seconds = sources.seconds = 0.5
    for name in ("far.example", "rsa._domainkey.far.example", "_dmarc.far.example", "1.0.0.127.in-addr.arpa"):
        house.zone.behave(name, "timeout")

    began = time.monotonic()
    reply = outside.sends(ANA, [GARDEN], letter(house))
    waited = time.monotonic() - began
    for name in ("far.example", "_dmarc.far.example"):  # delivery asks too
        house.zone.behave(name)
    house.settles()

    assert reply.startswith("250 ") and 0.4 < waited < house.configuration.dns.timeout
    [(_, copy)] = outside.copies_for(BEN)
    found = " ".join(str(copy[FIELD]).split())
    assert "spf=temperror" in found and "dkim=temperror" in found and "dmarc=temperror" in found
    assert any("(unknown [127.0.0.1])" in value for value in copy.get_all("Received"))


@pytest.mark.parametrize("role", ["owner", "moderator"])
def test_who_only_claims_to_run_the_list_waits_for_who_does(house: House, outside: Outside, role: str) -> None:
    house.has_list(GARDEN, members=[BEN])
    assert house.runs("members", "add", GARDEN, CLEO, "--role", role).exit_code == 0
    author = CLEO if role == "moderator" else OWEN
    house.zone.put(author.partition("@")[2], "TXT", '"v=spf1 ip4:127.0.0.1 -all"')
    publishes(house)
    if role == "moderator":
        house.zone.put("_dmarc.near.example", "TXT", '"v=DMARC1; p=none"')
    content = f"From: {author}\r\nTo: {GARDEN}\r\nSubject: %s\r\nMessage-ID: <%s@x.example>\r\n\r\nx\r\n".encode()

    forged, true = (content % (word, word) for word in (b"Forged", b"True"))
    assert outside.sends(EVE, [GARDEN], forged).startswith("250 ")  # nothing of near or far.example speaks for it
    house.settles()
    [held] = json.loads(house.runs("held", "list", GARDEN, "--json").stdout)
    assert (held["subject"], held["rule"]) == ("Forged", "staff") and "DMARC fails" in held["reason"]
    assert outside.copies_for(BEN) == []

    assert outside.sends(author, [GARDEN], true).startswith("250 ")
    house.settles()
    [(_, copy)] = outside.copies_for(BEN)
    assert copy["Subject"] == "[Garden] True" and "dmarc=pass" in str(copy[FIELD])
    assert len(json.loads(house.runs("held", "list", GARDEN, "--json").stdout)) == 1


@pytest.mark.parametrize("size", [100_000, 400_000])
def test_a_large_posting_is_verified_too(quick_house: House, size: int) -> None:
    outside = quick_house.outside
    quick_house.has_list(GARDEN, members=[ANA, BEN])
    publishes(quick_house)
    text = (b"x" * 70 + b"\r\n") * (size // 72)

    [found] = copy_of(quick_house, outside, letter(quick_house, text=text))

    assert "dkim=pass" in found and "dmarc=pass" in found


def test_a_list_of_the_front_keeps_what_the_front_found(quick_house: House) -> None:
    outside = quick_house.outside
    quick_house.has_list(GARDEN, members=[ANA, BEN])
    found = f"{FIELD}: {quick_house.configuration.host}; dkim=pass header.d=far.example\r\n".encode()

    with smtplib.LMTP("127.0.0.1", quick_house.lmtp_port) as front:
        front.sendmail(ANA, [GARDEN], found + letter(quick_house))
    quick_house.settles()

    [(_, copy)] = outside.copies_for(BEN)
    assert copy.get_all(FIELD) == [f"{quick_house.configuration.host}; dkim=pass header.d=far.example"]
