"""What is written above a message."""

from __future__ import annotations

from random import Random

import pytest

from posthouse.reception import trace
from posthouse.smtp.session import TlsFacts

AT = 1_700_000_000.25


@pytest.mark.parametrize(
    ("verb", "facts", "word"),
    [
        ("HELO", {}, "SMTP"), ("EHLO", {}, "ESMTP"), ("EHLO", {"tls": True}, "ESMTPS"),
        ("EHLO", {"signed_in": True}, "ESMTPA"), ("EHLO", {"tls": True, "signed_in": True}, "ESMTPSA"),
        ("LHLO", {"lmtp": True}, "LMTP"), ("LHLO", {"lmtp": True, "tls": True}, "LMTPS"),
        ("EHLO", {"smtputf8": True}, "UTF8SMTP"), ("EHLO", {"smtputf8": True, "tls": True}, "UTF8SMTPS"),
        ("EHLO", {"smtputf8": True, "tls": True, "signed_in": True}, "UTF8SMTPSA"),
        ("LHLO", {"lmtp": True, "smtputf8": True}, "UTF8LMTP"),
    ],
)  # fmt: skip
def test_the_word_for_the_protocol_is_the_registered_one(verb: str, facts: dict[str, bool], word: str) -> None:
    given = {"lmtp": False, "tls": False, "signed_in": False, "smtputf8": False} | facts
    assert trace.protocol(verb, **given) == word


def test_received_names_client_host_protocol_id_and_time() -> None:
    parts = trace.received_from("mail.far.example", "192.0.2.7", "mx.lists.example", None)
    field = trace.received(parts, "ESMTP", "0ABC", "garden@lists.example", AT)
    assert field == (
        b"Received: from mail.far.example ([192.0.2.7])\r\n\tby mx.lists.example (Posthouse) with ESMTP id 0ABC\r\n"
        b"\tfor <garden@lists.example>; Tue, 14 Nov 2023 22:13:20 +0000\r\n"
    )
    assert b"\tfor" not in trace.received(parts, "ESMTP", "0ABC", "", AT)


def test_received_tells_the_cipher_and_an_ipv6_client() -> None:
    facts = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256)
    parts = trace.received_from("mail.far.example", "2001:db8::7", "mx.lists.example", facts)
    field = trace.received(parts, "ESMTPS", "0ABC", "", AT)
    assert b"([IPv6:2001:db8::7])" in field
    assert b"with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384) id 0ABC; Tue" in field


def test_received_is_ascii_whatever_the_client_calls_itself() -> None:
    assert b"from xn--bro-hoa.example (" in trace.received_from("büro.example", "192.0.2.7", "mx", None)[0]
    assert b"from unknown (" in trace.received_from("bü_ro", "192.0.2.7", "mx", None)[0]
    assert trace.received_from("", "", "mx", None)[0].startswith(b"Received: from unknown\r\n")
    assert b"([192.0.2.7])" in trace.received_from("a", "::ffff:192.0.2.7", "mx", None)[0]


def test_hops_are_the_received_fields_of_the_header_alone() -> None:
    header = trace.header_of(
        b"Received: a\r\nreceived: b\r\nX-Received: no\r\nRECEIVED: c\r\nMessage-ID:\r\n <one@far.example>\r\n"
        b"Subject: x\r\n\r\nReceived: in the body\r\n"
    )
    assert trace.hops_and_id(header) == (3, "one@far.example")


@pytest.mark.parametrize(
    ("header", "message_id"),
    [
        (b"Message-ID: <a@b>\r\n", "a@b"),
        (b"MESSAGE-ID : <a@b>\r\n", "a@b"),
        (b"Subject: message-id: <no@b>\r\n", ""),
        (b"Subject: x\r\nmessage-id:<a@b>\r\n", "a@b"),
        (b"Message-ID-Hash: ABC\r\n", ""),
        (b"", ""),
    ],
)
def test_the_message_id_is_found_in_any_spelling(header: bytes, message_id: str) -> None:
    assert trace.hops_and_id(header) == (0, message_id)


def test_a_submission_gets_the_message_id_and_date_it_lacks_and_nothing_else() -> None:
    added, message_id = trace.added_to_submission(b"Subject: x\r\n", "mx.lists.example", AT, Random(1))
    assert added.startswith(b"Message-ID: <") and added.endswith(b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n")
    assert message_id.endswith("@mx.lists.example") and f"<{message_id}>".encode() in added
    whole = b"Message-ID: <a@b>\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
    assert trace.added_to_submission(whole, "mx", AT, Random(1)) == (b"", "a@b")
