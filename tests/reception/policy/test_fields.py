"""What is written before a message that was let in with a remark."""

from __future__ import annotations

import email

from hypothesis import given
from hypothesis import strategies as st

from posthouse.reception.policy.fields import FIELD, tag_field


def test_each_remark_stands_on_a_line_with_its_reason() -> None:
    assert tag_field([("dns_lists", "bl.example 127.0.0.2"), ("spf", "no (really)")]) == (
        b"X-Posthouse-Tag: dns_lists (bl.example 127.0.0.2);\r\n\tspf (no [really])\r\n"
    )
    assert tag_field([]) == b""


@given(st.lists(st.tuples(st.sampled_from(["spf", "dns_lists"]), st.text()), min_size=1, max_size=5))
def test_whatever_a_stranger_says_stays_inside_the_field(tags: list[tuple[str, str]]) -> None:
    field = tag_field(tags)
    message = email.message_from_bytes(field + b"Subject: s\r\n\r\nbody\r\n")
    assert message.keys() == [FIELD, "Subject"] and not message.defects
    assert field.isascii() and max(map(len, field.split(b"\r\n"))) < 998
    assert field.count(b"(") == field.count(b")") == len(tags)
