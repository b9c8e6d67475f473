"""What kinds of settings there are, and how the text of each becomes a value or a refusal that names the rule."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from django.contrib.auth.hashers import make_password

from posthouse.lists.errors import BadSetting

Value = str | int | float | bool

LINE, TEXT, BOOL, CHOICE, NUMBER = "line", "text", "yes or no", "choice", "number"
# Several lines of one item each; a time in seconds, written like 7d or 1d12h; a decimal number; kept as a hash only.
ITEMS, DURATION, DECIMAL, SECRET = "items", "duration", "decimal", "secret"
LINES = "lines"  # like ITEMS, but only line breaks part them: expressions may hold commas
ACTIONS = ("accept", "defer", "hold", "reject", "discard")
_YES = {"yes", "true", "on", "1", "y"}
_NO = {"no", "false", "off", "0", "n"}
_LONGEST = {LINE: 255, TEXT: 16_384, ITEMS: 65_536, LINES: 65_536, SECRET: 255}
_PARTS = re.compile(r"(\d{1,9})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_LARGEST = 2_000_000


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `values`: what a choice can be; `default`: in the style `discussion`."""

    name: str
    kind: str
    default: Value
    doc: str
    values: tuple[str, ...] = ()
    check: Callable[[str], str] | None = None  # of ITEMS and LINE: an item in its kept form; ValueError with the rule

    @property
    def allowed(self) -> str:
        """What its value can be, in words."""
        if self.values:
            return ", ".join(f"`{value}`" for value in self.values)
        if self.kind == NUMBER:
            return f"a whole number up to {_LARGEST:,}"
        if self.kind == BOOL:
            return "`yes` or `no`"
        if self.kind == DURATION:
            return "a time such as `7d`, `12h`, `1d12h`; `0` for none"
        if self.kind == DECIMAL:
            return "a number"
        if self.kind == ITEMS:
            return "several, one a line or parted by commas"
        if self.kind == LINES:
            return "several, one a line"
        if self.kind == SECRET:
            return "one line, kept as a hash"
        return f"{'one line' if self.kind == LINE else 'text'}, up to {_LONGEST[self.kind]:,} characters"

    @property
    def shown_default(self) -> str:
        """Its default as an owner would write it, line breaks as a slash; "" where it is empty."""
        if isinstance(self.default, bool):
            return "yes" if self.default else "no"
        if self.kind == DURATION:
            return written_duration(int(self.default))
        return " / ".join(str(self.default).strip("\n").splitlines())


def parsed(setting: Setting, text: str) -> Value:
    """The value of a setting from text. Raises BadSetting with the rule."""
    name = setting.name
    if setting.kind == BOOL:
        word = text.strip().lower()
        if word not in _YES | _NO:
            raise BadSetting(f"{name} is yes or no, not {text!r}")
        return word in _YES
    if setting.kind == NUMBER:
        if not text.strip().isascii() or not text.strip().isdecimal() or int(text.strip()[:12]) > _LARGEST:
            raise BadSetting(f"{name} is a whole number from 0 to {_LARGEST}, not {text!r}")
        return int(text.strip())
    if setting.kind == CHOICE:
        word = text.strip().lower()
        if word not in setting.values:
            raise BadSetting(f"{name} is one of {', '.join(setting.values)}, not {text!r}")
        return word
    if setting.kind == DURATION:
        return _duration(name, text)
    if setting.kind == DECIMAL:
        if not re.fullmatch(r"\d{1,7}(\.\d{1,3})?", text.strip()):
            raise BadSetting(f"{name} is a number such as 5 or 2.5, not {text!r}")
        return float(text.strip())
    words = _words(setting, text)
    if setting.kind == SECRET:
        return make_password(words) if words else ""
    if setting.kind in (ITEMS, LINES):
        parted = re.split(r"[,\n]" if setting.kind == ITEMS else r"\n", words)
        return "\n".join(_checked(setting, item) for item in parted if item.strip())
    return _checked(setting, words) if setting.check and words else words


def items(value: str) -> list[str]:
    """The items of a setting of the kind ITEMS or LINES."""
    return value.split("\n") if value else []


def _checked(setting: Setting, item: str) -> str:
    item = item if setting.kind == TEXT else item.strip()
    if setting.check is None:
        return item
    try:
        return setting.check(item)
    except ValueError as error:
        shown = "the text" if setting.kind == TEXT else repr(item)
        raise BadSetting(f"{setting.name}: {shown} {error}") from None


def _duration(name: str, text: str) -> int:
    """Seconds of `7d`, `1d12h`, `90` (days, as Mailman's bare numbers are)."""
    word = text.strip().lower()
    if re.fullmatch(r"\d{1,5}", word):
        return int(word) * 86400
    if not re.fullmatch(rf"(?:{_PARTS.pattern})+", word):
        raise BadSetting(f"{name} is a time such as 7d, 12h or 1d12h, not {text!r}")
    return sum(int(number) * _SECONDS[unit] for number, unit in _PARTS.findall(word))


def written_duration(seconds: int) -> str:
    """A duration as an owner writes it: 604800 is `7d`."""
    written = ""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        written += f"{count}{unit}" if count else ""
    return written or "0"


def written(setting: Setting, value: object) -> str:
    """A value as its owner writes it; of a secret nothing."""
    if setting.kind == BOOL:
        return "yes" if value else "no"
    if setting.kind == DURATION and isinstance(value, int):
        return written_duration(value)
    if setting.kind == DECIMAL:
        return f"{value:g}"
    return "" if setting.kind == SECRET else str(value)


def _words(setting: Setting, text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise BadSetting(f"{setting.name} holds letters that are not Unicode") from None
    if "\0" in text:
        raise BadSetting(f"{setting.name} holds a NUL")
    if setting.kind == LINE and ("\n" in text or "\r" in text):
        raise BadSetting(f"{setting.name} is one line")
    if len(text) > _LONGEST[setting.kind]:
        raise BadSetting(f"{setting.name} has at most {_LONGEST[setting.kind]} characters")
    if setting.kind in (TEXT, ITEMS, LINES):
        return text.replace("\r\n", "\n").replace("\r", "\n")
    return text
