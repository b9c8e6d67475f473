"""Words as search sees them: without case and accents, and the subjects of conversations without their Re:."""

from __future__ import annotations

import re
import unicodedata

MAX_TOPIC = 120
_COMBINING = range(0x300, 0x370)
_WORD = re.compile(r"[^\W_]+")
_BOUND = r"[^\s<>()\[\],;:\"@]"
_ADDRESSED = re.compile(rf"(?<!{_BOUND}){_BOUND}*+@[^\s<>()\[\],;:\"]*+")
_LONGEST_LABEL = 200  # characters of a word of an address that is indexed
_ASCII_WORDS = str.maketrans({chr(code): " " for code in range(128) if not chr(code).isalnum()})

# What mailers of many languages put before the subject of an answer; a list's [tag] may stand between
_ANSWER = re.compile(
    r"(?:re|aw|antw|sv|vs|ref|rif|res|odp|ynt|回复|答复|fw|fwd|wg|tr|rv|enc|doorst)\s*(?:\[\d+\]|\(\d+\))?\s*[:：]\s*",
    re.IGNORECASE,
)
_TAG = re.compile(r"\[[^\[\]]{1,60}\]\s*")


class _Folds(dict[int, int]):
    """Each character's plain form, one for one, so that places in the folded text are places in the text."""

    def __missing__(self, code: int) -> int:
        base = unicodedata.normalize("NFD", chr(code))[0]
        lower = base.lower()
        folded = ord(lower) if len(lower) == 1 else ord(base)
        self[code] = folded
        return folded


_FOLDS = _Folds()


def composed(text: str) -> str:
    """The text with letters and their accents as one character each (NFC), as `fold` expects it."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def fold(text: str) -> str:
    """Lower case without accents, as long as `text` is."""
    return text.lower() if text.isascii() else text.translate(_FOLDS)


def words(text: str) -> list[str]:
    """The words of a text as the index holds them: runs of letters and digits, folded."""
    return _WORD.findall(fold(composed(text)))


def indexed(text: str, most: int = 200_000) -> str:
    """The words of a text with single spaces between them, for an index that must not parse by itself.

    At most `most` characters are read: PostgreSQL's tsvector holds 1 MiB.
    """
    text = text[:most]
    if text.isascii():
        return text.lower().translate(_ASCII_WORDS)
    return " ".join(_WORD.findall(fold(composed(text))))


def apart(text: str) -> tuple[str, str]:
    """(the text without what is written with an @, what is written so): names of people, and their addresses."""
    if "@" not in text:
        return text, ""
    return _ADDRESSED.sub(" ", text), " ".join(_ADDRESSED.findall(text))


def address_words(text: str, most: int = 20_000) -> list[str]:
    """The words of addresses as the index holds them; `most` characters are read."""
    return [word for word in words(text[:most]) if len(word) <= _LONGEST_LABEL]


def topic(subject: str) -> tuple[str, bool]:
    """(what conversations with this subject have in common, whether it says that it is an answer)."""
    rest, answer = subject[:500].strip(), False
    for _ in range(20):
        found = _ANSWER.match(rest)
        if found:
            answer = True
        else:
            found = _TAG.match(rest)
            if found and found.end() == len(rest):
                break  # a subject that is nothing but a [tag]
        if found is None:
            break
        rest = rest[found.end() :]
    return " ".join(words(rest))[:MAX_TOPIC], answer
