"""Lists of tags, `a=rsa-sha256; d=far.example` (RFC 6376 §3.2): of signatures, seals and keys."""

from __future__ import annotations

import binascii
import re

__all__ = ["TagError", "base64_of", "number_of", "read_tags", "without_blanks"]

MOST_TAGS = 100
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
# most tags have these names
_USUAL = frozenset(("v", "a", "b", "bh", "c", "d", "h", "i", "l", "q", "s", "t", "x", "z", "k", "n", "p", "cv"))
_CONTROLS = re.compile(r"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")


class TagError(ValueError):
    """The text is no list of tags, or a tag is missing or makes no sense; the text is a sentence."""


def read_tags(text: str) -> dict[str, str]:
    """The tags by name, in order, blanks around values removed. Raises TagError; names and values keep their case."""
    specs = text.split(";")
    if not specs[-1].strip(" \t\r\n"):
        specs.pop()  # a last semicolon is allowed
    if len(specs) > MOST_TAGS:
        raise TagError(f"more than {MOST_TAGS} tags")
    tags: dict[str, str] = {}
    for spec in specs:
        name, equals, value = spec.partition("=")
        name = name.strip(" \t\r\n")
        if not equals or (name not in _USUAL and not _NAME.match(name)):
            raise TagError(f"{spec.strip()[:40]!r} is no tag")
        if name in tags:
            raise TagError(f"the tag {name[:40]}= stands twice")  # RFC 6376 §3.2: then the whole list is invalid
        value = value.strip(" \t\r\n")
        tags[name] = value
    if _CONTROLS.search(text):
        raise TagError("a tag holds a control character")
    return tags


def without_blanks(text: str) -> str:
    """A value whose blanks mean nothing."""
    # four passes in C: several times faster than a table of letters
    return text.replace(" ", "").replace("\t", "").replace("\r", "").replace("\n", "")


def base64_of(tags: dict[str, str], name: str) -> bytes:
    """The octets of a base64 value, which must not be empty. Raises TagError."""
    try:
        octets = binascii.a2b_base64(without_blanks(tags[name]), strict_mode=True)
    except KeyError:
        raise TagError(f"the tag {name}= is missing") from None
    except (binascii.Error, ValueError):
        raise TagError(f"the tag {name}= is not base64") from None
    if not octets:
        raise TagError(f"the tag {name}= is empty")
    return octets


def number_of(tags: dict[str, str], name: str, most_digits: int = 12) -> int | None:
    """A decimal number, None when the tag is missing. Raises TagError."""
    text = tags.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= most_digits):
        raise TagError(f"the tag {name}= is no number")
    return int(text)
