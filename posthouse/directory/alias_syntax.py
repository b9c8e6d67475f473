"""The language of aliases: what a file says for each name, and what one name leads to; whatever is wrong is kept, too.

`name: target, target` with continuation on lines that begin with white space, comments behind `#`, and quotes. A target
is an address (without a domain: of the domain at hand), `:include:/file`, `:fail: text`, `:defer: text`, `:blackhole:`
or `|command`. A name that cannot be understood leads to an `error`, never to nowhere: mail for it waits.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from posthouse.address import AddressError, parse

ADDRESS, INCLUDE, FAIL, DEFER, BLACKHOLE, PIPE, ERROR = (
    "address", "include", "fail", "defer", "blackhole", "pipe", "error"
)  # fmt: skip
CATCH_ALL = "*"
MOST_TARGETS = 1000
LONGEST = 64 * 1024  # characters of what one name leads to
_HEAD = 400  # characters in which a name, and the word that begins a reason, stand
_FILES = "mail may not be written to files: {}; hand it to a program, or to an address"
_NAME = re.compile(r'(?:"((?:[^"\\]|\\.)+)"|([^\s:"#,|/][^:"]*?))\s*:(.*)\Z', re.DOTALL)
_REASON = re.compile(r":\s*:(fail|defer):", re.IGNORECASE)  # a `#` in a reason is no comment
_ODD = re.compile("[\ud800-\udfff]")  # octets that are no UTF-8, as `surrogateescape` reads them
_SPECIAL = re.compile(r":(include|fail|defer|blackhole):\s*(.*)\Z", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """One place a name leads to; `text` is the address, path, command, reason or, of an error, what is wrong."""

    kind: str
    text: str = ""

    def __str__(self) -> str:
        if self.kind == ADDRESS or self.kind == ERROR:
            return self.text
        if self.kind == PIPE:
            return quoted(f"|{self.text}")
        return f":{self.kind}: {self.text}".rstrip() if self.kind != INCLUDE else f":include:{self.text}"


_NOT_UTF_8 = Target(ERROR, "it is not UTF-8")


@dataclass(frozen=True, slots=True)
class Entry:
    """What a file says of one name; `line` is where."""

    name: str
    targets: tuple[Target, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something in a file that cannot be obeyed. `waits`: mail for a name waits until it is mended."""

    line: int
    sentence: str
    waits: bool = False


def read(text: str) -> tuple[dict[str, Entry], list[Complaint]]:
    """The entries of an alias file by name (lower case), and what is wrong with it; a name's first entry holds."""
    entries: dict[str, Entry] = {}
    complaints: list[Complaint] = []
    for line, joined in _logical(text):
        match = _NAME.match(joined)
        name = (re.sub(r"\\(.)", r"\1", match[1]) if match[1] else match[2]).lower() if match else ""
        if match is None or odd(name) or not _is_local_part(name, bool(match[1])):
            complaints.append(Complaint(line, f"no `name: targets`, the name without its domain: {joined[:60]!r}"))
            continue
        if name in entries:
            complaints.append(Complaint(line, f"{name} stands on line {entries[name].line} already, which holds"))
            continue
        targets = targets_of(match[3])
        complaints += [Complaint(line, f"{name}: {one.text}", waits=True) for one in targets if one.kind == ERROR]
        entries[name] = Entry(name, targets, line)
    return entries, complaints


def targets_of(text: str) -> tuple[Target, ...]:
    """What the right side of an alias says. Never raises: what is wrong is a target of the kind `error`."""
    if len(text) > LONGEST:
        return (Target(ERROR, f"longer than {LONGEST} characters"),)
    if odd(text):
        return (_NOT_UTF_8,)
    special = _SPECIAL.match(text.strip())
    if special and special[1].lower() in (FAIL, DEFER):  # the reason goes to the end, commas and all
        return (Target(special[1].lower(), " ".join(special[2].split())[:400]),)
    found: dict[Target, None] = {}
    for word in _words(text):
        found[_target(word)] = None
        if len(found) > MOST_TARGETS:
            return (Target(ERROR, f"more than {MOST_TARGETS} targets"),)
    return tuple(found) or (Target(ERROR, "no target"),)


def included(text: str) -> tuple[Target, ...]:
    """What a file named by `:include:` says: targets, one or more in a line, with comments. It may say nothing."""
    found: dict[Target, None] = {}
    for line in text.splitlines():
        for word in _words(_without_comment(line)):
            found[_NOT_UTF_8 if odd(word) else _target(word)] = None
            if len(found) > MOST_TARGETS:
                return (Target(ERROR, f"more than {MOST_TARGETS} targets"),)
    return tuple(found)


