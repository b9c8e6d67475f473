"""The text of a message as HTML: quotes folded, the signature dimmed, links made; whatever it holds, it stays text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from django.utils.translation import gettext, ngettext
from markupsafe import Markup, escape

from posthouse.archive.render import Block, Run

LONG_QUOTE: Final = 10  # lines; longer quotes are folded
DEEPEST: Final = 8  # quote levels that are told apart
_LINKED: Final = ("http://", "https://")
_CLASSES: Final = {"added": "add", "removed": "del", "place": "hunk"}


def body_of(blocks: Sequence[Block], cut: bool = False) -> Markup:
    """Safe HTML for a text that was taken apart, to stand in an element that keeps white space."""
    out: list[str] = []
    for quoted, group in groupby(blocks, _is_quote):
        if quoted:
            _quote(list(group), out)
            continue
        for block in group:
            if block.kind == "markdown":
                out.append(_markdown(block))
            elif block.kind == "diff":
                out.append(f'<pre class="diff">{"".join(map(_diff_line, block.runs))}</pre>')
            elif block.kind == "signature":
                out.append(f'<div class="sig">{_runs(block.runs)}</div>')
            else:
                out.append(f"<div>{_runs(block.runs)}</div>")
    if cut:
        out.append(f'<div class="sig">[{escape(gettext("The message goes on; its raw form holds all of it."))}]</div>')
    return Markup("".join(out))  # noqa: S704  # every run was escaped, Markdown made safe


def _markdown(block: Block) -> str:
    """HTML that the archive made safe; long quotes are folded as others are."""
    if block.depth <= LONG_QUOTE:
        return f'<div class="markdown">{block.html}</div>'
    told = ngettext("Quoted text, %(n)d line", "Quoted text, %(n)d lines", block.depth) % {"n": block.depth}
    return f'<details class="markdown"><summary>{escape(told)}</summary>{block.html}</details>'


def _is_quote(block: Block) -> bool:
    return block.kind == "quote"


def _runs(runs: Sequence[Run]) -> str:
    if len(runs) == 1 and not runs[0].url:
        return escape(runs[0].text)
    return "".join([_run(run) for run in runs])


def _run(run: Run) -> str:
    if run.url and run.url.lower().startswith(_LINKED):
        return f'<a href="{escape(run.url)}" rel="nofollow noopener ugc">{escape(run.text)}</a>'
    return escape(run.text)


def _diff_line(run: Run) -> str:
    if run.mark in _CLASSES:
        return f'<span class="{_CLASSES[run.mark]}">{escape(run.text)}</span>'
    return escape(run.text)


def _quote(blocks: list[Block], out: list[str]) -> None:
    lines = sum(1 + sum(run.text.count("\n") for run in block.runs) for block in blocks)
    if lines > LONG_QUOTE:
        told = ngettext("Quoted text, %(n)d line", "Quoted text, %(n)d lines", lines) % {"n": lines}
        out.append(f"<details><summary>{escape(told)}</summary>")
    at = 0
    for block in blocks:
        depth = min(block.depth, DEEPEST)
        if depth == at:
            out.append("\n\n")
        out.append("<blockquote>" * (depth - at) if depth > at else "</blockquote>" * (at - depth))
        out.append(_runs(block.runs))
        at = depth
    out.append("</blockquote>" * at)
    if lines > LONG_QUOTE:
        out.append("</details>")
