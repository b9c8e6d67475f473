"""A message is known by its Message-ID, whatever mailers did to it, and linked as Mailman's archives link it."""

import random

import pytest

from posthouse.message import identity
from posthouse.message.headers import Fields


@pytest.mark.parametrize(
    ("message_id", "expected"),
    [
        ("test@example.com", "KZYVTVRC765VBMI3B36TA67DLBREUJXO"),
        ("<87fsq1x2.fsf@example.org>", "VPI3ZSF4ESBOM6GTZHKSRJCM3LXFO7KP"),
        (" <test@example.com> ", "KZYVTVRC765VBMI3B36TA67DLBREUJXO"),
    ],
)
def test_the_permalink_hash_is_mailmans(message_id, expected):
    assert identity.message_id_hash(message_id) == expected


def test_the_hash_is_of_the_first_254_characters():
    assert (
        identity.message_id_hash("x" * 254)
        == identity.message_id_hash("x" * 300)
        != identity.message_id_hash("x" * 253)
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("<a@b>", "a@b"),
        ("a@b", "a@b"),
        ("<a@b> (added by the relay)", "a@b"),
        ("< a@\r\n b >", "a@b"),
        ("<a b@c", "ab@c"),
        ("", None),
        ("<>", None),
        ("=?utf-8?q?=3Ca=40b=3E?=", "a@b"),
        ("<" + "x" * 1_500 + "@b>", "x" * 998),
    ],
)
def test_a_message_id_is_cleaned_of_what_mailers_did_to_it(value, expected):
    assert identity.message_id_of(Fields(b"Message-ID: " + value.encode() + b"\r\n\r\n")) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"References: <a@x> <b@x>\r\n\t<c@x>\r\nIn-Reply-To: <c@x>\r\n", ["a@x", "b@x", "c@x"]),
        (b"References: <a@x><a@x>\r\nIn-Reply-To: <b@x>\r\n", ["a@x", "b@x"]),
        (b'In-Reply-To: Message from Ana <ana@far.example> of "Mon" <id@x>\r\n', ["id@x"]),
        (b'In-Reply-To: <id@x> (Ana\'s message of "Mon")\r\n', ["id@x"]),
        (b"In-Reply-To: id@x\r\n", ["id@x"]),
        (b"In-Reply-To: your letter of Monday\r\n", []),
        (b"References: =?utf-8?q?=3Ca=40x=3E?=\r\n", ["a@x"]),
        (b"", []),
    ],
)
def test_the_messages_it_answers_are_found_each_once(header, expected):
    assert identity.references_of(Fields(header + b"\r\n")) == expected


def test_of_endless_references_the_last_hundred_count():
    found = identity.references_of(
        Fields(b"References: " + b" ".join(b"<%d@x>" % n for n in range(5_000)) + b"\r\n\r\n")
    )
    assert (len(found), found[-1]) == (100, "4999@x")


def test_a_message_without_an_id_gets_the_same_one_every_time():
    assert (
        identity.made_up_message_id(b"abc")
        == identity.made_up_message_id(b"abc")
        != identity.made_up_message_id(b"abd")
    )
    assert identity.made_up_message_id(b"abc") == "<ba7816bf8f01cfea414140de5dae2223b00361a3@posthouse.invalid>"


def test_new_ids_differ():
    chance = random.Random(1)
    ids = {identity.new_message_id("lists.example", 1_700_000_000, chance) for _ in range(100)}
    assert len(ids) == 100
    assert all(identity.bare(message_id).endswith("@lists.example") for message_id in ids)
