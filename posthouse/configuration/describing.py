"""What is in force, written as the file would say it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from posthouse.configuration.whole import Configuration


def describe(configuration: Configuration, secrets: bool = False) -> str:
    """Every setting that is in force, as TOML with its documentation; passwords are hidden unless `secrets`."""
    lines: list[str] = []
    tables: list[tuple[str, Any]] = [("", configuration)]
    for table, section in tables:
        if table:
            lines += ["", f"[{table}]"]
        if isinstance(section, dict):
            lines += [f"{_key(name)} = {toml(value, secrets)}" for name, value in section.items()]
            continue
        for item in fields(section):
            value, name = getattr(section, item.name), f"{table}.{item.name}" if table else item.name
            if is_dataclass(value):
                tables.append((name, value))
            elif isinstance(value, dict):
                tables += list(_named(name, value))
            else:
                secret = item.metadata["kind"] == "secret" and value and not secrets
                lines.append(f"# {item.metadata['doc']}")
                lines.append(f"{item.name} = {toml('***' if secret else value, secrets)}")
    return "\n".join(lines) + "\n"


def _named(table: str, values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The tables of things that have names of their own."""
    if any(is_dataclass(one) or isinstance(one, dict) for one in values.values()):
        for name, one in values.items():
            yield f"{table}.{_key(name)}", one
    elif values:
        yield table, values


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def toml(value: Any, secrets: bool = False) -> str:
    """A value as TOML writes it; the password of a URL is hidden unless `secrets`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item, secrets) for item in value) + "]"
    if isinstance(value, str):
        return json.dumps(value if secrets else re.sub(r"(://[^:/@]+:)[^@]*@", r"\1***@", value), ensure_ascii=False)
    return str(value)
