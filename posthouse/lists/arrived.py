"""A message as it arrived at an address of a list: its envelope, its header, and its bytes when they are needed."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property

from posthouse import configuration
from posthouse.address import AddressError, key_of, mailboxes
from posthouse.authenticity import results
from posthouse.content import files, keeping
from posthouse.content.spool import LARGE, Spool, Spooled, spooled_from
from posthouse.message.headers import MAX_HEADER, Fields
from posthouse.message.identity import made_up_message_id, message_id_of
from posthouse.message.parsing import Reading, read
from posthouse.message.words import decode_words

DELIVERED, FAILED = "delivered", "failed"
_MAX_SUBJECT = 500
# What the front of this house hands us was judged by it: fields in our name may be its own (RFC 8601 §5).
_FROM_FRONT = re.compile(rb"^Received: [^\r\n]*\r\n\tby [^ \r\n]+ \(Posthouse\) with (?:UTF8)?LMTP", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a message at a list's address. `status`: the enhanced code (RFC 3463)."""

    result: str
    reply: str
    status: str


@dataclass(frozen=True)
class Arrived:
    """One message for a list. `prefix`: the fields reception put before the content, which stays as it came."""

    item: int
    content_id: int
    prefix: bytes
    return_path: str
    origin: str = ""  # where the queue had it from
    author_policy: str = ""  # what the author's domain publishes for DMARC: see `lists.mitigation`

    @cached_property
    def body(self) -> keeping.Body:
        """The content where it is kept."""
        return keeping.read(self.content_id)

    @property
    def content(self) -> bytes:
        """The content exactly as it came, whole in memory; not kept there, since it may be large."""
        return bytes(self.body.all())

    def beginning(self, most: int) -> bytes:
        """The prefix and the first `most` octets of the content, as one message."""
        return joined(self.prefix, bytes(self.body.head(most)))

    @cached_property
    def fields(self) -> Fields:
        """The header: the prefix's fields, then the content's; at most 1 MB of it is read."""
        return Fields(self.beginning(MAX_HEADER))

    @property
    def size(self) -> int:
        """Octets of the content."""
        return int(self.body.size)

    @cached_property
    def author(self) -> tuple[str, str]:
        """(display name, address) of the first author in From whose address is one; ("", "") when there is none."""
        for value in self.fields.all("from")[:5]:
            for name, address in mailboxes(value, decode_words)[:50]:
                try:
                    key_of(address)
                except AddressError:
                    continue
                return name, address
        return "", ""

    @property
    def subject(self) -> str:
        """The subject for people, in one line."""
        return " ".join((self.fields.decoded("subject") or "").split())[:_MAX_SUBJECT]

    @property
    def message_id(self) -> str:
        """The bare Message-ID, "" where the message came without."""
        return message_id_of(self.fields) or ""

    def reading(self) -> Reading:
        """What the message says; identity and date come from the prefix, or from its bytes, where it has none."""
        content = self.content
        reading = read(content)
        if reading.message_id is None:
            made_up = self.message_id or made_up_message_id(content).strip("<>")
            reading = replace(reading, message_id=made_up)
        if reading.sent_at is None and self.prefix:
            dated = read(self.prefix + b"\r\n")
            reading = replace(reading, sent_at=dated.sent_at, sent_offset=dated.sent_offset)
        return reading


def spooled(content: bytes) -> Spooled:
    """Bytes of our own to be kept: large ones become a file, as they do when they come from outside."""
    if len(content) <= LARGE:
        return spooled_from(content)
    spool = Spool(files.incoming(configuration.active().data))
    view = memoryview(content)
    for start in range(0, len(view), LARGE):
        spool.write(view[start : start + LARGE])
    return spool.finish()


def joined(prefix: bytes, content: bytes) -> bytes:
    """The prefix's fields before the content's, so that together they are one header.

    Authentication-Results in our name are believed where reception wrote them, in the prefix; a stranger's go.
    """
    content = _without_forged(prefix, content)
    if not prefix:
        return content
    if content[:5] == b"From " or content[:6] == b">From ":  # a pasted mbox line stands only at the very start
        content = content[Fields(content).header_start :]
    if content[:1] in (b" ", b"\t"):  # it would continue our last field
        return prefix + b"\r\n" + content
    return prefix + content


def _without_forged(prefix: bytes, content: bytes) -> bytes:
    end = content.find(b"\r\n\r\n", 0, MAX_HEADER)
    if results.FIELD.lower().encode() not in content[: end if end >= 0 else MAX_HEADER].lower():
        return content
    if not prefix.startswith(results.FIELD.encode()) and _FROM_FRONT.search(prefix):
        return content
    return results.without_ours(content, [configuration.active().host])
