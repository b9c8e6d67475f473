"""The translations of the site's pages: gathers what can be translated, keeps the catalogues, compiles them.

`python tools/catalogue.py` brings posthouse/web/locale/*/LC_MESSAGES/django.po up to date with the pages and views and
compiles it to django.mo; `--check` says what is missing and changes nothing (status 1).
"""

from __future__ import annotations

import ast
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import jinja2

ROOT = Path(__file__).resolve().parent.parent / "posthouse" / "web"
_FUNCTIONS = {"_": 1, "gettext": 1, "gettext_lazy": 1, "ngettext": 2}
HEADER = (
    "Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n"
    "Plural-Forms: nplurals=2; plural=(n > 1);\n"
)

Entry = tuple[str, ...]  # the sentence, or its singular and plural


def wanted() -> list[Entry]:
    """Everything the pages and views say, each once, in the order of the files."""
    found: dict[Entry, None] = {}
    environment = jinja2.Environment(extensions=["jinja2.ext.i18n", "jinja2.ext.do"])  # noqa: S701  # nothing is rendered
    for path in sorted(ROOT.rglob("*")):
        if path.suffix in (".html", ".xml"):
            for _, _, said in environment.extract_translations(path.read_text(encoding="utf-8")):  # type: ignore[attr-defined]
                words = (said,) if isinstance(said, str) else tuple(one for one in said if one is not None)
                found.setdefault(words[:2])
        elif path.suffix == ".py":
            for one in _said(ast.parse(path.read_text(encoding="utf-8"))):
                found.setdefault(one)
    return list(found)


def _said(tree: ast.AST) -> Iterator[Entry]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS:
            words = [one.value for one in node.args[: _FUNCTIONS[node.func.id]] if isinstance(one, ast.Constant)]
            if words and all(isinstance(one, str) for one in words):
                yield tuple(map(str, words))


def read(path: Path) -> dict[Entry, tuple[str, ...]]:
    """The translations of a catalogue; those that are empty are left out."""
    found: dict[Entry, tuple[str, ...]] = {}
    entry: dict[str, str] = {}
    key = ""

    def keep() -> None:
        source = tuple(entry[name] for name in ("msgid", "msgid_plural") if name in entry)
        said = tuple(value for name, value in sorted(entry.items()) if name.startswith("msgstr"))
        if source and source != ("",) and all(said):
            found[source] = said
        entry.clear()

    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        if line.startswith("msgid "):
            keep()
        if line.startswith("msg"):
            key, _, line = line.partition(" ")
            entry[key] = ""
        if line.startswith('"'):
            entry[key] += ast.literal_eval(line)
    keep()
    return found


def write(path: Path, sources: list[Entry], known: dict[Entry, tuple[str, ...]]) -> None:
    """Write a catalogue in the order of the sources."""
    lines = ['msgid ""', 'msgstr ""', *(f"{_quoted(line)}" for line in HEADER.splitlines(keepends=True)), ""]
    for source in sources:
        said = known.get(source, ("",) * len(source))
        lines.append(f"msgid {_quoted(source[0])}")
        if len(source) == 2:
            lines.append(f"msgid_plural {_quoted(source[1])}")
            lines += [f"msgstr[{number}] {_quoted(one)}" for number, one in enumerate(said)]
        else:
            lines.append(f"msgstr {_quoted(said[0])}")
        lines.append("")
    path.write_text("\n".join(lines), encoding="utf-8")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def compiled(known: dict[Entry, tuple[str, ...]]) -> bytes:
    """A catalogue as gettext reads it (GNU gettext manual, section 10.3)."""
    pairs = sorted(
        [(b"", HEADER.encode()), *(("\0".join(s).encode(), "\0".join(k).encode()) for s, k in known.items())]
    )
    count, start = len(pairs), 28
    at = start + 16 * count
    table: tuple[list[bytes], list[bytes]] = ([], [])
    blob = b""
    for side in (0, 1):
        for pair in pairs:
            table[side].append(struct.pack("<II", len(pair[side]), at + len(blob)))
            blob += pair[side] + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, count, start, start + 8 * count, 0, start + 16 * count)
    return head + b"".join(table[0]) + b"".join(table[1]) + blob


def main() -> int:
    """Bring the catalogues up to date, or with --check say what is not."""
    sources, wrong = wanted(), 0
    for path in sorted(ROOT.glob("locale/*/LC_MESSAGES/django.po")):
        known = read(path)
        missing = [source for source in sources if source not in known]
        kept = {source: known[source] for source in sources if source in known}
        if "--check" not in sys.argv:
            write(path, sources, kept)
            path.with_suffix(".mo").write_bytes(compiled(kept))
        elif missing or path.with_suffix(".mo").read_bytes() != compiled(kept):
            wrong = 1
        for source in missing:
            print(f"{path.parent.parent.name}: not translated: {source[0]}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
