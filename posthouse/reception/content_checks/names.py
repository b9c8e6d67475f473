"""File names with endings that start a program, given to an attachment or listed in a ZIP archive."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator

from posthouse.message.mime import parameters_of, safe_filename

MOST_LISTED = 10_000  # names of one archive that are looked at
MOST_NAME = 1024
_ENTRY = b"PK\x01\x02"  # an entry of the central directory (APPNOTE.TXT 4.3.12)
_FIXED = 46
_LENGTHS = struct.Struct("<HHH")
_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")


class Endings:
    """The endings of file names that are not wanted."""

    def __init__(self, endings: Iterable[str]) -> None:
        self._endings = frozenset(one.lower().lstrip(".") for one in endings if one.strip("."))

    def __bool__(self) -> bool:
        return bool(self._endings)

    def bad(self, name: str) -> bool:
        """Whether a name ends so. Dots and spaces at its end, paths and letters nobody sees do not help it."""
        # Windows drops what stands behind a colon (a stream), and dots and spaces at the end.
        last = name.replace("\\", "/").rstrip("/ .\t").rpartition("/")[2]
        name = _INVISIBLE.sub("", safe_filename(f"x{last}")).partition(":")[0].rstrip(" .")
        _, dot, ending = name.rpartition(".")
        return bool(dot) and ending.strip().lower() in self._endings


def names_of(content_type: str, disposition: str) -> Iterator[str]:
    """Every name that a reader may take for the file's (RFC 2183 §2.3, RFC 2046 §4.5.1, RFC 2231)."""
    for value, wanted in ((disposition, "filename"), (content_type, "name")):
        if ";" in value:
            name = parameters_of(value).get(wanted)
            if name:
                yield name


class Listing:
    """Finds the names in a ZIP archive's directory as its octets pass; they are readable even where it is encrypted.

    The directory is found by its marks, so an archive with something before it, or in another, is listed too.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._count = 0

    def feed(self, octets: bytes) -> Iterator[str]:
        """The names that are complete with these octets."""
        data = self._rest + octets
        position = 0
        while self._count < MOST_LISTED:
            at = data.find(_ENTRY, position)
            if at < 0:
                position = max(position, len(data) - len(_ENTRY) + 1)
                break
            if at + _FIXED > len(data):
                position = at
                break
            length = min(_LENGTHS.unpack_from(data, at + 28)[0], MOST_NAME)
            if at + _FIXED + length > len(data):
                position = at
                break
            self._count += 1
            yield data[at + _FIXED : at + _FIXED + length].decode("utf-8", "replace")
            position = at + len(_ENTRY)
        self._rest = data[position:] if self._count < MOST_LISTED else b""
