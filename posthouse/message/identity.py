"""The identity of a message: its Message-ID, the ones it answers, and the hash its permalink is made of."""

import base64
import hashlib
import re
from random import Random
from typing import Protocol

MAX_MESSAGE_ID = 998  # RFC 5322 §2.1.1: it stands in one line
MAX_REFERENCES = 100
_HASHED = 254  # what Mailman's archives stored of an id, and so what their links were made of

_ID = re.compile(r"<([^<>]{1,2000}+)>")
_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"[^\s<>\"(),;]{1,998}+\Z")
_ONLY_IDS = re.compile(r"(?:\s*+<[^<>]*+>[\s,]*+)*+\Z")


class _Fields(Protocol):
    def first(self, name: str) -> str | None: ...
    def decoded(self, name: str) -> str | None: ...


def bare(message_id: str) -> str:
    """The id without brackets, spaces and what stands after the closing bracket; "" when nothing is left."""
    if "=?" in message_id[:2]:
        return ""
    found = _ID.search(message_id)
    if found:
        message_id = found[1]
    if any(character in message_id for character in " \t\r\n\0<>"):
        message_id = _SPACE.sub("", message_id).replace("\0", "").strip("<>")
    return message_id[:MAX_MESSAGE_ID]


def message_id_hash(message_id: str) -> str:
    """The 32 letters that name a message in Mailman's and HyperKitty's links: BASE32(SHA1(the bare id))."""
    text = "".join(message_id.split()).removeprefix("<").removesuffix(">")[:_HASHED]
    digest = hashlib.sha1(text.encode("utf-8", "replace"), usedforsecurity=False).digest()
    return base64.b32encode(digest).decode("ascii")


def message_id_of(fields: _Fields) -> str | None:
    """The bare Message-ID of a message (no brackets), cleaned of what mailers did to it; None when it has none."""
    value = fields.first("message-id")
    if value is None:
        return None
    if value.startswith("=?"):
        value = fields.decoded("message-id") or ""
    return bare(value) or None


def references_of(fields: _Fields) -> list[str]:
    """The bare ids this message answers: References, then In-Reply-To; each once, the last 100 of them."""
    found: dict[str, None] = {}
    for name in ("references", "in-reply-to"):
        for message_id in _ids(fields, name):
            found.setdefault(message_id)
    return list(found)[-MAX_REFERENCES:]


def in_reply_to_of(fields: _Fields) -> str | None:
    """The bare id of the message this one answers directly (In-Reply-To, else the last of References), or None."""
    ids = _ids(fields, "in-reply-to") or _ids(fields, "references")
    return ids[-1] if ids else None


def _ids(fields: _Fields, name: str) -> list[str]:
    value = fields.first(name)
    if not value:
        return []
    if "=?" in value:
        value = fields.decoded(name) or ""
    ids = [bare(found[0]) for found in _ID.finditer(value)]
    if name == "in-reply-to" and len(ids) > 1 and not _ONLY_IDS.match(value):
        # `Message from Ana <ana@far.example> of "..." <id@far.example>`: RFC 822 allowed phrases, the id comes last
        ids = ids[-1:]
    if not ids:
        ids = [word for word in value.split() if "@" in word and _WORD.match(word)]
        if len(ids) != len(value.split()):
            ids = []
    return [message_id for message_id in ids if message_id]


def made_up_message_id(content: bytes) -> str:
    """The Message-ID (with brackets) of a message that came without: made from its bytes, the same every time."""
    return f"<{hashlib.sha256(content).hexdigest()[:40]}@posthouse.invalid>"


def new_message_id(domain: str, at: int, random: Random) -> str:
    """A new Message-ID (with brackets) for a message composed here at `at` (seconds since 1970)."""
    return f"<{at:x}.{random.getrandbits(96):024x}@{domain}>"
