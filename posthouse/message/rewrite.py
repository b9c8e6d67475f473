"""What a list changes in a header, as edits of its bytes: the subject prefix, numbered or not; who is addressed."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from posthouse.address import AddressError, key_of, mailboxes
from posthouse.message.headers import Fields, HeaderEditor
from posthouse.message.words import decode_words, encode_words

# What mailers put before the subject of an answer; `R:` and its like count only before a list's prefix
_REPLIES = (
    "re|aw|antw|antwort|sv|vs|rif|res|odp|odg|ynt|atb|ats|vá|válasz|bls|rsp|răsp|"
    "回复|回覆|回信|答复|答覆|返信|답장|회신|ответ|отв|відп|отг|одг|απ|σχετ|תגובה|השב|رد|پاسخ"
)
_COUNTED = r"(?:[\[(]\d{1,3}[\])])?\s*+[:：]"
_REPLY = rf"\s*+(?:{_REPLIES}){_COUNTED}"
_ANY_MARK = rf"\s*+[^\W\d_]{{1,10}}{_COUNTED}"
_NUMBER = re.compile(r"%0?(\d?)d")
_NO_SUBJECT = "(no subject)"


def addressed_to(fields: Fields, names: Iterable[str] = ("to", "cc"), most: int = 20) -> set[str]:
    """The keys of the addresses in these fields, in the first `most` of each; what is no address is left out."""
    keys: set[str] = set()
    for name in names:
        for value in fields.all(name)[:most]:
            for _, address in mailboxes(value, decode_words):
                try:
                    keys.add(key_of(address))
                except AddressError:
                    continue
    return keys


def add_subject_prefix(
    editor: HeaderEditor,
    prefix: str,
    number: int | None = None,
    *,
    encoded: bool = False,
    nothing: Callable[[], str] = lambda: _NO_SUBJECT,
) -> None:
    """Put the list's prefix before the subject, once: `Re: [garden] Beans` stays as it is, byte for byte.

    `%d` or `%05d` in it becomes the number, where there is one, in place of the number before; any other `%` is itself.
    Answers (`AW:`, `SV: Re:`, ...) get a single `Re:`, behind the prefix. Only at the beginning is a prefix looked for:
    in the middle the words are the author's. `encoded`: a plain prefix is written as an encoded word too where the
    subject behind it is (RFC 2047); `nothing`: what stands for a subject without words. Raises HeaderError for a line
    break in the prefix.
    """
    prefix = prefix.strip()
    if not prefix:
        return
    numbered = number is not None and _NUMBER.search(prefix) is not None
    one, lead = _patterns(prefix, numbered)
    raw = " ".join((editor.first("subject") or "").split())
    subject = " ".join(decode_words(raw).split())
    found = lead.match(subject)
    before = found[0] if found else ""
    if not numbered and len(one.findall(before)) == 1:
        return
    marks = one.sub(" ", before)
    if re.search(_REPLY, marks, re.IGNORECASE):
        marks = "Re:"
    rest = subject[len(before) :].strip()
    if encoded and raw != subject and rest:
        shown = _NUMBER.sub(lambda found: _shown(found, number or 0), prefix) if numbered else prefix
        editor.replace("Subject", " ".join(encode_words(" ".join(f"{shown} {marks} {rest}".split()))))
        return
    if prefix.isascii() and raw.isascii() and raw.startswith(before) and rest:
        rest = raw[len(before) :].strip()  # encoded words stay as their author wrote them
    shown = _NUMBER.sub(lambda found: _shown(found, number or 0), prefix) if numbered else prefix
    editor.replace("Subject", " ".join(f"{shown} {marks} {rest or nothing()}".split()))


def _shown(found: re.Match[str], number: int) -> str:
    return str(number).zfill(int(found[1] or 0)) if found[0].startswith("%0") else str(number).rjust(int(found[1] or 0))


@lru_cache(maxsize=1024)
def _patterns(prefix: str, numbered: bool) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """(the prefix, all that may stand before a subject's own words) in any case."""
    words = _NUMBER.split(prefix)[::2] if numbered else [prefix]
    one = r"\s*+" + r"\s*+\d{1,12}".join(re.escape(word) for word in words)
    before = rf"(?:{one}|{_REPLY}|{_ANY_MARK}(?={one}))*+\s*+"
    return re.compile(one, re.IGNORECASE), re.compile(before, re.IGNORECASE)
