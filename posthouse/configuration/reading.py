"""Reads posthouse.toml and says, with file and line, everything in it that cannot be obeyed."""

from __future__ import annotations

import os
import re
import tomllib
import typing
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from posthouse.configuration.declaring import ConfigurationError, check
from posthouse.configuration.front import check_service
from posthouse.configuration.leaving import check_leaving, contradictions
from posthouse.configuration.lookups import complaints
from posthouse.configuration.networks import misnamed_networks
from posthouse.configuration.outsiders import misstated
from posthouse.configuration.policy import misnamed_modes
from posthouse.configuration.routing import is_missing, misrouted
from posthouse.configuration.scanning import misused_scanners, misused_scanning
from posthouse.configuration.whole import Configuration

FILE_NAME = "posthouse.toml"


def find(explicit: str | None = None) -> Path | None:
    """The file to read: --config, POSTHOUSE_CONFIG, the working directory (or the trial's `var` in it), /etc/posthouse.

    None where there is none.

    Raises ConfigurationError when a file was named and does not exist.
    """
    named = explicit or os.environ.get("POSTHOUSE_CONFIG")
    if named:
        if not Path(named).is_file():
            raise ConfigurationError(f"{named}: no such file; create it or name another with --config")
        return Path(named)
    for place in (Path.cwd() / FILE_NAME, Path.cwd() / "var" / FILE_NAME, Path("/etc/posthouse") / FILE_NAME):
        if place.is_file():
            return place
    return None


def load(path: Path | None) -> Configuration:
    """Read and check a file; None gives the defaults. Raises ConfigurationError with every complaint, a line each."""
    if path is None:
        return Configuration()
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: is not TOML: {error}") from error
    values.setdefault("data_directory", Configuration.data_directory)  # the default, too, is relative to the file
    reader = _Reader(path, text)
    result = reader.section(Configuration, values, ())
    if not reader.complaints:
        reader.together(result)
    if reader.complaints:
        raise ConfigurationError("\n".join(reader.complaints))
    return typing.cast(Configuration, result)


