"""Copies without attachments: the text stays, each attachment is a link to where the archive has it."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from posthouse.message.compose import text_part
from posthouse.message.headers import HeaderEditor
from posthouse.message.parsing import read

MARK = "X-Content-Filtered-By"


def scrubbed(content: bytes, permalink: str, word: Callable[[], str] = lambda: "Attachment") -> bytes:
    """The posting as one text with a link for each of its attachments; itself where it has none.

    `word`: what an attachment is called in the language of the list.
    """
    reading = read(content)
    if not reading.attachments:
        return content
    called = word()
    told = [reading.text.rstrip("\n")] if reading.text.strip() else []
    for one in reading.attachments:
        name, kilobytes = " ".join(one.filename.split()), max(1, round(one.size / 1024))
        address = f"{permalink}attachment/{one.number}/{quote(one.filename or 'attachment', safe='')[:600]}"
        told.append(f"[{called}: {name} ({one.content_type}, {kilobytes} KB)]\n<{address}>")
    editor = HeaderEditor.on(content)
    fields = [name for name in _NAMES if editor.first(name) is not None]
    editor.remove(*fields)
    editor.replace("MIME-Version", "1.0")
    editor.append(MARK, "Posthouse")
    return editor.to_bytes() + text_part("\n\n".join(told) + "\n", eol=editor.eol)


_NAMES = (
    "Content-Type", "Content-Transfer-Encoding", "Content-Disposition", "Content-Description", "Content-ID",
    "Content-Language", "Content-Location", "Content-MD5", "Content-Base", "Content-Duration", "Content-Features",
)  # fmt: skip
