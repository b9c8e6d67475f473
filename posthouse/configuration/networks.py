"""Named lists of networks: they may include each other, and every list of networks may name them as `@NAME`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from posthouse.configuration.whole import Configuration


def misnamed_networks(configuration: Configuration) -> Iterator[tuple[str, str]]:
    """(setting, rule) for each `@NAME` that no table defines."""
    for name, kind, entries in _lists(configuration, ""):
        known = configuration.networks if kind == "networks" else configuration.domains
        table = "networks" if kind == "networks" else "domains"
        for entry in entries:
            if entry.startswith("@") and entry[1:] not in known:
                yield name, f"names {entry}, which is not in [{table}]; known there: {', '.join(sorted(known)) or '-'}"


def _lists(section: Any, above: str) -> Iterator[tuple[str, str, list[str]]]:
    for item in fields(section):
        value, kind = getattr(section, item.name), item.metadata.get("kind", "")
        name = f"{above}{item.name}"
        if is_dataclass(value):
            yield from _lists(value, f"{name}.")
        elif isinstance(value, dict):
            for key, one in value.items():
                if is_dataclass(one):
                    yield from _lists(one, f"{name}.{key}.")
                elif isinstance(one, list) and kind in ("networks", "domains"):
                    yield f"{name}.{key}", kind, one
        elif isinstance(value, list) and kind in ("networks", "domains"):
            yield name, kind, value
