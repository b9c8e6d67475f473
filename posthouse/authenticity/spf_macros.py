"""Macros of SPF (RFC 7208 §7): read once when a record is parsed, expanded for each message."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

__all__ = ["IN_EXPLANATION", "IN_RECORD", "Expansion", "Macro", "MacroError", "expand", "read", "shorten"]

IN_RECORD = frozenset("slodiphv")
IN_EXPLANATION = IN_RECORD | frozenset("crt")  # RFC 7208 §7.2: c, r and t only in the text of an explanation
MOST_OCTETS = 253  # of a name, RFC 7208 §7.3
MOST_EXPANDED = 4_096  # characters of any expansion; what is longer is cut, for no name and no reply is

_PIECE = re.compile(
    r"%\{([A-Za-z])([0-9]{0,3})([rR]?)([.\-+,/_=]{0,64})\}"  # macro-expand
    r"|%([%_\-])"
    r"|([^%]+)"
)
_ESCAPED = {"%": "%", "_": " ", "-": "%20"}
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class MacroError(ValueError):
    """A macro string breaks the grammar of RFC 7208 §7.1; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Macro:
    """One `%{...}`: which value, how many right-hand parts (0: all), reversed, split where, URL-escaped."""

    letter: str
    parts: int
    reverse: bool
    delimiters: str
    escape: bool


Expansion = tuple[str | Macro, ...]


def read(text: str, letters: frozenset[str]) -> Expansion:
    """The pieces of a macro string. Raises MacroError; which characters may stand outside macros is not judged here."""
    pieces: list[str | Macro] = []
    position = 0
    while position < len(text):
        found = _PIECE.match(text, position)
        if found is None:
            raise MacroError(f"{text[position : position + 12]!r} is no macro")
        position = found.end()
        letter, digits, reverse, delimiters, escaped, literal = found.groups()
        if literal is not None:
            pieces.append(literal)
        elif escaped is not None:
            pieces.append(_ESCAPED[escaped])
        else:
            if letter.lower() not in letters:
                raise MacroError(f"the macro letter {letter!r} is not allowed here")
            if digits and int(digits) == 0:
                raise MacroError("a macro keeps at least one part")  # RFC 7208 §7.1: the digit must not be zero
            pieces.append(Macro(letter.lower(), int(digits or 0), bool(reverse), delimiters or ".", letter.isupper()))
    return tuple(pieces)


async def expand(pieces: Expansion, value_of: Callable[[str], Awaitable[str]]) -> str:
    """The text with every macro replaced; `value_of` gives the value of a letter (RFC 7208 §7.2)."""
    out: list[str] = []
    length = 0
    for piece in pieces:
        text = piece if isinstance(piece, str) else transform(piece, await value_of(piece.letter))
        out.append(text)
        length += len(text)
        if length > MOST_EXPANDED:
            break
    return "".join(out)[:MOST_EXPANDED]


def transform(macro: Macro, value: str) -> str:
    """One macro's value: split, reversed, shortened and escaped (RFC 7208 §7.3)."""
    if macro.parts or macro.reverse or macro.delimiters != ".":
        parts = re.split("[" + re.escape(macro.delimiters) + "]", value)
        if macro.reverse:
            parts.reverse()
        value = ".".join(parts[-macro.parts :])  # 0 keeps all
    if macro.escape:
        value = "".join(
            letter if letter in _UNRESERVED else "".join(f"%{octet:02X}" for octet in letter.encode("utf-8", "replace"))
            for letter in value
        )
    return value


def shorten(name: str) -> str:
    """A domain name without its final dot, cut from the left by whole labels to 253 octets (RFC 7208 §7.3)."""
    name = name[:-1] if name.endswith(".") else name
    while len(name) > MOST_OCTETS:
        _, dot, rest = name.partition(".")
        if not dot:
            break
        name = rest
    return name
