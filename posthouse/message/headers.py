"""Header fields as raw bytes: found, read and edited in place; an untouched field stays byte for byte as it came."""

import re
from collections.abc import Iterator

from posthouse.message.text import decode
from posthouse.message.words import HeaderError, decode_words, encode_field, encode_phrase

__all__ = [
    "MAX_FIELDS",
    "MAX_HEADER",
    "Fields",
    "HeaderEditor",
    "HeaderError",
    "count_hops",
    "decode_words",
    "encode_field",
    "encode_phrase",
    "split",
]

MAX_HEADER = 1024 * 1024  # octets read as header; what follows counts as body
MAX_FIELDS = 10_000
_SMALL_BODY = 8 * 1024

_FIELD = re.compile(rb"([!-9;-~]{1,998}+)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)(?:\n|\Z)")
_FROM_LINE = re.compile(rb">?From [^\n]*+\n")  # mbox envelopes that were pasted into the message
_FOLD = re.compile(r"\r?\n")
_Span = tuple[bytes, int, int, int]  # name in lower case, start of the field, start of its value, end with line end


def split(content: bytes) -> tuple[bytes, int]:
    """(header, offset of the body): the header is its fields without the empty line; tolerant, never raises.

    A leading mbox `From ` line belongs to neither; a line that is no field ends the header, as if the empty line
    stood before it.
    """
    start, _, end, body = _scan(content)
    return content[start:end], body


_Scanned = tuple[int, list[_Span], int, int]
_REMEMBERED = 64 * 1024  # octets of a content that may be kept until the next one comes
_last: tuple[bytes, _Scanned] = (b"", (0, [], 0, 0))


def _scan(content: bytes) -> _Scanned:
    """The fields; several rooms look at the same header one after another, so the last one is remembered."""
    global _last
    known, found = _last
    if known == content:
        return found
    found = _read(content)
    if len(content) <= _REMEMBERED:
        _last = (content, found)
    return found


def _read(content: bytes) -> _Scanned:
    position = 0
    if content[:5] == b"From " or content[:6] == b">From ":
        line = _FROM_LINE.match(content, 0, 2_000)
        position = line.end() if line else 0
    start = position
    limit = min(len(content), start + MAX_HEADER)
    spans: list[_Span] = []
    match = _FIELD.match
    while len(spans) < MAX_FIELDS:
        field = match(content, position, limit)
        if field is None:
            break
        end = field.end()
        spans.append((field[1].lower(), position, field.start(2), end))
        position = end
    body = position
    if content[position : position + 1] == b"\n":
        body += 1
    elif content[position : position + 2] == b"\r\n":
        body += 2
    return start, spans, position, body


class Fields:
    """An index over the fields of a header (or of a whole message); reads nothing until it is asked."""

    __slots__ = ("_content", "_index", "_spans", "body_offset", "header_end", "header_start")

    def __init__(self, content: bytes) -> None:
        self.header_start, self._spans, self.header_end, self.body_offset = _scan(content)
        # an index must not keep a large body in memory
        self._content = content if len(content) - self.header_end < _SMALL_BODY else content[: self.header_end]
        self._index: dict[bytes, list[_Span]] = {}
        index = self._index
        for span in self._spans:
            if span[0] in index:
                index[span[0]].append(span)
            else:
                index[span[0]] = [span]

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """(name as written, raw field with its line end) in order."""
        for _, start, value, end in self._spans:
            name = self._content[start : value - 1].rstrip(b" \t")
            yield name.decode("ascii"), self._content[start:end]

    def by_name(self) -> dict[str, list[bytes]]:
        """The raw fields by their names in lower case, those of one name in order."""
        content = self._content
        return {
            name.decode("ascii"): [content[start:end] for _, start, _, end in spans]
            for name, spans in self._index.items()
        }

    def __len__(self) -> int:
        return len(self._spans)

    def __contains__(self, name: str) -> bool:
        return name.lower().encode("utf-8", "replace") in self._index

    def count(self, name: str) -> int:
        """How many fields have this name."""
        return len(self._index.get(name.lower().encode("utf-8", "replace"), ()))

    def repeated(self) -> set[str]:
        """The names, in lower case, that several fields have."""
        return {name.decode("ascii") for name, spans in self._index.items() if len(spans) > 1}

    def first(self, name: str) -> str | None:
        """The unfolded value (RFC 5322 §2.2.3) of the first field of this name, encoded words as written, or None."""
        spans = self._index.get(name.lower().encode("utf-8", "replace"))
        return self._value(spans[0]) if spans else None

    def all(self, name: str) -> list[str]:
        """The unfolded values of all fields of this name, in order."""
        return [self._value(span) for span in self._index.get(name.lower().encode("utf-8", "replace"), ())]

    def decoded(self, name: str) -> str | None:
        """The first value of this name as people read it: encoded words decoded, unknown charsets survived."""
        value = self.first(name)
        return None if value is None else decode_words(value)

    def raw(self, name: str) -> bytes | None:
        """The first field of this name as it came, name and line end included, or None."""
        spans = self._index.get(name.lower().encode("utf-8", "replace"))
        return self._content[spans[0][1] : spans[0][3]] if spans else None

    def _value(self, span: _Span) -> str:
        raw = self._content[span[2] : span[3]].strip(b" \t\r\n")
        value = raw.decode("ascii") if raw.isascii() else decode(raw, "utf-8")
        if "\n" in value:
            value = _FOLD.sub("", value)
        if "\r" in value:
            value = value.replace("\r", " ")
        return value.replace("\0", "")