class _Reader:
    """Turns the parsed TOML into dataclasses and collects complaints with their lines."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.lines, self.complaints = path, text.splitlines(), list[str]()

    def complain(self, keys: tuple[str, ...], rule: str) -> None:
        self.complaints.append(f"{self.path}, line {self.line(keys)}: {'.'.join(keys)} {rule}")

    def line(self, keys: tuple[str, ...]) -> int:
        """The line a key stands on, else what it is missing in: tomllib does not tell, so look for them."""
        found = (self._line(keys[:count]) for count in range(len(keys), 0, -1))
        return next((line for line in found if line), 1)

    def _line(self, keys: tuple[str, ...]) -> int:
        """The line of a heading, or of a key below its table's heading; 0 where there is none."""
        table = ""
        for number, line in enumerate(self.lines, 1):
            heading = re.match(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?$", line)
            if heading:
                table = heading[1].replace('"', "").replace(" ", "")
                if table == ".".join(keys).replace(" ", ""):
                    return number
                continue
            key = re.match(r"\s*([\w.\-\"]+)\s*=", line)
            if key:
                full = f"{table}.{key[1]}" if table else key[1]
                if full.replace('"', "") == ".".join(keys):
                    return number
        return 0

    def section(self, kind: type[Any], values: dict[str, Any], above: tuple[str, ...]) -> Any:
        """One table as its dataclass."""
        known = {item.name: item for item in fields(kind)}
        hints = typing.get_type_hints(kind)
        given: dict[str, Any] = {}
        for name, value in values.items():
            keys = (*above, name)
            if name not in known:
                self.complain(keys, f"is not a setting; known here: {', '.join(sorted(known))}")
            else:
                given[name] = self.any_value(keys, hints[name], known[name].metadata.get("kind", ""), value)
        for name, item in known.items():  # a default, too, is relative to the file
            if name not in given and item.metadata.get("kind") == "path" and isinstance(item.default, str):
                given[name] = self.path_of(item.default) if item.default else ""
            elif name not in values and is_dataclass(hints[name]):
                given[name] = self.section(typing.cast("type[Any]", hints[name]), {}, (*above, name))
        return kind(**given)

    def any_value(self, keys: tuple[str, ...], hint: Any, kind: str, value: Any) -> Any:
        """A table, a table of named things, or one value."""
        if is_dataclass(hint) or typing.get_origin(hint) is dict:
            if not isinstance(value, dict):
                self.complain(keys, f"must be a table: [{'.'.join(keys)}]")
                return hint()
            if is_dataclass(hint):
                return self.section(typing.cast("type[Any]", hint), value, keys)
            inner = typing.get_args(hint)[1]
            return {name: self.any_value((*keys, name), inner, kind, one) for name, one in value.items()}
        return self.value(keys, hint, kind, value)

    def value(self, keys: tuple[str, ...], hint: Any, kind: str, value: Any) -> Any:
        """One value, checked for type and kind; paths are made absolute."""
        if hint is float and type(value) is int:
            value = float(value)
        if hint == list[str]:
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                self.complain(keys, 'must be a list of strings: ["...", "..."]')
                return []
        elif type(value) is not hint:
            self.complain(keys, f"must be {_NAMES[hint]}, not {value!r}")
            return value
        elif hint in (int, float) and value < 0:
            self.complain(keys, "must not be negative")
        for item in value if isinstance(value, list) else [value]:
            try:
                check(kind, item)
                check_leaving(kind, item)
                check_service(kind, item)
            except ValueError as error:
                self.complain(keys, f"{error}: {item!r}")
        if kind == "path" and isinstance(value, list):
            return [self.path_of(item) for item in value]
        if kind == "path" and value:
            return self.path_of(value)
        if kind == "database-url" and value.startswith("sqlite:///"):
            return f"sqlite:///{(self.path.parent / value.removeprefix('sqlite:///')).resolve()}"
        if kind == "url":
            return value.rstrip("/")
        return value

    def path_of(self, text: str) -> str:
        """A path as seen from the directory of the file. Symbolic links stay: ACME clients lead them to new files."""
        return os.path.abspath(self.path.parent / os.path.expanduser(text))

    def together(self, configuration: Configuration) -> None:
        """Rules about several settings."""
        tls = configuration.tls
        if bool(tls.certificate) != bool(tls.key):
            self.complain(("tls", "certificate" if tls.certificate else "key"), "needs both certificate and key")
        for name in ("certificate", "key"):
            path = getattr(tls, name)
            if path and is_missing(path):
                self.complain(("tls", name), f"names a file that does not exist: {path}")
        for keys, rule in misrouted(configuration.routing, configuration.pipes):
            self.complain(keys, rule)
        for keys, rule in complaints(configuration.lookups):
            self.complain(keys, rule)
        for keys, rule in misused_scanners(configuration.scanners):
            self.complain(keys, rule)
        for keys, rule in misused_scanning(configuration.scanning):
            self.complain(keys, rule)
        for keys, rule in misstated(configuration.dns_lists, configuration.verification):
            self.complain(keys, rule)
        for keys, rule in misnamed_modes(configuration.policy, configuration.networks):
            self.complain(keys, rule)
        for name, rule in misnamed_networks(configuration):
            self.complain(tuple(name.split(".")), rule)
        for keys, rule in contradictions(configuration):
            self.complain(keys, rule)
        if configuration.reception.submissions and not tls.certificate and not configuration.trial:
            self.complain(("reception", "submissions"), "needs [tls] certificate and key")
        if configuration.limits.hard_errors < configuration.limits.soft_errors:
            self.complain(("limits", "hard_errors"), "must not be below soft_errors")


_NAMES: dict[Any, str] = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}
