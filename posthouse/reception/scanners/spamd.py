"""SpamAssassin: spamd's protocol 1.5, one question on each connection."""

from __future__ import annotations

import asyncio
import re
from itertools import chain

from posthouse.configuration import Scanner
from posthouse.reception.policy.facts import Scan
from posthouse.reception.scanners.letter import Letter
from posthouse.reception.scanners.wire import ScannerError, Wire, to_the_end

_WORD = {"full": "REPORT", "symbols": "SYMBOLS", "none": "CHECK"}
_STATUS = re.compile(rb"SPAMD/\d+\.\d+ (\d+) ([^\r\n]{0,80})")
_SPAM = re.compile(
    rb"spam:[ \t]*(?:true|yes|false|no)[ \t]*;[ \t]*(-?\d{1,9}(?:\.\d{1,9})?)[ \t]*/[ \t]*(-?\d{1,9}(?:\.\d{1,9})?)",
    re.I,
)
_RULE = re.compile(r"^[* ]*-?\d+(?:\.\d+)? ([A-Z][A-Z0-9_]{2,60})\b", re.MULTILINE)
MOST_SYMBOLS = 200


async def ask(wire: Wire, name: str, settings: Scanner, letter: Letter, user: str) -> Scan:
    """Score a message. `user`: whose preferences apply, "" for the server's own. Raises ScannerError."""
    word, most = _WORD[settings.report], settings.most
    question = f"{word} SPAMC/1.5\r\nContent-length: {letter.length(most)}\r\n"
    if user:
        question += f"User: {user}\r\n"
    blocks = chain(((question + "\r\n").encode("utf-8", "replace"),), letter.blocks(most))
    head, body = await wire.converse(blocks, _answer)
    found = _SPAM.search(head)
    if found is None:
        raise ScannerError("its answer has no score")
    text = body.decode("utf-8", "replace")
    symbols: tuple[str, ...] = ()
    if settings.report == "symbols":
        symbols = tuple(one.strip() for one in text.replace("\n", ",").split(",") if one.strip())
    elif settings.report == "full":
        symbols = tuple(_RULE.findall(text))
    report = text.replace("\r\n", "\n").strip() if settings.report == "full" else ""
    return Scan(name, "clean", float(found[1]), float(found[2]), symbols[:MOST_SYMBOLS], report)


async def _answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    line = await reader.readline()
    status = _STATUS.match(line)
    if status is None:
        raise ScannerError("it hung up" if not line else "its answer is not spamd's")
    if int(status[1]):
        raise ScannerError(f"it says {status[1].decode()} {status[2].decode('ascii', 'replace')}")
    head = await reader.readuntil(b"\r\n\r\n")
    return head, await to_the_end(reader)  # it closes behind its answer
