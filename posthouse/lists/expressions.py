"""Expressions that owners write: checked when they are kept, searched in bounded time, never trusted to end."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from posthouse.address import AddressError, key_of, normal_domain

if TYPE_CHECKING:
    import regex

LONGEST = 500  # characters of an expression
READ = 10_000  # characters of a text that are searched
ONE_SEARCH = 0.05  # seconds
ALL_SEARCHES = 0.5  # seconds, for one posting: the list's other mail waits meanwhile
MOST_WRITTEN_OUT = 5_000  # letters, groups and the like when every counted repetition is written out
_TRIED_ON = 1_000  # characters of the texts an expression is tried on before it is kept
_TRIAL = 0.03
# An escaped letter or property, a class of letters, a repetition with its numbers, or any letter.
_PIECE = re.compile(r"\\[pPN]\{[^}]*\}|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{([0-9]*,?[0-9]*)\}[?+]?|.", re.DOTALL)
# Comments, POSIX classes and classes in classes: where they end is not looked for.
_TANGLED = re.compile(r"\[:|\(\?(?:#|[A-Za-z0-9-]*V)")


def checked(pattern: str) -> str:
    """An expression as it is kept. Raises ValueError with the rule it breaks, as the rest of a sentence."""
    if len(pattern) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} characters")
    import regex

    # Recursion and fuzzy matching cost without bounds, and no list needs them.
    if regex.search(r"\(\?(?:R|&|P>|[+-]?\d)", pattern):
        raise ValueError("refers to itself, which is not allowed here")
    if regex.search(r"(?<!\\[pPNLx])\{[^{}]*[A-Za-z<][^{}]*\}", pattern):
        raise ValueError("asks for approximate matches, which are not allowed here")
    if regex.search(r"\(\?[A-Za-z0-9]*x", pattern):  # what is measured below must be what is compiled
        raise ValueError("asks for spaces without meaning (x), which are not allowed here")
    if _written_out(pattern) > MOST_WRITTEN_OUT:
        raise ValueError("repeats too much too often: lower the numbers in braces")
    try:
        compiled = _compiled(pattern)
    except (regex.error, RecursionError, OverflowError, MemoryError) as error:
        raise ValueError(f"is no regular expression: {error}") from None
    letters = "".join(dict.fromkeys(letter for letter in pattern if letter.isalnum()))[:4]
    for letter in f"{letters}a .":
        try:
            compiled.search(letter * _TRIED_ON + "!", timeout=_TRIAL)
        except TimeoutError:
            raise ValueError("takes too long on some texts: avoid repetitions inside repetitions") from None
    return pattern


def _written_out(pattern: str) -> int:
    """How large an expression is with its counted repetitions written out, at most: the compiler does write them out,
    and a few of them in one another would take all the memory there is. 0 for what cannot be that large."""
    if "{" not in pattern:
        return 0
    if _TANGLED.search(pattern):
        counts = [int(number) for number in re.findall(r"[0-9]+", pattern)]
        return len(pattern) * math.prod(max(1, one) for one in counts)
    sizes, last = [0], 0  # of the groups that are open, and of what a repetition would repeat
    for found in _PIECE.finditer(pattern):
        piece = found[0]
        if piece == "(":
            sizes.append(0)
            last = 0
            continue
        if piece == ")" and len(sizes) > 1:
            last = sizes.pop() + 1
        elif found[1] is not None:
            counts = [int(number) for number in found[1].split(",") if number]
            more = last * max(counts, default=1)
            sizes[-1] += more - last
            last = more
            continue
        else:
            last = 1
        sizes[-1] += last
    return sum(sizes)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> regex.Pattern[str]:
    import regex  # not before the first expression: most houses have none

    if _written_out(pattern) > MOST_WRITTEN_OUT:  # kept by an older version
        raise MemoryError
    return regex.compile(pattern, regex.IGNORECASE | regex.V0)


class Patience:
    """The time that expressions may take for one posting; what takes longer is given up and remembered."""

    def __init__(self, seconds: float = ALL_SEARCHES, clock: Callable[[], float] = time.perf_counter) -> None:
        self.left, self._clock = seconds, clock
        self.given_up: list[str] = []

    def finds(self, pattern: str, text: str) -> bool:
        """Whether the expression occurs in the text, in any case; False when there was no time to know."""
        if self.left <= 0:
            self.given_up.append(pattern)
            return False
        begun = self._clock()
        try:
            return _compiled(pattern).search(text[:READ], timeout=min(ONE_SEARCH, self.left)) is not None
        except (TimeoutError, RecursionError, MemoryError):
            self.given_up.append(pattern)
            return False
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "regex":
                raise
            self.given_up.append(pattern)  # it was kept by an older version, and is no expression any more
            return False
        finally:
            self.left -= self._clock() - begun


def checked_sender(item: str) -> str:
    """An address, `@domain`, `@list@domain` or `^expression` as it is kept. Raises ValueError with the rule."""
    if item.startswith("^"):
        return checked(item)
    try:
        if not item.startswith("@"):
            return key_of(item)
        return f"@{key_of(item[1:])}" if "@" in item[1:] else f"@{normal_domain(item[1:])}"
    except AddressError as error:
        raise ValueError(f"is no address, @domain, @list@domain or ^expression: {error.rule}") from None


def checked_alias(item: str) -> str:
    """An address, a local part or a `^expression` as it is kept. Raises ValueError with the rule."""
    if item.startswith("^"):
        return checked(item)
    try:
        return key_of(item) if "@" in item else key_of(f"{item}@example.com").rpartition("@")[0]
    except AddressError as error:
        raise ValueError(f"is no address, local part or ^expression: {error.rule}") from None


def checked_header(item: str) -> str:
    """`field: expression` as it is kept. Raises ValueError with the rule."""
    name, colon, pattern = item.partition(":")
    name = checked_field_name(name)
    if not colon or not pattern.strip():
        raise ValueError("is not written like `X-Spam-Flag: ^yes`")
    return f"{name}: {checked(pattern.strip())}"


def checked_field_name(name: str) -> str:
    """The name of a header field in lower case. Raises ValueError with the rule."""
    name = name.strip().rstrip(":").lower()
    if not name or len(name) > 76 or not all("!" <= letter <= "~" and letter != ":" for letter in name):
        raise ValueError("names no header field")
    return name


def checked_topic(item: str) -> str:
    """`name: expression` as it is kept. Raises ValueError with the rule."""
    name, colon, expression = item.partition(":")
    name = " ".join(name.split())
    if not name or len(name) > 60 or not colon or not expression.strip() or "," in name:
        raise ValueError("is not written like `Tomatoes: tomato|paradeiser`")
    return f"{name}: {checked(expression.strip())}"
