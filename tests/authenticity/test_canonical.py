"""Canonicalisation: exact to the octet, the same however the body is cut, bounded in memory and time."""

from __future__ import annotations

import hashlib
import re
import time
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from posthouse.authenticity.canonical import BodyHashes, relaxed_field, relaxed_fields, without_signature


def plain(body: bytes, relaxed: bool) -> bytes:
    """RFC 6376 §3.4.3 and §3.4.4 word for word, the whole body at once."""
    if relaxed:
        lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
        body = b"\r\n".join(lines)
    while body.endswith(b"\r\n"):
        body = body[:-2]
    return body + b"\r\n" if body or not relaxed else b""


def hashed(chunks: list[bytes], relaxed: bool, limit: int | None = None) -> bytes:
    bodies = BodyHashes()
    bodies.want(relaxed, limit)
    for chunk in chunks:
        bodies.feed(chunk)
    bodies.finish()
    return bodies.digest(relaxed, limit)


pieces = st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"\r", b"\n", b"a", b"bc", b"  ", b"\r\n\r\n"]), max_size=30)


@given(pieces, st.booleans(), st.one_of(st.none(), st.integers(0, 40)))
def test_a_body_has_one_form_however_it_is_cut(chunks: list[bytes], relaxed: bool, limit: int | None) -> None:
    body = b"".join(chunks)
    expected = hashlib.sha256(plain(body, relaxed)[:limit]).digest()
    assert hashed(chunks, relaxed, limit) == expected
    assert hashed([body], relaxed, limit) == expected
    assert hashed([body[place : place + 1] for place in range(len(body))], relaxed, limit) == expected


def test_the_hashes_of_an_empty_body_are_those_of_the_rfc() -> None:
    # RFC 6376 §3.4.3, §3.4.4
    assert hashed([], relaxed=False).hex() == hashlib.sha256(b"\r\n").hexdigest()
    assert hashed([], relaxed=True).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_example_of_the_rfc_comes_out_as_printed() -> None:
    # RFC 6376 §3.4.5
    assert relaxed_field(b"A: X\r\n") + relaxed_field(b"B : Y\t\r\n\tZ  \r\n") == b"a:X\r\nb:Y Z\r\n"
    assert hashed([b" C \r\nD \t E\r\n\r\n\r\n"], relaxed=True) == hashlib.sha256(b" C\r\nD E\r\n").digest()
    assert hashed([b" C \r\nD \t E\r\n\r\n\r\n"], relaxed=False) == hashlib.sha256(b" C \r\nD \t E\r\n").digest()


def plain_field(raw: bytes) -> bytes:
    """RFC 6376 §3.4.2 word for word."""
    name, _, value = raw.partition(b":")
    unfolded = re.sub(rb"\r\n(?=[ \t])", b"", value)
    return name.lower().rstrip(b" \t") + b":" + re.sub(rb"[ \t]+", b" ", unfolded).strip(b" \r\n") + b"\r\n"


names = st.sampled_from([b"To:", b"Subject :", b"X-Long\t:", b"dkim-signature:"])
values = st.lists(st.sampled_from([b" ", b"\t", b"  ", b"\r\n ", b"\r\n\t", b"\r\n \t ", b"a", b"b:c", b"\r", b";"]))


@given(st.lists(st.tuples(names, values.map(b"".join)).map(lambda one: b"".join(one) + b"\r\n"), max_size=6))
def test_many_fields_together_have_the_form_that_each_has_alone(raws: list[bytes]) -> None:
    assert relaxed_fields(raws) == b"".join(map(plain_field, raws))


def test_only_the_value_of_b_is_taken_out() -> None:
    raw = b"DKIM-Signature: v=1; bh=abc=; b = AAAA\r\n BBBB=; d=far.example; h=b:from\r\n"
    assert without_signature(raw) == b"DKIM-Signature: v=1; bh=abc=; b =; d=far.example; h=b:from\r\n"
    assert without_signature(b"DKIM-Signature:b=AAAA\r\n") == b"DKIM-Signature:b="
    # base64 and selectors may end like the tag
    raw = b"DKIM-Signature: v=1; bh=abb=; s=b;\r\n\tb=AAAA\r\n BBBB=; d=far.example\r\n"
    assert without_signature(raw) == b"DKIM-Signature: v=1; bh=abb=; s=b;\r\n\tb=; d=far.example\r\n"
    assert without_signature(b"DKIM-Signature: v=1; bh=Ab=; a=x") == b"DKIM-Signature: v=1; bh=Ab=; a=x"


def test_a_signature_of_the_worst_kind_costs_time_in_proportion_to_its_length() -> None:
    for filling in (b"b=", b" b=", b";b", b"\r\n b"):
        raw = b"DKIM-Signature: v=1; x=y" + filling * (1024 * 1024 // len(filling)) + b"; b=AAAA\r\n"
        start = time.process_time()
        without_signature(raw)
        assert time.process_time() - start < 2, filling


def test_a_large_body_of_the_worst_kind_needs_little_memory_and_time() -> None:
    for piece in (b" ", b"\r\n", b"\t \r\n", b"x", b"\n\r"):
        chunk = piece * (65_536 // len(piece))
        bodies = BodyHashes()
        bodies.want(relaxed=True)
        bodies.want(relaxed=False)
        tracemalloc.start()
        start = time.process_time()
        for _ in range(160):  # 10 MB
            bodies.feed(chunk)
        bodies.feed(b"x")
        bodies.finish()
        taken = time.process_time() - start
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1_000_000, (piece, peak)
        assert taken < 4, (piece, taken)