def count_hops(fields: Fields) -> int:
    """How many servers this message passed: its Received fields (RFC 5321 §6.3)."""
    return fields.count("received")


class HeaderEditor:
    """Edits of one header; fields nobody touched keep their exact bytes and order."""

    def __init__(self, header: bytes) -> None:
        """`header` is what `split` gave: fields without the empty line."""
        start, spans, end, _ = _scan(header)
        self._fields: list[tuple[bytes, bytes]] = [(name, header[first:last]) for name, first, _, last in spans]
        self._rest = header[end:]  # beyond the bounds: kept, never read
        self._eol = b"\n" if b"\n" in header and b"\r\n" not in header[start : start + 2_000] else b"\r\n"
        self._separator = b""
        self._body = b""

    @classmethod
    def on(cls, content: bytes) -> "HeaderEditor":
        """An editor over a whole message; `content()` gives it back edited. A leading mbox line is dropped."""
        start, _, end, body = _scan(content)
        editor = cls(content[start:end])
        if start == end:
            editor._eol = b"\n" if content[start : start + 1] == b"\n" else b"\r\n"
        editor._separator = content[end:body]
        editor._body = content[body:]
        return editor

    @property
    def eol(self) -> bytes:
        """The line end this header uses; new fields get it too."""
        return self._eol

    def first(self, name: str) -> str | None:
        """The unfolded raw value of the first field of this name as edited so far, or None."""
        key = _key(name)
        for field, raw in self._fields:
            if field == key:
                return Fields(raw).first(name)
        return None

    def remove(self, *names: str) -> None:
        """Remove every field with one of these names."""
        keys = {_key(name) for name in names}
        self._fields = [field for field in self._fields if field[0] not in keys]

    def replace(self, name: str, value: str) -> None:
        """Put this value in the place of the first field of this name, remove the others; append when there is none."""
        key, raw = _key(name), encode_field(name, value, self._eol)
        kept: list[tuple[bytes, bytes]] = []
        done = False
        for field in self._fields:
            if field[0] != key:
                kept.append(field)
            elif not done:
                kept.append((key, raw))
                done = True
        self._fields = kept
        if not done:
            self._append(key, raw)

    def append(self, name: str, value: str) -> None:
        """Add a field below all others."""
        self._append(_key(name), encode_field(name, value, self._eol))

    def _append(self, key: bytes, raw: bytes) -> None:
        self._close_last()
        self._fields.append((key, raw))

    def _close_last(self) -> None:
        if self._fields and not self._fields[-1][1].endswith(b"\n"):
            name, raw = self._fields[-1]
            self._fields[-1] = (name, raw + self._eol)

    def to_bytes(self) -> bytes:
        """The header as edited, without the empty line that ends it."""
        for position, (name, raw) in enumerate(self._fields[:-1]):
            if not raw.endswith(b"\n"):
                self._fields[position] = (name, raw + self._eol)
        return b"".join(raw for _, raw in self._fields) + self._rest

    def content(self) -> bytes:
        """The whole message as edited (for an editor made with `on`)."""
        if self._body and not self._separator:
            self._close_last()
            return self.to_bytes() + self._eol + self._body
        return self.to_bytes() + self._separator + self._body


def _key(name: str) -> bytes:
    return name.lower().encode("utf-8", "replace")
