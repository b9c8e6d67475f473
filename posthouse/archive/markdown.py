"""Text written in Markdown as safe HTML: HTML in it stays text, links lead to the web alone, images are links.

CommonMark by markdown-it-py, with tables and struck text. Line ends stay line ends, as people write mail.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from posthouse.archive.runs import links

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

LONGEST = 64_000  # characters; what is longer is shown as text
_MOST_NESTED = 20
_REL = "nofollow noopener ugc"
_LOWER = {f"h{level}": f"h{min(level + 2, 6)}" for level in range(1, 7)}  # a page has headings of its own above


@lru_cache(maxsize=256)
def pieces(text: str) -> tuple[tuple[int, str], ...] | None:
    """(lines of a quote, its HTML) of each piece of a text in order, 0 lines for what is no quote; None: too long."""
    if len(text) > LONGEST:
        return None
    parser = _parser()
    tokens = parser.parse(text)
    for token in tokens:
        token.tag = _LOWER.get(token.tag, token.tag)
        if token.children:
            token.children = list(_linked(token.children))
    found: list[tuple[int, str]] = []
    for lines, group in _groups(tokens):
        found.append((lines, parser.renderer.render(group, parser.options, {})))
    return tuple(found)


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # not before the first text: most archives need none

    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": _MOST_NESTED})
    parser.enable(["table", "strikethrough"])
    # Definitions of references would not be shown where nothing refers to them: no word of a posting is hidden.
    parser.disable(["image", "html_block", "html_inline", "reference"])
    parser.validateLink = _is_web  # type: ignore[method-assign]
    return parser


def _is_web(url: str) -> bool:
    return url.strip().lower().startswith(("http://", "https://"))


def _groups(tokens: list[Token]) -> Iterator[tuple[int, list[Token]]]:
    """Runs of tokens: each outermost quote by itself, with how many lines it has."""
    group: list[Token] = []
    for token in tokens:
        if token.type == "blockquote_open" and token.level == 0 and group:
            yield 0, group
            group = []
        group.append(token)
        if token.type == "blockquote_close" and token.level == 0:
            begins, ends = group[0].map or (0, 1)
            yield max(1, ends - begins), group
            group = []
    if group:
        yield 0, group


def _linked(children: list[Token]) -> Iterator[Token]:
    """Bare web addresses in text become links too; every link says that we do not vouch for it."""
    from markdown_it.token import Token

    inside = 0
    for child in children:
        if child.type == "link_open":
            inside += 1
            child.attrSet("rel", _REL)
        elif child.type == "link_close":
            inside -= 1
        if child.type != "text" or inside or "://" not in child.content:
            yield child
            continue
        for run in links(child.content):
            if not _is_web(run.url):
                yield Token("text", "", 0, content=run.text)
                continue
            yield Token("link_open", "a", 1, attrs={"href": run.url, "rel": _REL})
            yield Token("text", "", 0, content=run.text)
            yield Token("link_close", "a", -1)
