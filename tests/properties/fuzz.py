"""Fuzz what reads foreign bytes: ``python -m tests.properties.fuzz TARGET --seconds N [--seed S]``.

Targets: parser, headers, query, addresses (the SMTP engine has `fuzz_smtp`). Real letters are cut, doubled, spliced and
peppered with the octets that parsers trip over. It stops at the first exception and at the first input that takes too
long, keeps that input in a file and prints its path.
"""

from __future__ import annotations

import argparse
import math
import random
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from posthouse import address
from posthouse.archive import query
from posthouse.message import parsing, report
from posthouse.message.decoration import decorated
from posthouse.message.headers import Fields, HeaderEditor, split
from posthouse.message.rewrite import add_subject_prefix, addressed_to

LETTERS = Path(__file__).resolve().parent.parent / "letters"
SLOW = 2.0  # seconds of this process that one input of MOST octets may take
MOST = 64 * 1024
SPICE = [
    b"\r\n", b"\n", b"\r", b"\r\n ", b"\r\n\r\n", b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x1b$B", b"=?utf-8?q?",
    b"=?x?b?", b"?=", b"=C3", b"=\r\n", b"<", b">", b"@", b'"', b"\\", b"(", b")", b",", b";", b":", b"--",
    b"boundary=",
    b"Content-Type: multipart/mixed; boundary=x\r\n", b"Content-Transfer-Encoding: base64\r\n", b"charset=utf-7",
    b"message/rfc822", b"name*0*=", b"begin 644 x\r\n", b"\xe2\x80\xae", b"xn--", b"&#xD800;", b"<!--", b"> " * 50,
]  # fmt: skip
WORDS = [
    '"', "-", "OR", "*", "from:", "to:", "subject:", "after:", "before:", "list:", "has:attachment", "2024",
    "2024-02-30",
    "NEAR(", ")", "^", "{", "}", "'", ";--", "\\", "\0", "ß", "İ", "\u0301", "\u202e", "日本", "a" * 400, "tomato",
    " ", ":",
]  # fmt: skip


class Fault(Exception):
    """A promise that an input broke."""


def letters() -> list[bytes]:
    """The real and hostile messages that the tests keep."""
    return [path.read_bytes() for path in sorted(LETTERS.glob("*.eml"))]


