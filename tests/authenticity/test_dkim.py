"""DKIM: what we sign verifies, what was changed does not, and every result has its reason."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import Iterator

import dkim as oracle
import dns.name
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from posthouse.authenticity.canonical import relaxed_field
from posthouse.authenticity.dkim import Dkim, Signature, verify
from posthouse.authenticity.dkim_signing import PrivateKey, body_hash, field_of, sign, sign_hashed, signature_over
from posthouse.dns.lookups import Answer, Lookups
from posthouse.dns.zone import FixedZone
from tests.authenticity.letters import BODY, ED25519, HEADER, NOW, RSA, SHORT, quoted, record, run, zone

KEYS: dict[str, PrivateKey] = {"rsa": RSA, "short": SHORT, "ed": ED25519}


def evidence(content: bytes, lookups: Lookups | None = None, now: float = NOW) -> Dkim:
    header, _, body = content.partition(b"\r\n\r\n")
    return run(lambda deadline: verify(header + b"\r\n", [body], lookups or zone(), now=now, deadline=deadline))


def only(content: bytes, lookups: Lookups | None = None, now: float = NOW) -> Signature:
    [signature] = evidence(content, lookups, now).signatures
    return signature


def letter(selector: str = "rsa", header: bytes = HEADER, body: bytes = BODY) -> bytes:
    signed = sign(header, [body], "far.example", selector, KEYS[selector], now=NOW)
    return signed + header + b"\r\n" + body


def signed_by_hand(changes: dict[str, str | None], selector: str = "rsa", body: bytes = BODY) -> bytes:
    """A letter whose signature is true, with tags as the caller wishes."""
    usual: dict[str, str | None] = {
        "v": "1", "a": "rsa-sha256", "c": "relaxed/relaxed", "d": "far.example", "s": selector, "h": "from:subject",
        "bh": base64.b64encode(body_hash([body])).decode(),
    }  # fmt: skip
    tags = [(name, value) for name, value in (usual | changes).items() if value is not None]
    fields = {b"from": b"From: Ana <ana@far.example>\r\n", b"subject": b"Subject: Tomatoes,\r\n  ripe at   last\r\n"}
    names = dict(tags).get("h", "").lower().split(":")
    octets = b"".join(relaxed_field(fields[name.encode()]) for name in names if name.encode() in fields)
    octets += relaxed_field(field_of("DKIM-Signature", [*tags, ("b", "")]))[:-2]
    return field_of("DKIM-Signature", [*tags, ("b", signature_over(octets, KEYS[selector]))]) + HEADER + b"\r\n" + body


@pytest.mark.parametrize("selector", KEYS)
def test_what_we_sign_verifies(selector: str) -> None:
    signature = only(letter(selector))
    assert (signature.result, signature.domain, signature.selector) == ("pass", "far.example", selector)
    assert signature.bits == {"rsa": 2048, "short": 1024, "ed": 256}[selector]
    assert signature.signed_at == NOW
    assert evidence(letter(selector)).domains == ("far.example",)


@pytest.mark.parametrize("canonicalisation", [b"simple/simple", b"simple/relaxed", b"relaxed/simple", b"relaxed"])
def test_what_another_program_signs_verifies_here(canonicalisation: bytes) -> None:
    pem = RSA.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    forms = tuple((canonicalisation + b"/simple").split(b"/")[:2])
    content = HEADER + b"\r\n" + BODY
    signed = oracle.sign(content, b"rsa", b"far.example", pem, canonicalize=forms, include_headers=None)
    assert only(signed + content, now=4_000_000_000).result == "pass"
    assert only(signed + content.replace(b"ripe", b"Ripe"), now=4_000_000_000).result == "fail"


@pytest.mark.parametrize("selector", ["rsa", "short"])
def test_what_we_sign_verifies_in_another_program(selector: str) -> None:
    def txt(name: bytes, timeout: int = 5) -> bytes:
        found = zone().find(dns.name.from_text(name.decode()), "TXT")
        return b"".join(found[0].strings) if found else b""

    assert oracle.verify(letter(selector), dnsfunc=txt)


RFC8463 = b"""\
DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
""".replace(b"\n", b"\r\n")
FOOTBALL = {
    "brisbane._domainkey.football.example.com": {
        "TXT": [quoted("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")]
    },
    "test._domainkey.football.example.com": {
        "TXT": [
            quoted(
                "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2"
                "jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2Ee"
                "C3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
            )
        ]
    },
}


def test_the_two_signatures_printed_in_rfc_8463_verify() -> None:
    found = evidence(RFC8463, FixedZone(FOOTBALL))
    assert [(one.algorithm, one.result) for one in found.signatures] == [
        ("ed25519-sha256", "pass"),
        ("rsa-sha256", "pass"),
    ]


def places_that_count() -> Iterator[int]:
    """The octets of the letter whose change must break the signature: everything signed except blanks."""
    content = letter("ed")
    end = content.index(b"Received:")
    spare = end - len(b"x==\r\n")  # this letter of base64 has bits that mean nothing
    for place, octet in enumerate(content):
        unsigned = end <= place < content.index(b"From: Ana") or chr(octet).isspace() or place == spare
        if not unsigned and place >= len(b"DKIM-Signature:"):
            yield place


PLACES = list(places_that_count())


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(PLACES), st.integers(1, 255))
def test_any_changed_octet_that_counts_is_noticed(place: int, change: int) -> None:
    content = bytearray(letter("ed"))
    before = content[place]
    content[place] ^= change
    if bytes([before]).lower() == bytes([content[place]]).lower() and content[:place].count(b"\n") >= 7:
        return  # names of fields ignore case
    found = evidence(bytes(content))
    assert "pass" not in [signature.result for signature in found.signatures]


headers = st.lists(
    st.tuples(
        st.sampled_from(["Subject", "To", "Cc", "X-Thing", "List-Id", "subject"]),
        st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=60),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(headers, st.binary(max_size=300), st.randoms(use_true_random=False))
def test_any_message_signed_verifies_however_it_is_cut(
    fields: list[tuple[str, str]], body: bytes, chance: random.Random
) -> None:
    raw = b"".join(f"{name}: x{value}\r\n".encode() for name, value in fields)
    header = b"From: ana@far.example\r\n" + raw
    signed = sign(header, [body], "far.example", "ed", ED25519, now=NOW)
    cut = chance.randint(0, len(body))

    def ask(deadline: float):  # type: ignore[no-untyped-def]
        return verify(signed + header, [body[:cut], body[cut:]], zone(), now=NOW, deadline=deadline)

    assert run(ask).result == "pass"


def test_blanks_and_folds_may_change_on_the_way() -> None:
    content = (
        letter().replace(b"Subject: Tomatoes,\r\n  ripe", b"SUBJECT:Tomatoes, ripe").replace(b"last\r\n", b"last \r\n")
    )
    assert only(content).result == "pass"


def test_nobody_may_add_a_second_field_that_was_signed() -> None:
    for field in (b"From: eve@evil.example\r\n", b"Subject: other\r\n", b"Reply-To: eve@evil.example\r\n"):
        assert only(field + letter()).result in ("fail", "policy")
        assert only(letter().replace(b"\r\n\r\n", b"\r\n" + field + b"\r\n", 1)).result in ("fail", "policy")


def test_a_second_from_field_that_no_signature_covers_is_no_pass() -> None:
    by_hand = signed_by_hand({})
    assert only(by_hand).result == "pass"
    assert only(b"From: eve@evil.example\r\n" + by_hand).result == "policy"


def test_a_body_that_l_leaves_open_is_no_pass() -> None:
    short = "Ripe at last.\r\n"
    hashed = base64.b64encode(body_hash([short.encode()])).decode()
    signature = only(signed_by_hand({"l": str(len(short)), "bh": hashed}))
    assert (signature.result, signature.unsigned_octets) == ("policy", len("\r\nCome and see.\r\n"))
    covered = only(signed_by_hand({"l": str(len(short)), "bh": hashed}, body=short.encode()))
    assert (covered.result, covered.unsigned_octets) == ("pass", 0)
    assert only(signed_by_hand({"l": "1000"})).result == "permerror"


@pytest.mark.parametrize(
    ("changes", "result", "words"),
    [
        ({"a": "rsa-sha1"}, "permerror", "rsa-sha1"),
        ({"a": "gost"}, "neutral", "unknown"),
        ({"v": "2"}, "neutral", "version"),
        ({"v": None}, "neutral", "version"),
        ({"c": "nice/simple"}, "neutral", "c="),
        ({"h": "subject"}, "permerror", "From"),
        ({"h": None}, "neutral", "h="),
        ({"d": "far..example"}, "neutral", "d="),
        ({"s": "no such"}, "neutral", "s="),
        ({"i": "ana@other.example"}, "permerror", "i="),
        ({"i": "ana@notfar.example"}, "permerror", "i="),
        ({"q": "ldap"}, "neutral", "fetched"),
        ({"x": str(NOW - 1)}, "permerror", "expired"),
        ({"t": str(NOW), "x": str(NOW)}, "neutral", "ends"),
        ({"t": str(NOW + 86_400)}, "permerror", "future"),
        ({"t": "soon"}, "neutral", "t="),
        ({"bh": "!!"}, "neutral", "bh="),
        ({"bh": base64.b64encode(bytes(32)).decode()}, "fail", "body"),
    ],
)  # fmt: skip
def test_a_signature_that_breaks_a_rule_says_which(changes: dict[str, str | None], result: str, words: str) -> None:
    found = only(signed_by_hand(changes))
    assert found.result == result
    assert words in found.reason


@pytest.mark.parametrize(
    "changes",
    [{"i": "ana@news.far.example"}, {"i": "=41na@far.example"}, {"x": str(NOW + 60), "t": str(NOW)}, {"q": "dns/txt"},
     {"z": "From:x|To:y"}, {"unknown": "tag"}, {"t": str(NOW + 60)}],
)  # fmt: skip
def test_a_signature_may_say_more(changes: dict[str, str | None]) -> None:
    assert only(signed_by_hand(changes)).result == "pass"


def published(text: str) -> FixedZone:
    return FixedZone({"rsa._domainkey.far.example": {"TXT": [quoted(text)]}})


PUBLIC = base64.b64encode(
    RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()  # fmt: skip
PKCS1 = base64.b64encode(RSA.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)).decode()
TINY = (  # 512 bits
    "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAIHd93eLxhPeHAuBx4KkQpcjfqbxUPUYp6+cjhrY7lCYf1Kx7d1j6MXP4xkYlR7CHSqJ1aGdV7x5nRvO"
    "q0gYxOMCAwEAAQ=="
)


@pytest.mark.parametrize(
    ("text", "result", "words"),
    [
        (f"p={PUBLIC}", "pass", ""),
        (f"v=DKIM1; p={PKCS1}", "pass", ""),
        (f"v=DKIM1; t=y; n=trying; p={PUBLIC}", "pass", ""),
        (f"v=DKIM1; t=s; p={PUBLIC}", "pass", ""),
        (f"v=DKIM1; h=sha1:sha256; s=email; p={PUBLIC}", "pass", ""),
        ("v=DKIM1; p=", "permerror", "revoked"),
        ("v=DKIM1; k=rsa", "permerror", "no key"),
        (f"v=DKIM2; p={PUBLIC}", "permerror", "version"),
        (f"p={PUBLIC}; v=DKIM1", "permerror", "version"),
        (f"v=DKIM1; h=sha1; p={PUBLIC}", "permerror", "sha256"),
        (f"v=DKIM1; s=tlsrpt; p={PUBLIC}", "permerror", "mail"),
        (f"v=DKIM1; k=dsa; p={PUBLIC}", "permerror", "kind"),
        (f"v=DKIM1; k=ed25519; p={PUBLIC}", "permerror", "Ed25519"),
        (record(ED25519)[1:-1], "permerror", "ed25519"),
        ("v=DKIM1; p=QUJD", "permerror", "cannot be read"),
        (f"v=DKIM1; p={TINY}", "permerror", "bits"),
        ("v=spf1 -all", "permerror", "no usable key"),
    ],
)
def test_a_key_record_is_obeyed(text: str, result: str, words: str) -> None:
    found = only(letter(), published(text))
    assert (found.result, words in found.reason) == (result, True), found
    assert found.testing == ("t=y" in text)


def test_a_key_that_speaks_for_no_subdomains_is_obeyed() -> None:
    content = signed_by_hand({"i": "ana@news.far.example"})
    assert only(content, published(f"v=DKIM1; t=y:s; p={PUBLIC}")).result == "permerror"


def test_keys_beyond_4096_bits_cost_us_nothing() -> None:
    large = rsa.RSAPublicNumbers(65_537, (1 << 8191) | 1).public_key()
    text = base64.b64encode(large.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    assert "8192 bits" in only(letter(), published(f"v=DKIM1; p={text}")).reason


def test_a_key_with_a_huge_exponent_costs_us_nothing() -> None:
    numbers = RSA.public_key().public_numbers()
    slow = rsa.RSAPublicNumbers(numbers.n - 2, numbers.n).public_key()
    text = base64.b64encode(slow.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    assert "exponent" in only(letter(), published(f"v=DKIM1; p={text}")).reason


def test_two_keys_at_one_selector_are_both_tried() -> None:
    both = FixedZone({"rsa._domainkey.far.example": {"TXT": [record(ED25519), record(SHORT), record(RSA)]}})
    assert only(letter(), both).result == "pass"


@pytest.mark.parametrize("behaviour", ["servfail", "timeout", "refused"])
def test_a_dns_that_fails_is_a_temperror(behaviour: str) -> None:
    broken = zone()
    broken.behave("rsa._domainkey.far.example", behaviour)
    assert only(letter(), broken).result == "temperror"


def test_a_missing_key_is_a_permerror() -> None:
    assert only(letter(), FixedZone()).result == "permerror"


class Silent(Lookups):
    """Nameservers that never answer."""

    async def ask(self, name: dns.name.Name, kind: str) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError


def test_a_dns_that_is_silent_is_a_temperror_at_the_deadline() -> None:
    content = letter() + b""
    header, _, body = (letter("ed")[: letter("ed").index(b"Received")] + content).partition(b"\r\n\r\n")

    def ask(deadline: float):  # type: ignore[no-untyped-def]
        return verify(header + b"\r\n", [body], Silent(), now=NOW, deadline=deadline)

    found = run(ask, seconds=0.02)
    assert [signature.result for signature in found.signatures] == ["temperror", "temperror"]


def test_eight_signatures_are_verified_and_the_others_counted() -> None:
    content = letter()
    own = content[: content.index(b"Received")]
    found = evidence(own * 19 + content)
    assert len(found.signatures) == 8
    assert found.ignored == 12
    assert found.result == "pass"


def test_a_message_without_a_signature_has_none() -> None:
    assert evidence(HEADER + b"\r\n" + BODY) == Dkim()
    assert Dkim().result == "none"


@pytest.mark.parametrize("value", [b"", b" =;=;", b" \xff=\0;;", b" v=1; v=1"])
def test_nonsense_is_neutral_and_never_an_error(value: bytes) -> None:
    assert only(b"DKIM-Signature:" + value + b"\r\n" + HEADER + b"\r\n" + BODY).result == "neutral"


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_any_octets_as_a_signature_are_survived(octets: bytes) -> None:
    header = b"DKIM-Signature: " + octets.replace(b"\n", b"\r\n ") + b"\r\n" + HEADER
    assert evidence(header + b"\r\n" + BODY).result in ("none", "neutral", "permerror")


def test_an_international_domain_is_compared_by_its_a_label() -> None:
    keys = FixedZone({"rsa._domainkey.xn--mller-kva.example": {"TXT": [record(RSA)]}})
    found = only(signed_by_hand({"d": "müller.example"}), keys)
    assert (found.result, found.domain) == ("pass", "xn--mller-kva.example")


def test_copies_of_one_posting_share_the_hash_of_the_body() -> None:
    hashed = body_hash([BODY[:7], BODY[7:]])
    field = sign_hashed(HEADER, hashed, "far.example", "ed", ED25519, now=NOW, expires=NOW + 600)
    found = only(field + HEADER + b"\r\n" + BODY)
    assert (found.result, found.expires_at) == ("pass", NOW + 600)


def test_evidence_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        only(letter()).result = "pass"  # type: ignore[misc]
