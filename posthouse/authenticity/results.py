"""Authentication-Results (RFC 8601): the evidence as one field, read from those we trust, removed from strangers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from posthouse.authenticity.arc import Arc
from posthouse.authenticity.dkim import Dkim
from posthouse.authenticity.dmarc import Dmarc
from posthouse.authenticity.names import a_label, below
from posthouse.authenticity.signature import value_of
from posthouse.authenticity.spf import Spf
from posthouse.message.headers import Fields

__all__ = ["FIELD", "Method", "Reported", "of_arc", "of_dkim", "of_dmarc", "of_spf", "read", "without_ours", "written"]

FIELD = "Authentication-Results"
MOST_REASON = 120  # characters of a reason that are written
MOST_KEPT = 400  # characters of a reason or a name that are kept: how they are written is remembered
MOST_VALUE = 320  # characters of a property
MOST_METHODS = 100
MOST_TEXT = 64 * 1024  # characters of a field that are read

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`{|}~]+\Z")
_ADDRESS = re.compile(r"(?:[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~.]+)?@[A-Za-z0-9.\-]+\Z")
_PLAIN = re.compile(r"[^\x20-\x7e]")
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*+"|[;()]|[^";()]++', re.DOTALL)
_IN_COMMENT = re.compile(r"[()]|\\.|[^()\\]++|.", re.DOTALL)
_PAIR = re.compile(r'(?<![A-Za-z0-9_.\-/])([A-Za-z][A-Za-z0-9_.\-/]*+)[ \t]*+=[ \t]*+("(?:[^"\\]|\\.)*+"|[^\s"]++)')
_ID = re.compile(r'[ \t]*("(?:[^"\\]|\\.)*+"|[^\s";]++)')
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)


class Method(NamedTuple):  # of every message several are made and looked up: a tuple costs least
    """One result: `name` "spf", `result` "pass", `properties` as ("smtp.mailfrom", "far.example") pairs in order."""

    name: str
    result: str
    properties: tuple[tuple[str, str], ...] = ()
    reason: str = ""

    def value(self, name: str) -> str:
        """A property, "" when it is missing."""
        return next((value for known, value in self.properties if known == name), "")


@dataclass(frozen=True, slots=True)
class Reported:
    """What a field says: who checked, and every result."""

    authserv_id: str
    methods: tuple[Method, ...]


def of_spf(evidence: Spf) -> Method:
    """SPF (RFC 8601 §2.7.2). The local part is named only where it is an ordinary one."""
    if evidence.identity == "helo":
        return Method("spf", evidence.result, (("smtp.helo", evidence.domain),), _reason(evidence))
    sender = evidence.sender if _ADDRESS.match(evidence.sender) else a_label(evidence.domain)
    return Method("spf", evidence.result, (("smtp.mailfrom", sender),), _reason(evidence))


def of_dkim(evidence: Dkim) -> list[Method]:
    """DKIM: one result for each signature (RFC 8601 §2.7.1, RFC 6008), or "none"."""
    if not evidence.signatures:
        return [Method("dkim", "none")]
    methods = []
    for one in evidence.signatures:
        pairs = [("header.d", one.domain), ("header.s", one.selector), ("header.a", one.algorithm)]
        pairs.append(("header.b", one.mark))
        methods.append(Method("dkim", one.result, tuple(pair for pair in pairs if pair[1]), one.reason[:MOST_KEPT]))
    return methods


def of_arc(evidence: Arc) -> Method:
    """ARC (RFC 8617 §10.1)."""
    oldest = () if evidence.oldest_pass is None else (("header.oldest-pass", str(evidence.oldest_pass)),)
    return Method("arc", evidence.result, oldest, evidence.reason[:MOST_KEPT])


def of_dmarc(evidence: Dmarc) -> Method:
    """DMARC (RFC 9989 §9.1)."""
    pairs = [("header.from", evidence.domain[:MOST_KEPT]), ("policy.dmarc", evidence.policy or "")]
    reason = "" if evidence.result in ("pass", "none") else evidence.reason
    return Method("dmarc", evidence.result, tuple(pair for pair in pairs if pair[1]), reason[:MOST_KEPT])


def _reason(evidence: Spf) -> str:
    return evidence.reason[:MOST_KEPT] if evidence.result in ("temperror", "permerror") else ""


def written(authserv_id: str, methods: Sequence[Method], between: str = "; ") -> str:
    """The value of a field in our name: ASCII, every stranger's text quoted or left out (RFC 8601 §2.2).

    `between`: a semicolon and what shall follow it, a blank or a fold.
    """
    return between.join((_value(authserv_id), *map(_result, methods))) if methods else f"{_value(authserv_id)}; none"


@lru_cache(maxsize=1_024)  # of the next message of the same people all but the signature is the same
def _result(method: Method) -> str:
    words = [f"{method.name}={method.result}"]
    if method.reason:
        words.append(f"reason={_quoted(method.reason[:MOST_REASON])}")
    words += [f"{name}={_value(value)}" for name, value in method.properties]
    return " ".join(words)


def _value(text: str) -> str:
    text = text[:MOST_VALUE]
    return text if _TOKEN.match(text) or _ADDRESS.match(text) else _quoted(text)


def _quoted(text: str) -> str:
    return '"' + _PLAIN.sub("?", text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def read(value: str) -> Reported | None:
    """Read a field's value, also what follows i= in an ARC-Authentication-Results; None when it makes no sense.

    Only as true as whoever wrote it: ask who that was first.
    """
    segments = _segments(value[:MOST_TEXT])
    who = _ID.match(segments[0])
    if who is None:
        return None
    methods: list[Method] = []
    for segment in segments[1 : MOST_METHODS + 1]:
        pairs = [(name.lower(), _unquoted(text)) for name, text in _PAIR.findall(segment)]
        if not pairs:
            continue  # "none", or nonsense
        (name, result), *properties = pairs
        reason = next((text for known, text in properties if known == "reason"), "")
        shown = tuple(pair for pair in properties if pair[0] != "reason")
        methods.append(Method(name.partition("/")[0], result.lower(), shown, reason))
    return Reported(_unquoted(who[1]), tuple(methods))


def _segments(value: str) -> list[str]:
    """The text between semicolons, comments taken out (RFC 8601 §2.2: CFWS may stand nearly everywhere)."""
    text = value.replace("\r", "").replace("\n", " ")
    segments: list[str] = []
    pieces: list[str] = []
    depth = position = 0
    while position < len(text):
        # inside a comment a quotation mark is only a letter (RFC 5322 §3.2.2)
        found = (_IN_COMMENT if depth else _PIECE).match(text, position)
        if found is None:
            break  # a quotation mark that nothing closes: what follows is not believed
        position = found.end()
        if found[0] == "(":
            depth += 1
        elif found[0] == ")":
            depth = max(0, depth - 1)
            pieces.append(" ")
        elif depth:
            continue
        elif found[0] == ";":
            segments.append("".join(pieces))
            pieces = []
        else:
            pieces.append(found[0])
    return [*segments, "".join(pieces)]


def _unquoted(text: str) -> str:
    return _QUOTED_PAIR.sub(r"\1", text[1:-1]) if text.startswith('"') else text


def without_ours(header: bytes, names: Collection[str]) -> bytes:
    """The header without fields that claim our name or one below it, or nobody's; others untouched (RFC 8601 §5).

    `names`: the authserv-ids of this house. To be done before our own field is added.
    """
    own = [a_label(name) for name in names]
    fields = Fields(header)
    kept: list[bytes] = [header[: fields.header_start]]
    for name, raw in fields:
        if name.lower() != FIELD.lower() or not _claims(raw, own):
            kept.append(raw)
    kept.append(header[fields.header_end :])
    return b"".join(kept)


def _claims(raw: bytes, own: Iterable[str]) -> bool:
    reported = read(value_of(raw))
    if reported is None or not reported.authserv_id:
        return True
    who = a_label(reported.authserv_id)
    return any(below(who, name) for name in own)
