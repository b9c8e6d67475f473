"""An SPF record as published (RFC 7208 §4.5, §4.6, §5, §6): selected, then parsed whole before it is evaluated."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from posthouse.authenticity.spf_macros import IN_EXPLANATION, IN_RECORD, Expansion, Macro, MacroError, read

__all__ = ["Directive", "Record", "RecordError", "parse", "select"]

MOST_TERMS = 1_000

_VERSION = re.compile(rb"v=spf1(?: |\Z)", re.IGNORECASE)
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9\-_.]*+)=(.*)\Z", re.DOTALL)
_MECHANISM = re.compile(r"([+\-?~]?)([A-Za-z0-9]++)(.*)\Z", re.DOTALL)
_CIDR = re.compile(r"(?:/(0|[1-9][0-9]{0,2}))?(?://(0|[1-9][0-9]{0,2}))?\Z")
_RESULTS = {"": "pass", "+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
_TEXT = re.compile(r"[\x21-\x7e]*\Z")
_ALNUM = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")


class RecordError(ValueError):
    """The record breaks the grammar: permerror (RFC 7208 §4.6). The text is a sentence."""


@dataclass(frozen=True, slots=True)
class Directive:
    """One mechanism and the result it gives when it matches.

    `domain`: None stands for the current domain. `network` and `network_length`: of ip4 and ip6. `bits4`, `bits6`: how
    many leading bits of an address are compared by a and mx.
    """

    result: str
    mechanism: str
    text: str
    domain: Expansion | None = None
    bits4: int = 32
    bits6: int = 128
    network: int = 0

    @property
    def asks(self) -> bool:
        """Whether this mechanism costs one of the ten lookups (RFC 7208 §4.6.4)."""
        return self.mechanism in ("include", "a", "mx", "ptr", "exists")


@dataclass(frozen=True, slots=True)
class Record:
    """A whole record, free of syntax errors."""

    directives: tuple[Directive, ...]
    redirect: Expansion | None = None
    explanation: Expansion | None = None


def select(texts: Iterable[bytes]) -> list[bytes]:
    """Those of a name's TXT records that are SPF records (RFC 7208 §4.5)."""
    return [text for text in texts if _VERSION.match(text)]


@lru_cache(maxsize=2_048)
def parse(text: bytes) -> Record:
    """Read a selected record. Raises RecordError for any syntax error anywhere in it (RFC 7208 §4.6)."""
    try:
        terms = text.decode("ascii").split(" ")[1:]
    except UnicodeDecodeError:
        raise RecordError("the record holds letters outside ASCII") from None  # RFC 7208 §3.1
    if len(terms) > MOST_TERMS:
        raise RecordError(f"the record has more than {MOST_TERMS} terms")
    directives: list[Directive] = []
    modifiers: dict[str, Expansion] = {}
    for term in terms:
        if not term:
            continue
        if not _TEXT.match(term):
            raise RecordError("a control character stands between the terms")
        try:
            modifier = _MODIFIER.match(term)
            if modifier:
                _add_modifier(modifiers, modifier[1].lower(), modifier[2])
            else:
                directives.append(_directive(term))
        except MacroError as error:
            raise RecordError(f"{_short(term)}: {error}") from None
    return Record(tuple(directives), modifiers.get("redirect"), modifiers.get("exp"))


def _add_modifier(modifiers: dict[str, Expansion], name: str, value: str) -> None:
    if name not in ("redirect", "exp"):
        read(value, IN_EXPLANATION)  # RFC 7208 §6: unknown ones are ignored, but must be macro strings
        return
    if name in modifiers:
        raise RecordError(f"{name}= stands twice")  # RFC 7208 §6
    modifiers[name] = _domain_spec(value)


def _directive(term: str) -> Directive:
    found = _MECHANISM.match(term)
    if found is None:
        raise RecordError(f"{_short(term)} is no mechanism")
    result, name, rest = _RESULTS[found[1]], found[2].lower(), found[3]
    if name == "all":
        if rest:
            raise RecordError("all takes no argument")
        return Directive(result, name, term)
    if name in ("ip4", "ip6"):
        return _network(result, name, rest, term)
    if name in ("a", "mx"):
        return _addresses(result, name, rest, term)
    if name in ("include", "exists") or (name == "ptr" and rest):
        if not rest.startswith(":"):
            raise RecordError(f"{name} must name a domain")
        return Directive(result, name, term, _domain_spec(rest[1:]))
    if name == "ptr":
        return Directive(result, name, term)
    raise RecordError(f"{_short(term)} is no known mechanism")


def _addresses(result: str, name: str, rest: str, term: str) -> Directive:
    # RFC 7208 §5.3: [":" domain-spec] [dual-cidr-length]; a slash may also stand inside the domain-spec
    start = len(rest)
    while start and (rest[start - 1].isdigit() or rest[start - 1] == "/"):
        start -= 1
    while start < len(rest) and rest[start] != "/":
        start += 1
    cidr = _CIDR.match(rest, start)
    if cidr is None:
        raise RecordError(f"{_short(term)}: the prefix length cannot be read")
    domain: Expansion | None = None
    if start:
        if rest[0] != ":":
            raise RecordError(f"{_short(term)} is no mechanism")
        domain = _domain_spec(rest[1:start])
    bits4, bits6 = int(cidr[1] or 32), int(cidr[2] or 128)
    if bits4 > 32 or bits6 > 128:
        raise RecordError(f"{_short(term)}: the prefix is longer than an address")
    return Directive(result, name, term, domain, bits4, bits6)


def _network(result: str, name: str, rest: str, term: str) -> Directive:
    # RFC 7208 §5.6; no leading zeros, neither in the network (§12) nor in the length
    address, slash, length = rest[1:].partition("/")
    most = 32 if name == "ip4" else 128
    if rest[:1] != ":" or (slash and not re.fullmatch(r"0|[1-9][0-9]{0,2}", length)) or int(length or most) > most:
        raise RecordError(f"{_short(term)} is no network")
    try:
        if "%" in address:
            raise ValueError("scoped")
        network = int(ipaddress.IPv4Address(address) if name == "ip4" else ipaddress.IPv6Address(address))
    except ValueError:
        raise RecordError(f"{_short(term)} is no network") from None
    bits = int(length or most)
    return Directive(result, name, term, None, bits if most == 32 else 32, bits if most == 128 else 128, network)


def _domain_spec(text: str) -> Expansion:
    """RFC 7208 §7.1: a macro string that ends in a macro or in a dot and a top label."""
    if not text:
        raise RecordError("a domain must not be empty")
    pieces = read(text, IN_RECORD)
    last = pieces[-1]
    if isinstance(last, Macro) or text.endswith(("%%", "%_", "%-")):
        return pieces
    name = last[:-1] if last.endswith(".") else last
    _, dot, label = name.rpartition(".")
    good = (
        bool(label)
        and bool(dot)
        and all(letter in _ALNUM or letter == "-" for letter in label)
        and label[0] != "-"
        and label[-1] != "-"
        and not label.isdigit()
    )
    if not good:
        raise RecordError(f"{_short(text)} does not end in a top-level domain")
    return pieces


def _short(term: str) -> str:
    return repr(term if len(term) <= 60 else term[:57] + "...")