def mutated(content: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    """A few changes of the kind that break readers."""
    octets = bytearray(content)
    for _ in range(chance.randrange(1, 8)):
        at, length = chance.randrange(len(octets) + 1), chance.randrange(40)
        match chance.randrange(6):
            case 0:
                del octets[at : at + length]
            case 1:
                octets[at:at] = chance.choice(SPICE) * chance.choice([1, 1, 1, 2, 200])
            case 2:
                octets[at:at] = octets[at : at + length] * chance.choice([1, 2, 100])
            case 3:
                other = chance.choice(others)
                start = chance.randrange(len(other) + 1)
                octets[at:at] = other[start : start + chance.randrange(2000)]
            case 4:
                octets[at : at + 1] = chance.randbytes(chance.randrange(4))
            case _:
                octets[at : at + length] = octets[at : at + length].swapcase()
    return bytes(octets[:MOST])


def parser(content: bytes) -> None:
    """Read a message, all its attachments, and as a bounce: clean text, the same answer twice."""
    reading = parsing.read(content)
    for text in (reading.text, reading.subject, reading.author_name, reading.recipients_text, *reading.oddities):
        if "\0" in text:
            raise Fault("a NUL in a text for the database")
        text.encode("utf-8")
    for one in reading.attachments:
        found = parsing.attachment(content, one.number)
        if found is None or len(found[2]) != one.size:
            raise Fault(f"attachment {one.number} is not what was promised")
    if parsing.read(content) != reading:
        raise Fault("read twice, two answers")
    report.read_dsn(content)


def headers(content: bytes) -> None:
    """Edit as a list does: what is edited reads back, the body and every other field keep their octets."""
    _, start = split(content)
    fields = Fields(content)
    addressed_to(fields)
    editor = HeaderEditor.on(content)
    add_subject_prefix(editor, "[garden]")
    editor.remove("List-Id")
    editor.append("List-Id", "<garden.lists.example>")
    edited = editor.content()
    after = Fields(edited)
    if after.all("list-id") != ["<garden.lists.example>"]:
        raise Fault(f"List-Id is {after.all('list-id')}")
    if untouched(after) != untouched(fields)[: len(untouched(after))]:
        raise Fault("a field that nobody touched has changed")
    if not edited.endswith(content[start:]):
        raise Fault("the body has changed")
    decorated(edited, "", "Leave: garden-leave@lists.example\n")


def untouched(fields: Fields) -> list[object]:
    """The fields that a list does not edit here, as they stand; the last of a cut message may lack its line end."""
    return [raw.rstrip(b"\r\n") for name, raw in fields if name.lower() not in ("subject", "list-id")]


def search_query(content: bytes) -> None:
    """Read what somebody typed: bounded, never an exception, the same answer twice."""
    text = content.decode("utf-8", "replace")
    found = query.parse(text)
    if query.parse(text) != found:
        raise Fault("read twice, two answers")
    if sum(len(group) for group in found.wanted) + len(found.unwanted) > 100:
        raise Fault("more terms than a search should ask for")


def addresses(content: bytes) -> None:
    """Read addresses: a refusal with its rule, or one that reads back as itself and survives VERP."""
    text = content.decode("utf-8", "surrogateescape")
    for _, found in address.mailboxes(text):
        if "\r" in found or "\n" in found:
            raise Fault("a line break in an address")
    for word in text.split()[:20]:
        try:
            parsed = address.parse(word)
        except address.AddressError:
            continue
        if address.parse(str(parsed)) != parsed:
            raise Fault(f"{word!r} does not read back")
        encoded = address.verp_encode("garden-bounces@lists.example", str(parsed))
        if address.verp_decode_for("garden-bounces", encoded.rpartition("@")[0]) is None:
            raise Fault(f"{encoded!r} does not decode")


def question(chance: random.Random, _: list[bytes]) -> bytes:
    """Something typed into the search field."""
    words = [chance.choice(WORDS) for _ in range(chance.randrange(1, 40))]
    glue = chance.choice(["", " ", " "])
    return glue.join(words).encode()


def address_list(chance: random.Random, seeds: list[bytes]) -> bytes:
    """The value of an address field."""
    found = re.findall(rb"(?im)^(?:from|to|cc|reply-to):(.*)$", chance.choice(seeds)) or [b"Ana <ana@far.example>"]
    return mutated(b"ana@far.example, " + chance.choice(found), chance, found)[:4096]


def letter(chance: random.Random, seeds: list[bytes]) -> bytes:
    """A changed letter."""
    return mutated(chance.choice(seeds), chance, seeds)


TARGETS: dict[str, tuple[Callable[[random.Random, list[bytes]], bytes], Callable[[bytes], None]]] = {
    "parser": (letter, parser),
    "headers": (letter, headers),
    "query": (question, search_query),
    "addresses": (address_list, addresses),
}


def fuzz(target: str, seconds: float, seed: int, most: float = math.inf) -> tuple[int, str]:
    """Run for so long, `most` rounds: (rounds, "" or what was found with the input's path)."""
    make, check = TARGETS[target]
    chance, seeds = random.Random(seed), letters()
    end, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < end and rounds < most:
        content = make(chance, seeds)
        began = time.process_time()
        try:
            check(content)
            trouble = ""
        except Exception:
            trouble = traceback.format_exc(limit=-4)
        took = time.process_time() - began
        if not trouble and took > SLOW:
            trouble = f"{len(content)} octets took {took:.2f} s\n"
        if trouble:
            with tempfile.NamedTemporaryFile(prefix=f"fuzz-{target}-", suffix=".eml", delete=False) as kept:
                kept.write(content)
            return rounds, f"{trouble}seed {seed}, round {rounds}; the input: {kept.name}"
        rounds += 1
    return rounds, ""


def main() -> int:
    """Fuzz one target; 1 when something was found."""
    parsed = argparse.ArgumentParser(prog="python -m tests.properties.fuzz", description=__doc__)
    parsed.add_argument("target", choices=TARGETS)
    parsed.add_argument("--seconds", type=float, default=30.0)
    parsed.add_argument("--seed", type=int, default=1)
    given = parsed.parse_args()
    rounds, found = fuzz(given.target, given.seconds, given.seed)
    print(found or f"{rounds} rounds, seed {given.seed}: nothing found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
