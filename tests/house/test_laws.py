"""The laws of the house: sizes, floors, purposes, time as an argument, references that exist, fresh documentation."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "posthouse"
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 400, 60


def modules() -> Iterator[Path]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if "migrations" not in path.parts:
            yield path


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in modules()}


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {name(path): path.read_text(encoding="utf-8").count("\n") for path in modules()}
    assert {path: count for path, count in lengths.items() if count > MOST_LINES} == {}


def test_no_function_is_longer_than_60_lines(trees: dict[Path, ast.Module]) -> None:
    long = [
        f"{name(path)}:{node.lineno} {node.name}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > MOST_LINES_OF_A_FUNCTION
    ]
    assert long == []


def test_every_module_opens_with_one_purpose_line(trees: dict[Path, ast.Module]) -> None:
    silent = []
    for path, tree in trees.items():
        purpose = (ast.get_docstring(tree) or "").split("\n\n")[0]
        if not purpose or not purpose.rstrip().endswith((".", ":", "?")):
            silent.append(name(path))
    assert silent == []


def test_every_public_function_says_what_it_does(trees: dict[Path, ast.Module]) -> None:
    silent = [
        f"{name(path)}:{node.lineno} {node.name}"
        for path, tree in trees.items()
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_there_is_no_room_that_everyone_may_enter() -> None:
    rooms = {path.stem for path in PACKAGE.rglob("*")}
    assert rooms & {"util", "utils", "common", "lib", "core", "helpers", "manager", "service", "misc"} == set()


# Where a clock is read and dice are thrown: the roof starts both, the web stands at the end of a request.
CLOCKS = ("operations", "web")
ASKS_ITSELF = {  # elsewhere, with the reason
    "posthouse/directory/accounts.py": "when an operator made an account: for people to read, nothing depends on it",
    "posthouse/lists/roster.py": "when a member was added: for people to read, nothing depends on it",
    "posthouse/lists/creation.py": "the date of the notice that a list was made; a caller may give it",
    "posthouse/lists/changing.py": "now, where an operator's act names no other moment; a caller may give it",
    "posthouse/lists/subscription.py": "what a link would do at this moment, for a page that only shows it",
    "posthouse/queue/returning.py": "the Message-ID of a report, which nobody may foresee and nothing compares",
}
# (Spans of time.monotonic, and secrets for tokens and names of files, are no time of day and no chance.)
CLOCKS_AND_DICE = {
    ("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "utcnow"), ("timezone", "now"),
    ("date", "today"),
}  # fmt: skip


def asks(node: ast.AST) -> bool:
    """Whether this asks the clock of the machine, throws dice, or makes some that nobody gave a seed."""
    if isinstance(node, ast.Import):
        return any(alias.name == "random" for alias in node.names)
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Name):
        return node.func.id == "SystemRandom" or (node.func.id == "Random" and not node.args)
    asked = node.func
    return (
        isinstance(asked, ast.Attribute)
        and isinstance(asked.value, ast.Name)
        and (asked.value.id, asked.attr) in CLOCKS_AND_DICE
    )


def test_time_and_randomness_are_arguments(trees: dict[Path, ast.Module]) -> None:
    asked = {
        (name(path), node.lineno)
        for path, tree in trees.items()
        if path.relative_to(PACKAGE).parts[0] not in CLOCKS
        for node in ast.walk(tree)
        if asks(node)
    }
    assert {f"{file}:{line}" for file, line in asked if file not in ASKS_ITSELF} == set()
    assert set(ASKS_ITSELF) - {file for file, _ in asked} == set(), "an exception that nothing needs any more"


def test_nothing_is_left_for_later() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError")
    assert [name(path) for path in modules() if marks.search(path.read_text(encoding="utf-8"))] == []


def test_the_floors_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    ran = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-3000:]


def test_every_rfc_that_the_code_obeys_is_in_the_index() -> None:
    index = (ROOT / "docs" / "standards.md").read_text(encoding="utf-8")
    known = set(re.findall(r"RFC (\d{3,5})", index))
    cited = {(number, name(path)) for path in modules() for number in re.findall(r"RFC (\d{3,5})", path.read_text())}
    assert sorted((number, path) for number, path in cited if number not in known) == []


def test_the_documentation_from_the_code_is_fresh() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "posthouse.operations.documentation", "--check"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("page", ["requirements.md", "failures.md"])
def test_the_tests_that_the_documentation_names_exist(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text))
    missing = []
    for file, function in sorted(named):
        path = ROOT / file
        if not path.exists() or (function and f"def {function}(" not in path.read_text(encoding="utf-8")):
            missing.append(f"{file}::{function}")
    assert named and missing == []


def test_a_requirement_that_is_done_names_the_test_that_shows_it() -> None:
    lines = (ROOT / "docs" / "requirements.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.split("|")] for line in lines if re.match(r"\| [A-Z]\d+ ", line)]
    assert len({row[1] for row in rows}) == len(rows) > 200
    assert [row[1] for row in rows if row[3].startswith("done") and "`tests/" not in row[4]] == []
    words = {word for row in rows for word in re.findall(r"^(?:done|partly|open|not ours)\b|^.*", row[3])[:1]}
    assert words == {"done", "partly", "open", "not ours"}


def test_the_locks_name_no_index() -> None:
    for lock in (ROOT / "requirements").glob("*.lock"):
        assert not re.search(r"https?://|--(extra-)?index-url|--find-links", lock.read_text(encoding="utf-8")), lock
