"""Whether a header is one that RFC 5322 §3.6 allows."""

from __future__ import annotations

from collections.abc import Iterator

from posthouse.address import mailboxes
from posthouse.message.dates import parse_date
from posthouse.message.headers import MAX_FIELDS, Fields
from posthouse.message.words import decode_words

# RFC 5322 §3.6: at most one of each. RFC 2045 §3 has the same for the fields of MIME.
ALONE = (
    "From", "Date", "Sender", "Reply-To", "To", "Cc", "Bcc", "Message-ID", "In-Reply-To", "References", "Subject",
    "MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-Disposition",
)  # fmt: skip
_ALONE = frozenset(name.lower() for name in ALONE)


def faults(header: bytes, utf8: bool = False) -> Iterator[str]:
    """A sentence for each fault. `utf8`: octets beyond ASCII are lawful (RFC 6532 §3)."""
    fields = Fields(header)
    rest = header[fields.header_end :]
    if rest.strip(b"\r\n") and len(fields) < MAX_FIELDS:
        line = rest.lstrip(b"\r\n").partition(b"\n")[0][:60]
        yield f"a line of the header is no field: {line.decode('ascii', 'replace').strip()!r}"
    elif fields.header_start:
        yield "the header begins with an mbox line"
    authors = fields.count("from")
    if authors == 0:
        yield "it has no From"
    elif authors == 1:
        value = fields.first("from") or ""
        found = mailboxes(value, decode_words)
        if not any(address for _, address in found):
            yield "its From holds no address"
        elif len(found) > 1 and "sender" not in fields:
            yield "it has several authors and no Sender"
    if "date" not in fields:
        yield "it has no Date"
    elif parse_date(fields.first("date") or "") is None:
        yield "its Date cannot be read"
    repeated = fields.repeated()
    if not repeated.isdisjoint(_ALONE):
        for name in ALONE:
            if name.lower() in repeated:
                yield f"it has {fields.count(name)} {name} fields"
    if not utf8 and not header.isascii():
        yield "its header has octets beyond ASCII and came without SMTPUTF8"
