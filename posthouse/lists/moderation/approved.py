"""Postings that carry the moderators' password: recognised, and the password taken out of every text."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from django.contrib.auth.hashers import check_password

from posthouse.directory.moments import moment
from posthouse.lists.arrived import Arrived
from posthouse.lists.models import MailingList, Notified
from posthouse.message.compose import base64_lines, quoted_printable
from posthouse.message.headers import HeaderEditor
from posthouse.message.mime import Part, part_tree
from posthouse.message.text import codec_of

FIELDS = ("Approved", "Approve", "X-Approved", "X-Approve")
MOST_WRONG = 1_000  # wrong passwords a list looks at in a day: guessing is hopeless, switching it off takes some work
_WRONG = "approved-wrong"
_LINE = re.compile(r"(?:x-)?approved?[ \t\xa0]*:[ \t\xa0]*(\S[^\r\n]{0,253})", re.IGNORECASE)
_LONGEST = 255
_SHORTEST_ERASED = 6  # characters: a password that short may be a word of the text


@dataclass(frozen=True, slots=True)
class Approval:
    """A password that a posting offers. `line`: the first line of its text, where it stands there."""

    password: str
    line: str
    is_right: bool


def look(row: MailingList, arrived: Arrived, text: str, now: int) -> Approval | None:
    """The password in the header or the first line of the text, and whether it is the list's. `now` in ms.

    The first line counts only on lists that have a password: elsewhere it is what its author wanted to say.
    """
    password, line = "", ""
    for name in FIELDS:
        password = password or (arrived.fields.first(name) or "").strip()[:_LONGEST]
    found = _LINE.fullmatch(text.lstrip("\n\r \t\xa0").partition("\n")[0].strip())
    if found and row.moderator_password:
        line = found[1].strip()
    offered = password or line
    if not offered:
        return None
    return Approval(offered, line, _is_right(row, offered, now))


def _is_right(row: MailingList, password: str, now: int) -> bool:
    if not row.moderator_password:
        return False
    wrong = Notified.objects.filter(mailing_list=row, kind=_WRONG, at__gte=moment(now) - timedelta(days=1))
    if wrong.count() >= MOST_WRONG:
        return False
    if check_password(password, row.moderator_password):
        return True
    Notified.objects.create(mailing_list=row, address="", kind=_WRONG, at=moment(now))
    return False


def needs_scrubbing(arrived: Arrived, approval: Approval | None) -> bool:
    """Whether a password, right or wrong, would be shown to whoever reads the posting."""
    if any(name in arrived.fields for name in FIELDS):
        return True
    return approval is not None and bool(approval.line) and (approval.is_right or " " not in approval.line)


def scrubbed(content: bytes, approval: Approval | None) -> bytes:
    """The message without the password: not in its header, and in no text of it, plain or HTML, however encoded."""
    editor = HeaderEditor.on(content)
    editor.remove(*FIELDS)
    content = editor.content()
    if approval is None or not (approval.is_right or (approval.line and " " not in approval.line)):
        return content
    root, _ = part_tree(content)
    for part in reversed(_texts(root)):  # from the end, so that what lies before keeps its place
        edited = _without(content, part, approval)
        if edited is not None:
            content = content[: part.start] + edited + content[part.end :]
    return content


def _texts(root: Part) -> list[Part]:
    found: list[Part] = []
    waiting = [root]
    while waiting:
        part = waiting.pop()
        waiting.extend(reversed(part.children))
        if not part.children and part.content_type.startswith("text/"):
            found.append(part)
    return found


def _without(content: bytes, part: Part, approval: Approval) -> bytes | None:
    """The encoded body of a text part without the password, None when it does not hold it."""
    decoded = part.body(content)
    codec = codec_of(part.parameters.get("charset", "")) or "utf-8"
    try:
        text = decoded.decode(codec)
        if text.encode(codec) != decoded:
            raise UnicodeError
    except UnicodeError:
        codec, text = "latin-1", decoded.decode("latin-1")
    edited = text
    for word in {approval.password, approval.line} - {""}:
        edited = _erased(edited, word, approval.is_right)
    if edited == text:
        return None
    octets = edited.encode(codec, "replace")
    eol = b"\r\n" if b"\r\n" in content[:2_000] or b"\n" not in content[:2_000] else b"\n"
    if part.encoding == "base64":
        return base64_lines(octets, eol)
    if part.encoding == "quoted-printable":
        return quoted_printable(octets, eol)
    return octets


def _erased(text: str, password: str, everywhere: bool) -> str:
    line, anywhere = _patterns(password)
    text = anywhere.sub("", line.sub("", text, count=1))
    if everywhere and len(password) >= _SHORTEST_ERASED:
        for spelling in {password, html.escape(password), html.escape(password, quote=False)}:
            text = text.replace(spelling, "")
    return text


@lru_cache(maxsize=64)
def _patterns(password: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """(a whole line that offers the password, the offer anywhere, with the markup that HTML puts in between)."""
    spellings = {password, html.escape(password), html.escape(password, quote=False)}
    word = "|".join(re.escape(spelling) for spelling in sorted(spellings, key=len, reverse=True))
    gap = r"(?:\s|\xa0|&nbsp;|&#160;|<[^<>]{0,300}>)*+"
    offer = rf"\b(?:x-)?approved?{gap}:{gap}(?:{word})"
    return (
        re.compile(rf"^[ \t\xa0]*{offer}[ \t\xa0]*(?:\r?\n|\Z)", re.IGNORECASE | re.MULTILINE),
        re.compile(offer, re.IGNORECASE),
    )
