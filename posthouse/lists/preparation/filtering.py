"""The content filter: parts a list does not want are cut out of the bytes; those that stay, stay as they came."""

from __future__ import annotations

from dataclasses import dataclass

from posthouse.lists.models import MailingList
from posthouse.lists.settings import items
from posthouse.message.compose import text_part
from posthouse.message.headers import Fields, HeaderEditor
from posthouse.message.mime import MAX_DEPTH, MAX_PARTS, Part, part_tree
from posthouse.message.text import decode, html_to_text

MARK = "X-Content-Filtered-By"
_MOST_NESTED = 10  # messages within messages that are looked into
_PLAIN = frozenset(("", "7bit", "8bit", "binary"))
_UNSPLIT = frozenset(("parts are nested too deeply", f"more than {MAX_PARTS} parts"))


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list lets through. Types are `main` or `main/sub`, extensions without the dot; all lower case."""

    filter_types: frozenset[str]
    pass_types: frozenset[str]
    filter_extensions: frozenset[str]
    pass_extensions: frozenset[str]
    collapse: bool
    to_text: bool

    def wants(self, part: Part) -> bool:
        """Whether a part stays, by its own type and name; multiparts stay for what is in them, unless named."""
        kind, main = part.content_type, part.content_type.partition("/")[0]
        if kind in self.filter_types or main in self.filter_types:
            return False
        if self.pass_types and main != "multipart" and kind not in self.pass_types and main not in self.pass_types:
            return False
        extension = part.filename.rpartition(".")[2].lower() if "." in part.filename else ""
        if extension in self.filter_extensions:
            return False
        return not (extension and self.pass_extensions) or extension in self.pass_extensions


def of(row: MailingList) -> Filter | None:
    """The filter of a list, None where it filters nothing."""
    if not row.filter_content:
        return None
    return Filter(
        frozenset(items(row.filter_types)),
        frozenset(items(row.pass_types)),
        frozenset(items(row.filter_extensions)),
        frozenset(items(row.pass_extensions)),
        row.collapse_alternatives,
        row.convert_html_to_plaintext,
    )


def filtered(content: bytes, wanted: Filter, nested: int = 0) -> bytes | None:
    """The message without what the list does not want: itself when all stays, None when nothing remains.

    A message of so many or so deep parts that they cannot all be seen is not wanted at all.
    """
    fields = Fields(content)
    root, oddities = part_tree(content, fields)
    if _UNSPLIT & set(oddities) or nested > _MOST_NESTED:
        return None
    eol = HeaderEditor(content[fields.header_start : fields.header_end]).eol
    entity = _Work(content, wanted, eol, nested).entity(root)
    if entity is None or entity is _SAME:
        return None if entity is None else content
    assert isinstance(entity, bytes)
    editor = HeaderEditor(content[fields.header_start : fields.header_end])
    inner = Fields(entity)
    editor.remove(*(name for name, _ in fields if name.lower().startswith("content-")))
    kept = b"".join(
        raw if raw.endswith(b"\n") else raw + eol for name, raw in inner if name.lower().startswith("content-")
    )
    if kept and "mime-version" not in fields:
        editor.append("MIME-Version", "1.0")
    editor.append(MARK, "Posthouse")
    return editor.to_bytes() + kept + eol + entity[inner.body_offset :]


class _Same:
    """The answer for a part of which every byte stays."""


_SAME = _Same()


class _Work:
    """One message under the filter."""

    def __init__(self, content: bytes, wanted: Filter, eol: bytes, nested: int) -> None:
        self.content, self.wanted, self.eol, self.nested = content, wanted, eol, nested

    def entity(self, part: Part) -> bytes | _Same | None:
        """What becomes of a part: its new bytes, header and body; the same; or None when it goes."""
        if not self.wanted.wants(part) or part.depth > MAX_DEPTH:
            return None
        if part.children:
            return self._multipart(part)
        if part.content_type == "message/rfc822" and part.encoding in _PLAIN:
            inner = self.content[part.start : part.end]
            kept = filtered(inner, self.wanted, self.nested + 1)
            if kept is None or kept is inner:
                return None if kept is None else _SAME
            return self.content[_begin(part) : part.start] + kept
        if part.content_type == "text/html" and self.wanted.to_text and part.disposition != "attachment":
            text = html_to_text(decode(part.body(self.content), part.parameters.get("charset")))
            return text_part(text, eol=self.eol)
        return _SAME

    def _multipart(self, part: Part) -> bytes | _Same | None:
        kept = [(child, self.entity(child)) for child in part.children]
        staying = [(child, entity) for child, entity in kept if entity is not None]
        if not staying:
            return None
        if part.content_type == "multipart/alternative" and self.wanted.collapse:
            chosen, what = next((pair for pair in staying if self._says_something(pair[0])), staying[0])
            return self.content[_begin(chosen) : chosen.end] if isinstance(what, _Same) else what
        if all(entity is _SAME for _, entity in kept):
            return _SAME
        out: list[bytes] = []
        position = _begin(part)
        for child, entity in kept:
            if isinstance(entity, _Same):
                continue
            begin, end = _begin(child), child.end
            if entity is None:
                begin = max(part.start, self.content.rfind(b"\n", part.start, max(part.start, begin - 1)) + 1)
                end = self._next_line(end, part.end)
            out += [self.content[position:begin], entity or b""]
            position = end
        out.append(self.content[position : part.end])
        return b"".join(out)

    def _next_line(self, end: int, most: int) -> int:
        """Behind the line end that belongs to the delimiter which ends a part."""
        if self.content[end : end + 2] == b"\r\n":
            end += 2
        elif self.content[end : end + 1] == b"\n":
            end += 1
        return min(end, most)

    def _says_something(self, part: Part) -> bool:
        return bool(part.children) or bool(part.body(self.content, 4_000).strip())


def _begin(part: Part) -> int:
    """Where a part's header begins."""
    return part.start - part.fields.body_offset if part.depth else part.fields.header_start
