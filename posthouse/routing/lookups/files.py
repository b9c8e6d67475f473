"""Maps in files: cdb for large ones, flat ones for small; a file that was replaced counts at the next lookup."""

from __future__ import annotations

import mmap
import os
import re
import struct
import threading
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from posthouse.configuration import Lookup
from posthouse.configuration.lookups import PLACES
from posthouse.routing.lookups.sources import MOST_VALUES, TooMany

Opened = TypeVar("Opened")
_PLACE = re.compile(rf":({'|'.join(PLACES)})\b")
_TABLES = 256
_LARGEST_FLAT = 64 * 1024 * 1024


class BadFile(Exception):
    """The file is not what it should be."""


class _Kept(Generic[Opened]):
    """A file as it was opened, until another has its name."""

    def __init__(self, settings: Lookup) -> None:
        self._keys = settings.keys
        self._kept: tuple[tuple[int, int, int, int], Opened] | None = None
        self._lock = threading.Lock()

    def _current(self, path: str) -> Opened:
        facts = os.stat(path)
        now = facts.st_dev, facts.st_ino, facts.st_size, facts.st_ctime_ns
        with self._lock:
            if self._kept is None or self._kept[0] != now:
                self._kept = now, self._open(path)
            return self._kept[1]

    def _open(self, path: str) -> Opened:
        raise BadFile(path)

    def _find(self, opened: Opened, key: str) -> list[str]:
        raise BadFile(key)

    def ask(self, server: str, values: Mapping[str, str]) -> tuple[bool, list[str]]:
        """The values of the first key that is there. Raises OSError, BadFile."""
        opened = self._current(server)
        for pattern in self._keys:
            found = self._find(opened, _PLACE.sub(lambda match: values[match[1]], pattern))
            if found:
                return True, [value for value in found if value.strip()]
        return False, []

    def close(self) -> None:
        """Forget the file."""
        with self._lock:
            self._kept = None


class Flat(_Kept[dict[str, list[str]]]):
    """Lines of `key: value` or `key value`; keys in any case, `#` begins a comment line."""

    def _open(self, path: str) -> dict[str, list[str]]:
        if os.path.getsize(path) > _LARGEST_FLAT:
            raise BadFile(f"{path} is larger than {_LARGEST_FLAT} bytes; make a cdb of it")
        found: dict[str, list[str]] = {}
        with open(path, encoding="utf-8") as file:
            for line in file:
                match = re.match(r"([^\s:#]+)\s*:?\s*(.*?)\s*\Z", line)
                if match:
                    found.setdefault(match[1].lower(), []).append(match[2])
        return found

    def _find(self, opened: dict[str, list[str]], key: str) -> list[str]:
        return opened.get(key, [])


class Cdb(_Kept[mmap.mmap]):
    """A constant database: 256 tables of (hash, position), then records, all little-endian; read where it lies."""

    def _open(self, path: str) -> mmap.mmap:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size < _TABLES * 8:
                raise BadFile(f"{path} is no cdb")
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def _find(self, opened: mmap.mmap, key: str) -> list[str]:
        found: list[str] = []
        try:
            for value in _values(opened, key.encode("utf-8")):
                found.append(value.decode("utf-8"))
                if len(found) > MOST_VALUES:
                    raise TooMany(f"more than {MOST_VALUES} values")
        except struct.error:
            raise BadFile("the cdb is cut off") from None
        return found


def _values(octets: mmap.mmap, key: bytes) -> Iterator[bytes]:
    """Every record of the key, in the order of the file."""
    number = 5381
    for octet in key:
        number = ((number << 5) + number ^ octet) & 0xFFFFFFFF
    table, slots = struct.unpack_from("<II", octets, (number % _TABLES) * 8)
    if table + slots * 8 > len(octets):
        raise BadFile("the cdb is cut off")
    for step in range(slots):
        slot = table + ((number >> 8) + step) % slots * 8
        found, position = struct.unpack_from("<II", octets, slot)
        if not position:
            return
        if found != number:
            continue
        key_size, value_size = struct.unpack_from("<II", octets, position)
        begin = position + 8
        if begin + key_size + value_size > len(octets):
            raise BadFile("the cdb is cut off")
        if octets[begin : begin + key_size] == key:
            yield octets[begin + key_size : begin + key_size + value_size]
