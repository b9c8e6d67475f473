"""A posting of an anonymous list: the list is its author, and no field is left that tells who wrote it or where."""

from __future__ import annotations

import hashlib

from posthouse.address import AddressError, key_of
from posthouse.lists import tokens
from posthouse.lists.models import MailingList
from posthouse.lists.preparation.mailboxes import in_fields, written
from posthouse.message.headers import Fields, HeaderEditor

# What may stay; everything else (Received, Sender, DKIM-Signature, User-Agent, X-..., names nobody has thought of yet)
# could tell who the author is, and goes.
KEPT = frozenset({
    "subject", "date", "mime-version", "in-reply-to", "references", "importance", "priority", "keywords", "language",
    "content-language", "auto-submitted", "to", "cc", "x-beenthere", "x-no-archive", "archive",
    "content-type", "content-transfer-encoding", "content-disposition", "content-description", "content-id",
})  # fmt: skip


def anonymous(row: MailingList, content: bytes, author: str, message_id: str) -> bytes:
    """The posting without its author. `author`: their address, "" for none; `message_id`: bare, as it came.

    The new Message-ID is made from the old one and a secret of the site, so that a repeated posting keeps it.
    """
    fields = Fields(content)
    editor = HeaderEditor.on(content)
    editor.remove(*(name for name, _ in fields if name.lower() not in KEPT))
    for name in ("To", "Cc"):
        boxes = in_fields(fields, name)
        others = [box for box in boxes if not _same(box[1], author)]
        if len(others) != len(boxes):
            editor.remove(name)
            if others:
                editor.append(name, written(others))
    secret = hashlib.blake2b(b"anonymous", key=tokens.unsubscribe_key(), digest_size=32).digest()
    mark = hashlib.blake2b(f"{row.pk}:{message_id}".encode("utf-8", "replace"), key=secret, digest_size=16).hexdigest()
    editor.append("From", written([(row.display_name, row.address)]))
    editor.append("Message-ID", f"<{mark}@{row.domain.name}>")
    return editor.content()


def _same(address: str, other: str) -> bool:
    try:
        return bool(other) and key_of(address) == key_of(other)
    except AddressError:
        return False
