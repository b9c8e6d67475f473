"""Alias files, one for each domain, named after it: looked at on every lookup, read again when one has changed."""

from __future__ import annotations

import codecs
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from posthouse.address import AddressError, normal_domain
from posthouse.directory.alias_syntax import PIPE, Complaint, Entry, Target, included, odd, read

MOST_OCTETS = 32 * 1024 * 1024
MOST_INCLUDED = 4 * 1024 * 1024
MOST_KEPT = 1000  # files that are remembered

Stamp = tuple[int, int, int, int]  # device, inode, size, time of change (of mode, too) in ns


class FileTrouble(Exception):
    """A file is there and cannot be used; the text says which and why. Mail waits until it can."""


@dataclass(frozen=True, slots=True)
class AliasFile:
    """One file as it was read."""

    path: str
    entries: dict[str, Entry]
    complaints: tuple[Complaint, ...]

    @property
    def open_to_all(self) -> bool:
        """Whether anybody on this machine may write it now: its programs are not run then."""
        return _open_to_all(self.path)


_kept: dict[str, tuple[Stamp, AliasFile]] = {}
_lists: dict[str, tuple[Stamp, frozenset[str]]] = {}
_lock = threading.Lock()


def path_of(folder: str, domain: str) -> str:
    """Where the aliases of a domain (A-labels, lower case) would be."""
    return f"{folder}/{domain}"


def stamp(path: str) -> Stamp | None:
    """What tells one state of a file from another, some microseconds; None when there is no file."""
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_ctime_ns


def of_domain(folder: str, domain: str) -> AliasFile | None:
    """The aliases of a domain, None when it has no file. Raises FileTrouble."""
    if not folder or "/" in domain or domain in ("", ".", ".."):
        return None
    path = path_of(folder, domain)
    try:
        facts = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FileTrouble(f"{path}: {error.strerror}") from None
    now = facts.st_dev, facts.st_ino, facts.st_size, facts.st_ctime_ns
    known = _kept.get(path)
    if known is not None and known[0] == now:
        return known[1]
    if not stat.S_ISREG(facts.st_mode):
        raise FileTrouble(f"{path} is no file")
    entries, complaints = read(_text(path, MOST_OCTETS))
    made = AliasFile(path, entries, tuple(complaints))
    with _lock:
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        _kept[path] = now, made
    return made


def names_in(path: str) -> frozenset[str]:
    """The first word of each line of a file (lower case, without a `:` at its end). Raises FileTrouble."""
    now = stamp(path)
    if now is None:
        raise FileTrouble(f"{path}: no such file")
    known = _lists.get(path)
    if known is not None and known[0] == now:
        return known[1]
    lines = (line.split("#", 1)[0].split() for line in _text(path, MOST_OCTETS).splitlines())
    made = frozenset(words[0].rstrip(":").lower() for words in lines if words)
    if any(odd(name) for name in made):
        raise FileTrouble(f"{path} is not UTF-8")
    with _lock:
        if len(_lists) >= MOST_KEPT:
            _lists.clear()
        _lists[path] = now, made
    return made


def include(path: str, below: str) -> tuple[Target, ...]:
    """What an included file says. Raises FileTrouble when it is not below that folder, or cannot be read."""
    real, top = os.path.realpath(path), os.path.realpath(below)
    if not below or not real.startswith(top.rstrip("/") + "/"):
        raise FileTrouble(f":include:{path} is not below {below or 'any folder'}")
    targets = included(_text(real, MOST_INCLUDED))
    if any(one.kind == PIPE for one in targets) and _open_to_all(real):
        raise FileTrouble(
            f"{path} may be written by anybody on this machine, so its programs are not run; chmod o-w it"
        )
    return targets


def domains_with_files(folder: str) -> Iterator[tuple[str, str]]:
    """(domain, path) of every file in the folder that is named like a domain, by name."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        try:
            if normal_domain(name) == name and os.path.isfile(f"{folder}/{name}"):
                yield name, f"{folder}/{name}"
        except AddressError:
            continue


def _open_to_all(path: str) -> bool:
    """Whether anybody on this machine may write a file, or put another one in its place."""
    try:
        folder, own = os.stat(os.path.dirname(path) or ".").st_mode, os.stat(path).st_mode
    except OSError:
        return True
    replaced = bool(folder & stat.S_IWOTH) and not folder & stat.S_ISVTX
    return replaced or bool(own & stat.S_IWOTH)


def _text(path: str, most: int) -> str:
    try:
        with open(path, "rb") as file:
            octets = file.read(most + 1)
    except OSError as error:
        raise FileTrouble(f"{path}: {error.strerror}") from None
    if len(octets) > most:
        raise FileTrouble(f"{path} is larger than {most} bytes")
    # What is no UTF-8 harms its own entry alone (`odd`): old files have Latin-1 in comments, editors begin with a mark
    return octets.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
