"""A DMARC record as published (RFC 9989 §4.7, §4.8); what RFC 7489 knew more of is named and ignored."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["POLICIES", "Record", "parse"]

POLICIES = ("none", "quarantine", "reject")  # from the mildest to the strictest
MOST_URIS = 20
MOST_TAGS = 100

_VERSION = re.compile(r"[ \t]*[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_SIZE = re.compile(r"![0-9]{1,20}[kmgtKMGT]?\Z")
# RFC 3986 without the comma and the exclamation mark, which RFC 9989 §4.8 wants encoded
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]{0,30}:[A-Za-z0-9\-._~:/?#\[\]@$&'()*+;=%]+\Z")
_KNOWN = frozenset(["v", "p", "sp", "np", "adkim", "aspf", "psd", "t", "rua", "ruf", "fo"])


@dataclass(frozen=True, slots=True)
class Record:
    """One record. Policies are what applies after all defaults: `policy` to the domain itself, `subdomains` to existing
    names below it, `missing` to names below it that do not exist.

    `usable` is False when it asks for nothing that can be understood (RFC 9989 §4.10.1): then DMARC does not apply.
    `psd`: "y", "n" or "u". Modes: "relaxed" or "strict". `rua`, `ruf`: valid URIs. `ignored`: tags without effect.
    """

    policy: str
    subdomains: str
    missing: str
    usable: bool
    dkim_mode: str
    spf_mode: str
    psd: str
    testing: bool
    rua: tuple[str, ...]
    ruf: tuple[str, ...]
    failure_options: tuple[str, ...]
    ignored: tuple[str, ...]
    text: str


@lru_cache(maxsize=2_048)
def parse(raw: bytes) -> Record | None:
    """Read one TXT record; None when it is no DMARC record at all."""
    text = raw.decode("utf-8", "replace")
    if not _VERSION.match(text):
        return None
    tags: dict[str, str] = {}
    for spec in text.split(";")[:MOST_TAGS]:
        name, equals, value = spec.partition("=")
        name = name.strip(" \t\r\n").lower()
        if not equals:
            continue  # RFC 9989 §4.8: syntax errors are dropped
        if name in tags:
            return None  # RFC 6376 §3.2, on which these lists are built: then the whole list is invalid
        tags[name] = value.strip(" \t\r\n")
    rua = _uris(tags.get("rua", ""))
    policies = _policies(tags)
    usable = policies is not None or bool(rua)
    own, subdomains, missing = policies or ("none", "none", "none")  # RFC 9989 §4.10.1: acts as p=none
    return Record(
        policy=own,
        subdomains=subdomains,
        missing=missing,
        usable=usable,
        dkim_mode=_mode(tags, "adkim"),
        spf_mode=_mode(tags, "aspf"),
        psd=_keyword(tags, "psd", ("y", "n", "u"), "u"),
        testing=_keyword(tags, "t", ("y", "n"), "n") == "y",
        rua=rua,
        ruf=_uris(tags.get("ruf", "")),
        failure_options=_failure_options(tags),
        ignored=tuple(name for name in tags if name not in _KNOWN),
        text=text,
    )


def _policies(tags: dict[str, str]) -> tuple[str, str, str] | None:
    """p, sp and np with their defaults; None when p is missing or one of them makes no sense."""
    values = {name: tags[name].lower() for name in ("p", "sp", "np") if name in tags}
    if "p" not in values or not set(values.values()) <= set(POLICIES):
        return None
    subdomains = values.get("sp", values["p"])
    return values["p"], subdomains, values.get("np", subdomains)


def _keyword(tags: dict[str, str], name: str, allowed: tuple[str, ...], default: str) -> str:
    value = tags.get(name, default).lower()
    return value if value in allowed else default


def _mode(tags: dict[str, str], name: str) -> str:
    return "strict" if _keyword(tags, name, ("r", "s"), "r") == "s" else "relaxed"


def _uris(text: str) -> tuple[str, ...]:
    found: list[str] = []
    for part in text.split(",")[:MOST_URIS]:
        uri = _SIZE.sub("", part.strip(" \t\r\n"))  # RFC 9989 §4.8: the size limit is obsolete
        if _URI.match(uri):
            found.append(uri)
    return tuple(found)


def _failure_options(tags: dict[str, str]) -> tuple[str, ...]:
    options = tuple(dict.fromkeys(option.strip().lower() for option in tags.get("fo", "0").split(":")))
    good = tuple(option for option in options if option in ("0", "1", "d", "s"))
    return good if good and not {"0", "1"} <= set(good) else ("0",)
