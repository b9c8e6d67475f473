"""HTML mail told as plain text: links spelt out, nothing that runs or loads, in linear time whatever it holds."""

import re
from html import unescape
from typing import Final

MAX_HTML: Final = 2_000_000  # characters read; a message beyond it is cut with a mark
_CUT: Final = "\n[...]\n"
_MAX_QUOTE_DEPTH: Final = 20

# The standard parser needs quadratic time for some broken markup, so the few lines that are needed stand here.
_TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9:]{0,40}+)((?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*+)>")
_LOOSE_TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9:]{0,40}+)([^>]*+)>")
_ATTRIBUTE = re.compile(r"([a-zA-Z-]{1,40}+)\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'>]++))")
_SPACE = re.compile(r"[ \t\r\n\f]+")
_HUGE_REFERENCE = re.compile(r"&#[0-9]{8,}+;?")  # unescape() turns it into a number, which may have too many digits
_LINK = re.compile(r"(?:https?://|mailto:|ftp://|tel:|news:)[^\s<>]{1,2000}+\Z", re.IGNORECASE)
_BLANK_LINES = re.compile(r"\n{3,}")
_HIDDEN = frozenset(
    ["script", "style", "title", "template", "noframes", "iframe", "object", "applet", "xml", "svg", "math", "select"]
)
_CLOSING = {name: re.compile(rf"</{name}\b[^<>]*+>?", re.IGNORECASE) for name in _HIDDEN}
_BLOCKS = frozenset(
    [
        "p",
        "div",
        "ul",
        "ol",
        "dl",
        "dt",
        "dd",
        "table",
        "tr",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "form",
        "fieldset",
        "address",
        "article",
        "aside",
        "section",
        "header",
        "footer",
        "main",
        "nav",
        "center",
        "figure",
        "figcaption",
        "pre",
        "blockquote",
        "li",
        "body",
    ]
)
_PARAGRAPHS = frozenset(["p", "ul", "ol", "dl", "table", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote"])


def html_to_text(html: str) -> str:
    """The words of an HTML text with its links, quotes and lists in plain form. Never raises, linear, bounded."""
    cut = len(html) > MAX_HTML
    teller = _Teller()
    teller.tell(html[:MAX_HTML])
    return teller.text() + (_CUT if cut else "")


class _Teller:
    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []
        self._quotes = 0
        self._pre = 0
        self._link = ""
        self._link_start = 0

    def tell(self, html: str) -> None:
        position, end = 0, len(html)
        while position < end:
            opening = html.find("<", position)
            if opening < 0:
                self._words(html[position:])
                return
            if opening > position:
                self._words(html[position:opening])
            position = self._markup(html, opening)

    def _markup(self, html: str, start: int) -> int:
        """Take what begins with < at `start`; the place where reading goes on."""
        following = html[start + 1 : start + 2]
        if following in ("!", "?"):
            closing = "-->" if html.startswith("<!--", start) else ">"
            end = html.find(closing, start)
            return len(html) if end < 0 else end + len(closing)
        tag = _TAG.match(html, start) or _LOOSE_TAG.match(html, start)
        if tag is None:
            if following.isalpha() or following == "/":
                return len(html)  # a tag that never ends: nothing after it is text
            self._words("<")
            return start + 1
        name = tag[1].lower()
        if html[start + 1] == "/":
            self._end(name)
            return tag.end()
        if name in _HIDDEN and not tag[2].endswith("/"):
            closed = _CLOSING[name].search(html, tag.end())
            return len(html) if closed is None else closed.end()
        self._start(name, tag[2])
        return tag.end()

    def _words(self, text: str) -> None:
        if "&" in text:
            text = unescape(_HUGE_REFERENCE.sub("\ufffd", text))
        if self._pre:
            first, *others = text.replace("\r\n", "\n").split("\n")
            self._line.append(first)
            for other in others:
                self._break()
                self._line.append(other)
            return
        text = _SPACE.sub(" ", text)
        if not self._line or self._line[-1].endswith(" "):
            text = text.removeprefix(" ")
        if text:
            self._line.append(text)

    def _start(self, name: str, attributes: str) -> None:
        if name == "br":
            self._break()
        elif name == "hr":
            self._end_line()
            self._line.append("-" * 20)
            self._end_line()
        elif name == "a":
            self._link = _attribute(attributes, "href")
            self._link_start = len(self._line)
        elif name == "img":
            alternative = _attribute(attributes, "alt").strip()
            if alternative:
                self._words(f"[{alternative}] ")
        elif name in ("td", "th"):
            if self._line and not self._line[-1].endswith((" ", "\t")):
                self._line.append("\t")
        elif name in _BLOCKS:
            self._block(name)
            self._quotes += name == "blockquote" and self._quotes < _MAX_QUOTE_DEPTH
            self._pre += name == "pre"
            if name == "li":
                self._line.append("* ")

    def _end(self, name: str) -> None:
        if name == "a":
            self._close_link()
        elif name in _BLOCKS:
            self._block(name)
            if name == "blockquote":
                self._close_quote()
            elif name == "pre":
                self._pre = max(0, self._pre - 1)

    def _close_link(self) -> None:
        link, self._link = self._link.strip(), ""
        if not link:
            return
        shown = "".join(self._line[self._link_start :]).strip()
        if _LINK.match(link) and shown not in (link, link.partition(":")[2], link.rstrip("/"), link.partition("//")[2]):
            self._line.append(f" <{link}>" if shown else f"<{link}>")

    def _block(self, name: str) -> None:
        self._end_line()
        if name in _PARAGRAPHS and self._lines and self._lines[-1].strip("> "):
            self._lines.append("> " * self._quotes)

    def _close_quote(self) -> None:
        while self._lines and not self._lines[-1].strip("> "):
            self._lines.pop()
        self._quotes = max(0, self._quotes - 1)
        self._lines.append("> " * self._quotes)

    def _end_line(self) -> None:
        if "".join(self._line).strip():
            self._break()
        else:
            self._line = []

    def _break(self) -> None:
        line = "".join(self._line).rstrip().replace("\0", "")
        self._lines.append("> " * self._quotes + line)
        self._line = []
        self._link_start = 0

    def text(self) -> str:
        self._end_line()
        return _BLANK_LINES.sub("\n\n", "\n".join(line.rstrip() for line in self._lines)).strip("\n") + "\n"


def _attribute(attributes: str, wanted: str) -> str:
    for found in _ATTRIBUTE.finditer(attributes):
        if found[1].lower() == wanted:
            return unescape(_HUGE_REFERENCE.sub("", (found[2] or found[3] or found[4] or "")[:4_000]))
    return ""
