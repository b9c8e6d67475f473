"""The translations: gathers what can be translated, keeps the catalogues of the pages, compiles them.

`python tools/catalogue.py` brings posthouse/web/locale/*/LC_MESSAGES/django.po up to date with the pages and views and
compiles it to django.mo; and it names the sentences of rules, errors and settings that posthouse/lists/translations
has not, to be written there by hand. `--check` says what is missing and changes nothing (status 1).
"""

from __future__ import annotations

import ast
import re
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import jinja2

from posthouse.lists.sentences import in_language

HOUSE = Path(__file__).resolve().parent.parent / "posthouse"
ROOT = HOUSE / "web"
# Rooms whose sentences reach people: what they raise, and what ends in a full stop.
SAYING = (
    "address.py", "directory/accounts.py", "directory/addresses.py", "directory/belonging.py", "directory/domains.py",
    "directory/preferences.py", "lists",
)  # fmt: skip
# For operators at a terminal, who read English: logs, styles in files, what the clock does.
NOT_SHOWN = (
    "migrations",
    "lists/periodic.py",
    "lists/styles.py",
    "lists/departure.py",
    "lists/sentences.py",
    "lists/news",
    "lists/digests",
)
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


def sentences() -> dict[str, str]:
    """What rules, requests and acts answer, and what settings are for: each sentence, `{0}` for what is filled in,
    with the file it is in.
    """
    found: dict[str, str] = {}
    for room in SAYING:
        place = HOUSE / room
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            name = str(path.relative_to(HOUSE))
            if name.startswith(NOT_SHOWN) or "migrations" in name:
                continue
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for one in (*_raised(tree), *(() if "/settings/" in name else _stated(tree))):
                found.setdefault(one, name)
    return found


def _raised(tree: ast.AST) -> Iterator[str]:
    """The text of every exception that is raised with words of its own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            text = written(node.exc.args[0])
            if text and " " in text and re.search(r"[a-z]{2}", re.sub(r"\{\d\}", "", text)):
                yield text


def _stated(tree: ast.AST) -> Iterator[str]:
    """Every sentence, from its capital to its full stop, that is no description of the code."""
    passed: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr | ast.Raise):
            passed.update(ast.walk(node) if isinstance(node, ast.Raise) else (node.value,))
        if isinstance(node, ast.JoinedStr):
            passed.update(node.values)
        if node not in passed and isinstance(node, ast.Constant | ast.JoinedStr):
            text = (written(node) or "").strip()
            if re.fullmatch(r"[A-Z{][^\n]*[a-z}][^\n]* [^\n]*[^.]\.", text) and text.rstrip(".") != "{0}":
                yield text


def written(node: ast.AST) -> str | None:
    """A string of the code with `{0}` for each thing that is filled in; None when it is no string."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = written(node.left), written(node.right)
        if left is None:
            return None
        return left + (right if right is not None else f"{{{left.count('{')}}}")
    if not isinstance(node, ast.JoinedStr):
        return None
    text, number = "", 0
    for value in node.values:
        if isinstance(value, ast.Constant):
            text += str(value.value)
        else:
            text, number = f"{text}{{{number}}}", number + 1
    return text


def untranslated(language: str, documented: Iterable[str] = ()) -> list[str]:
    """The sentences that stay English when they are said in a language. `documented`: what settings are for."""
    return [one for one in (*sentences(), *documented) if not _is_said(one, language)]


def _is_said(sentence: str, language: str) -> bool:
    text = re.sub(r"\{(\d)\}", r"thing\1", sentence)
    # The words of a check stand behind what was checked.
    return any(in_language(one, language) != one for one in (text, f"some_setting: 'this' {text}"))


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
        for sentence in untranslated(path.parent.parent.name):
            wrong = 1
            print(f"{path.parent.parent.name}: not in posthouse/lists/translations: {sentence}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
