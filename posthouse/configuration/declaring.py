"""How a setting is declared and what its value may be: type, kind and documentation in one place."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import field
from typing import Any
from urllib.parse import urlsplit

MIB = 1024 * 1024
MODES = ("off", "tag", "defer", "refuse")  # what a check at the door may lead to


class ConfigurationError(Exception):
    """The configuration file cannot be obeyed; the text names the file, the line, the setting and the rule."""


def setting(default: Any, doc: str, kind: str = "") -> Any:
    """Declare a setting: its default, its documentation and, where the type says too little, the kind of its value."""
    metadata = {"doc": doc, "kind": kind}
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def endpoint(text: str) -> tuple[str, int]:
    """Split `ADDRESS:PORT` or `[V6]:PORT`. Raises ValueError naming the rule."""
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([^:\[\]]+)):(\d{1,5})", text.strip())
    if not match:
        raise ValueError("must be ADDRESS:PORT, an IPv6 address in brackets")
    port = int(match[3])
    if port > 65535:
        raise ValueError("the port must be at most 65535")
    return match[1] or match[2], port


def check(kind: str, value: Any) -> None:
    """Raise ValueError with the rule that a value of this kind breaks."""
    if kind == "listen" or (kind == "host-port" and value):
        endpoint(value)
    elif kind == "networks" and not re.fullmatch(r"@[A-Za-z0-9_-]+", value):
        try:
            ipaddress.ip_network(value)
        except ValueError:
            raise ValueError(
                "must be networks in CIDR form, host bits zero, like 192.0.2.0/24, or @NAME of [networks]"
            ) from None
    elif kind == "domains":
        if not re.fullmatch(r"@[A-Za-z0-9_-]+|\.?[^\s@.:/]+(\.[^\s@.:/]+)*", value):
            raise ValueError("must be a domain, a domain behind a dot (all names below it), or @NAME of [domains]")
    elif kind == "glob":
        if not value.strip() or len(value) > 500 or value.count("*") > 10:
            raise ValueError("must be a pattern like /wp-* of at most 500 characters and 10 stars")
    elif kind == "mode":
        if value not in MODES:
            raise ValueError(f"must be one of {', '.join(MODES)}")
    elif kind == "url":
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError("must be an address that begins with http:// or https://")
    elif kind == "database-url" and value and not re.match(r"(sqlite:///.|postgres(ql)?://.)", value):
        raise ValueError("must begin with sqlite:/// or postgresql://")


def expanded(entries: Iterable[str], named: dict[str, list[str]]) -> list[str]:
    """The entries with every `@NAME` replaced by what that list holds, each once. Unknown names are left out."""
    found: dict[str, None] = {}
    seen: set[str] = set()

    def walk(some: Iterable[str]) -> None:
        for entry in some:
            if not entry.startswith("@"):
                found[entry] = None
            elif entry[1:] not in seen:
                seen.add(entry[1:])
                walk(named.get(entry[1:], []))

    walk(entries)
    return list(found)
