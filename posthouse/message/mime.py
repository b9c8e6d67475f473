"""The tree of parts of a message (RFC 2045, 2046): split by offsets into the bytes, bounded in depth and number."""

import binascii
import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from posthouse.message.headers import Fields
from posthouse.message.text import decode
from posthouse.message.words import decode_words

MAX_DEPTH = 100
MAX_PARTS = 1_000
_MAX_PARAMETERS = 8_000  # characters of a Content-Type that are read

_PARAMETER = re.compile(r";\s*+([^\s=;\"]{1,80}+)\s*+=\s*+(?:\"((?:[^\"\\]|\\.)*+)\"?|([^;]*+))", re.DOTALL)
_TYPE = re.compile(r"\s*+([!#-'*+.0-9A-Z^-z|~-]{1,80}+)\s*+/\s*+([!#-'*+.0-9A-Z^-z|~-]{1,80}+)")
_CONTINUED = re.compile(r"([^*]{1,60})\*(\d{1,3})(\*?)\Z")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_UNSAFE = re.compile(r"[\0-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(octet for octet in range(256) if octet not in _BASE64)
_SIMPLE_ENCODINGS = frozenset(("", "7bit", "8bit", "binary"))


@dataclass(slots=True)
class Part:
    """One part: its type in lower case, its fields, and where its body lies in the content."""

    content_type: str
    parameters: dict[str, str]
    fields: Fields
    start: int
    end: int
    depth: int = 0
    children: list["Part"] = field(default_factory=list)

    @property
    def encoding(self) -> str:
        """Its Content-Transfer-Encoding in lower case, "" when not named."""
        value = self.fields.first("content-transfer-encoding")
        return value.partition(";")[0].partition("(")[0].strip(" \t\"'").lower() if value else ""

    @property
    def disposition(self) -> str:
        """inline, attachment or "" (RFC 2183 §2.8: an unknown one counts as attachment)."""
        value = self.fields.first("content-disposition")
        if not value:
            return ""
        kind = value.partition(";")[0].strip().lower()
        return "inline" if kind in ("inline", "") else "attachment"

    @property
    def filename(self) -> str:
        """The file name it was given, without any path, "" when none."""
        name = ""
        value = self.fields.first("content-disposition")
        if value:
            name = parameters_of(value).get("filename", "")
        return safe_filename(name or self.parameters.get("name", ""))

    def body(self, content: bytes, limit: int = -1) -> bytes:
        """Its bytes with the transfer encoding undone; of a longer part only the first `limit` encoded octets."""
        end = self.end if limit < 0 else min(self.end, self.start + limit)
        return transfer_decoded(content[self.start : end], self.encoding)


def parameters_of(value: str) -> dict[str, str]:
    """The parameters of a Content-Type or -Disposition by lower-case name; RFC 2231 and encoded words undone."""
    found: dict[str, str] = {}
    extended: dict[str, dict[int, tuple[str, bool]]] = {}
    for match in _PARAMETER.finditer(value[:_MAX_PARAMETERS]):
        name = match[1].lower()
        text = _ESCAPED.sub(r"\1", match[2]) if match[2] is not None else match[3].strip()
        if "*" not in name:
            found.setdefault(name, decode_words(text) if "=?" in text else text)
            continue
        piece = _CONTINUED.match(name)
        if piece:
            extended.setdefault(piece[1], {})[int(piece[2])] = (text, bool(piece[3]))
        elif name.endswith("*"):
            extended.setdefault(name[:-1], {})[0] = (text, True)
    for name, pieces in extended.items():
        found[name] = _rejoined([pieces[number] for number in sorted(pieces)])
    return found


def _rejoined(pieces: list[tuple[str, bool]]) -> str:
    """RFC 2231 §3 and §4: charset'language'text, cut in numbered pieces."""
    charset = "utf-8"
    out = b""
    for position, (text, coded) in enumerate(pieces):
        if coded and position == 0 and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        out += unquote_to_bytes(text) if coded else text.encode("utf-8", "replace")
    return decode(out, charset)


def safe_filename(name: str) -> str:
    """The name without path, controls and direction marks, at most 200 letters; "" when nothing is left."""
    name = _UNSAFE.sub("", name).replace("\\", "/").rpartition("/")[2].strip(" .")
    if len(name) > 200:
        stem, dot, ending = name.rpartition(".")
        name = f"{stem[:180]}.{ending[:19]}" if dot else name[:200]
    return name


def content_type_of(value: str | None, default: str = "text/plain") -> tuple[str, dict[str, str]]:
    """(type/subtype in lower case, parameters); what cannot be read counts as the default (RFC 2045 §5.2)."""
    if value is None:
        return default, {}
    kind = _TYPE.match(value)
    parameters = parameters_of(value) if ";" in value else {}
    return (f"{kind[1]}/{kind[2]}".lower() if kind else default), parameters


def transfer_decoded(raw: bytes, encoding: str) -> bytes:
    """The bytes behind a transfer encoding (RFC 2045 §6); what is broken is decoded as far as it goes."""
    if encoding in _SIMPLE_ENCODINGS:
        return raw
    if encoding == "quoted-printable":
        return binascii.a2b_qp(raw)
    if encoding == "base64":
        try:
            return binascii.a2b_base64(raw)
        except binascii.Error:
            letters = raw.partition(b"=")[0].translate(None, _NOT_BASE64)
            letters = letters[:-1] if len(letters) % 4 == 1 else letters
            return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
    if encoding in ("x-uuencode", "uuencode", "x-uue", "uue"):
        return _uudecoded(raw)
    return raw


def _uudecoded(raw: bytes) -> bytes:
    out: list[bytes] = []
    inside = False
    for line in raw.splitlines():
        if not inside:
            inside = line.startswith(b"begin ")
        elif line.strip() == b"end":
            break
        else:
            try:
                out.append(binascii.a2b_uu(line))
            except binascii.Error:  # some encoders leave spaces out at the end, some add to it
                length = (((line[0] - 32) & 63) * 4 + 5) // 3 if line else 0
                try:
                    out.append(binascii.a2b_uu(line[:length].ljust(length)))
                except binascii.Error:
                    continue
    return b"".join(out)


def part_tree(content: bytes, fields: Fields | None = None) -> tuple[Part, tuple[str, ...]]:
    """(root part, oddities): multiparts split to depth 100 and 1,000 parts, what lies beyond is left unsplit."""
    fields = fields or Fields(content)
    kind, parameters = content_type_of(fields.first("content-type"))
    root = Part(kind, parameters, fields, fields.body_offset, len(content))
    oddities: dict[str, None] = {}
    stack = [root]
    parts = 1
    while stack:
        part = stack.pop()
        if not part.content_type.startswith("multipart/"):
            continue
        if part.depth >= MAX_DEPTH:
            oddities["parts are nested too deeply"] = None
            continue
        boundary = part.parameters.get("boundary", "")
        spans, closing = _between(content, part, boundary, MAX_PARTS - parts + 1) if boundary else ([], -1)
        if not spans:
            oddities["a multipart has no parts" if boundary else "a multipart has no boundary"] = None
            part.content_type = "text/plain" if part is root else "application/octet-stream"
            continue
        if parts + len(spans) <= MAX_PARTS:
            if closing < 0:
                oddities["a multipart has no end"] = None
        else:
            oddities[f"more than {MAX_PARTS} parts"] = None
            spans = spans[: MAX_PARTS - parts]
        default = "message/rfc822" if part.content_type == "multipart/digest" else "text/plain"  # RFC 2046 §5.1.5
        part.children = [_part(content, start, end, default, part.depth + 1) for start, end in spans]
        parts += len(spans)
        stack.extend(reversed(part.children))
    return root, tuple(oddities)


def _part(content: bytes, start: int, end: int, default: str, depth: int) -> Part:
    fields = Fields(content[start:end]) if end - start < 64_000 else Fields(content[start : start + 64_000])
    kind, parameters = content_type_of(fields.first("content-type"), default)
    return Part(kind, parameters, fields, start + fields.body_offset, end, depth)


def _between(content: bytes, part: Part, boundary: str, limit: int) -> tuple[list[tuple[int, int]], int]:
    """The spans between the delimiter lines of a multipart (RFC 2046 §5.1.1), and where the last is (-1: nowhere)."""
    delimiter = b"--" + boundary.rstrip().encode("utf-8", "replace")[:1_000]
    if delimiter == b"--":
        return [], -1
    spans: list[tuple[int, int]] = []
    opened = -1
    position = part.start
    while len(spans) < limit:
        found = content.find(delimiter, position, part.end)
        if found < 0:
            break
        after = found + len(delimiter)
        position = after
        if found > part.start and content[found - 1] != 10:
            continue
        closing = content[after : after + 2] == b"--"
        if closing:
            after += 2
        line_end = content.find(b"\n", after, min(part.end, after + 1_000))
        next_line = line_end + 1 if line_end >= 0 else part.end
        if content[after : min(next_line, after + 1_000)].strip():  # a longer boundary that begins like this one
            continue
        if opened >= 0:
            spans.append((opened, _line_before(content, found, opened)))
        if closing:
            return spans, found
        opened = position = next_line
    if 0 <= opened < part.end and len(spans) < limit:
        spans.append((opened, part.end))
    return spans, -1


def closing_delimiter(content: bytes, part: Part) -> int:
    """The offset of the delimiter line that ends this multipart, -1 when it has none."""
    return _between(content, part, part.parameters.get("boundary", ""), len(content))[1]


def _line_before(content: bytes, found: int, opened: int) -> int:
    """The end of a part: the line end before a delimiter belongs to the delimiter (RFC 2046 §5.1.1)."""
    end = found - 1 if found > opened else found
    if end > opened and content[end - 1] == 13:
        end -= 1
    return max(end, opened)