def quoted(word: str) -> str:
    """A word as an alias file writes it when it holds blanks or commas."""
    if not re.search(r'[\s,"#\\]', word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def odd(text: str) -> bool:
    """Whether octets were no UTF-8."""
    return not text.isascii() and _ODD.search(text) is not None


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """(line, whole entry): lines that begin with white space, or follow a backslash, go on."""
    begun, whole, goes_on = 0, "", False
    for number, line in enumerate(text.splitlines(), 1):
        if "#" in line and not _REASON.search((whole if goes_on or line[:1] in " \t" else line)[:_HEAD]):
            line = _without_comment(line)
        stripped = line.strip()
        if stripped and whole and (goes_on or line[:1] in " \t"):
            if len(whole) <= LONGEST + _HEAD:  # more is an error anyway
                whole += " " + stripped.removesuffix("\\").rstrip()
        elif stripped:
            if whole:
                yield begun, whole
            begun, whole = number, stripped.removesuffix("\\").rstrip()
        goes_on = stripped.endswith("\\")
    if whole:
        yield begun, whole


def _without_comment(line: str) -> str:
    """A line up to a `#` that stands at its begin, or behind a blank or a comma, and not inside quotes."""
    inside = False
    for position, letter in enumerate(line):
        if letter == '"' and line[position - 1 : position] != "\\":
            inside = not inside
        elif letter == "#" and not inside and (position == 0 or line[position - 1] in " \t,"):
            return line[:position]
    return line


def _words(text: str) -> Iterator[str]:
    """The targets between commas, with their quotes."""
    if '"' not in text:
        yield from filter(None, (word.strip() for word in text.split(",")))
        return
    word, inside, position = "", False, 0
    while position < len(text):
        letter = text[position]
        if letter == "\\" and inside and position + 1 < len(text):
            position += 1
            word += letter + text[position]
        elif letter == "," and not inside:
            if word.strip():
                yield word.strip()
            word = ""
        else:
            inside ^= letter == '"'
            word += letter
        position += 1
    if word.strip():
        yield word.strip()


def _target(word: str) -> Target:
    whole = re.fullmatch(r'"((?:[^"\\]|\\.)*)"', word, re.DOTALL)
    plain = re.sub(r"\\(.)", r"\1", whole[1]).strip() if whole else word
    if plain.startswith("|"):
        return _pipe(plain[1:].strip())
    if plain == "/dev/null":
        return Target(ERROR, "mail may not be written to files, not even to /dev/null: write :blackhole:")
    if plain.startswith(("/", "~")):
        return Target(ERROR, _FILES.format(plain[:100]))
    special = _SPECIAL.match(plain)
    if special:
        kind, rest = special[1].lower(), special[2].strip()
        if kind == INCLUDE and not rest.startswith("/"):
            return Target(ERROR, f":include: needs the whole path of a file, not {rest[:100]!r}")
        if kind in (FAIL, DEFER):
            return Target(ERROR, f":{kind}: must be all that a name leads to")
        return Target(kind, rest if kind == INCLUDE else "")
    angle = re.search(r"<([^<>]+)>\s*\Z", word)
    return _address(angle[1].strip() if angle else word)


def _address(text: str) -> Target:
    try:
        parse(text if "@" in text else f"{text}@example.org")
    except AddressError as error:
        return Target(ERROR, f"{text[:100]!r} is no address: {error.rule}")
    return Target(ADDRESS, text)


def _pipe(command: str) -> Target:
    if command.startswith('"') and command.endswith('"') and len(command) > 1:  # |"command words"
        command = re.sub(r"\\(.)", r"\1", command[1:-1])
    try:
        words = shlex.split(command)
    except ValueError as error:
        return Target(ERROR, f"the command {command[:100]!r} cannot be read: {error}")
    if not words or not words[0].startswith("/") or "\0" in command:
        return Target(ERROR, f"a command begins with the whole path of a program, not {command[:100]!r}")
    return Target(PIPE, command)


def _is_local_part(name: str, in_quotes: bool) -> bool:
    if name == CATCH_ALL:
        return True
    text = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"' if in_quotes else name
    try:
        return parse(f"{text}@example.org").local_part == name
    except AddressError:
        return False
