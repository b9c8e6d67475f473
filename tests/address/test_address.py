"""Addresses are read strictly, compared by key, and carried in a return path and back."""

import pytest

from posthouse import address
from posthouse.address import Address, AddressError


@pytest.mark.parametrize(
    ("text", "local_part", "domain"),
    [
        ("ana@far.example", "ana", "far.example"),
        ("Ana.Lopez@FAR.Example", "Ana.Lopez", "far.example"),
        ('"ana lopez"@far.example', "ana lopez", "far.example"),
        ('"ana"@far.example', "ana", "far.example"),
        ('"a\\"b@c"@far.example', 'a"b@c', "far.example"),
        ("ana+beans=x@far.example", "ana+beans=x", "far.example"),
        ("ana@[192.0.2.7]", "ana", "[192.0.2.7]"),
        ("ana@[IPv6:2001:DB8:0:0::1]", "ana", "[IPv6:2001:db8::1]"),
        ("ana@Gärtnerei.example", "ana", "xn--grtnerei-0za.example"),
        ("ana@faß.example", "ana", "xn--fa-hia.example"),
        ("ana@XN--Grtnerei-0ZA.example", "ana", "xn--grtnerei-0za.example"),
        ("élise@far.example", "élise", "far.example"),
        ("e\u0301lise@far.example", "élise", "far.example"),
        ("ana@localhost", "ana", "localhost"),
    ],
)
def test_a_mailbox_is_read_into_its_local_part_and_one_spelling_of_its_domain(text, local_part, domain):
    assert address.parse(text) == Address(local_part, domain)


@pytest.mark.parametrize(
    "text",
    [
        "", "ana", "@far.example", "ana@", "ana@@far.example", ".ana@far.example", "ana.@far.example",
        "a..b@far.example",
        "ana lopez@far.example", "ana@far example", "ana@-far.example", "ana@far-.example", "ana@far..example",
        "ana@far.example.", "ana@far_.example", '"ana@far.example', '"ana"x@far.example', "ana@[192.0.2.300]",
        "ana@[IPv6:1::2::3]", "ana@[IPv6:fe80::1%eth0]", "ana@[tag:x]", "ana@[192.0.2.1", "ana\r\n@far.example",
        '"a\r\nb"@far.example', "ana@far.example\n", "ana@" + "a" * 64 + ".example", "a" * 256 + "@far.example",
        "ana@" + "a." * 150 + "example", "ana\ud800@far.example", "ana@⒈.example",
        "<ana@far.example>", "ana\0@far.example",
        "ana\u00a0@far.example", "ana@xn--" + "ä" * 60 + ".example",
    ],
)  # fmt: skip
def test_what_is_no_mailbox_is_refused_with_a_sentence(text):
    with pytest.raises(AddressError) as refused:
        address.parse(text)
    assert len(refused.value.rule.split()) > 3


def test_str_keeps_the_case_and_quotes_only_what_needs_it():
    assert str(address.parse("Ana@far.example")) == "Ana@far.example"
    assert str(address.parse('"Ana Lopez"@far.example')) == '"Ana Lopez"@far.example'
    assert str(address.parse('"Ana"@far.example')) == "Ana@far.example"


@pytest.mark.parametrize(
    "text", ["Ana@FAR.example", "ana@GÄRTNEREI.example", '"ANA"@far.example', "ana@Xn--fa-hia.example"]
)
def test_the_fast_key_is_the_key(text):
    assert address.key_of(text) == address.parse(text).key == address.key_of(address.key_of(text))


@pytest.mark.parametrize(
    "recipient", ["ana@far.example", "a=b@far.example", "a+b@far.example", "a+b=c+d@far.example", "=@far.example"]
)
def test_a_verp_return_path_names_its_recipient(recipient):
    path = address.verp_encode("garden-bounces@lists.example", recipient)
    assert address.verp_decode(path.rpartition("@")[0]) == ("garden-bounces", recipient)
    assert address.verp_decode_for("garden-bounces", path.rpartition("@")[0]) == recipient


def test_the_verp_form_is_the_one_the_world_knows():
    path = address.verp_encode("garden-bounces@lists.example", "ana@far.example")
    assert path == "garden-bounces+ana=far.example@lists.example"


@pytest.mark.parametrize(
    "local", ["garden-bounces", "garden-bounces+", "garden-bounces+ana", "+ana=far", "b+=far", "b+ana="]
)
def test_a_local_part_without_a_recipient_is_no_verp(local):
    assert address.verp_decode(local) is None


def test_a_base_with_a_plus_is_found_by_its_name():
    assert address.verp_decode_for("a+b-bounces", "a+b-bounces+ana=far.example") == "ana@far.example"
    assert address.verp_decode_for("a-bounces", "b-bounces+ana=far.example") is None


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("ana@far.example", [("", "ana@far.example")]),
        ("<ana@far.example>", [("", "ana@far.example")]),
        ("Ana <ana@far.example>", [("Ana", "ana@far.example")]),
        ('"Lopez, Ana" <ana@far.example>', [("Lopez, Ana", "ana@far.example")]),
        ("ana@far.example (Ana Lopez)", [("Ana Lopez", "ana@far.example")]),
        ("ana at far.example (Ana (the elder) Lopez)", [("Ana the elder Lopez", "ana@far.example")]),
        ("=?utf-8?q?=C3=89lise?= <elise@far.example>", [("Élise", "elise@far.example")]),
        ("Friends: ana@far.example, Ben <ben@far.example>;", [("", "ana@far.example"), ("Ben", "ben@far.example")]),
        ("Ana <@relay.example:ana@far.example>", [("Ana", "ana@far.example")]),
        ("undisclosed-recipients:;", []),
        ("Ana Lopez", []),
        ("", []),
        ("Ana ana@far.example", [("Ana", "ana@far.example")]),
        ("a@x.example,, b@y.example", [("", "a@x.example"), ("", "b@y.example")]),
    ],
)
def test_the_mailboxes_of_a_field_are_found_as_mailers_write_them(value, found):
    assert address.mailboxes(value) == found


def test_an_encoded_name_cannot_forge_a_second_mailbox():
    value = "=?utf-8?q?owen=40house.example=3E=2C_=3Cx?= <eve@far.example>"
    assert [found for _, found in address.mailboxes(value)] == ["eve@far.example"]


def test_a_field_of_endless_mailboxes_is_bounded():
    assert len(address.mailboxes("a@x.example," * 50_000)) == address.MAX_MAILBOXES
