"""Aliases: the language of their files, files that change while we look, and the acts on those of the database."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from posthouse.configuration import Configuration
from posthouse.directory import alias_files, aliases, domains
from posthouse.directory.alias_files import FileTrouble
from posthouse.directory.alias_syntax import included, read, targets_of
from posthouse.directory.errors import AliasExists, BadAlias, DomainInUse, NoSuchAlias


def written(text: str) -> dict[str, list[str]]:
    """What a file says, as an alias file would write it again."""
    return {name: [str(one) for one in entry.targets] for name, entry in read(text)[0].items()}


def test_lines_go_on_comments_are_left_out_and_commas_separate() -> None:
    text = (
        "# the house\n\nPostmaster: ana, ben@far.example,   # both\n\t cleo,\n# still\n    owen@far.example\n"
        "next : \\\nana\nlast: ana # and nobody else"
    )
    assert written(text) == {
        "postmaster": ["ana", "ben@far.example", "cleo", "owen@far.example"], "next": ["ana"], "last": ["ana"],
    }  # fmt: skip


def test_quotes_hold_commas_blanks_and_commands_together() -> None:
    text = (
        'one: "|/usr/bin/prog -a \\"b c\\", d", |/bin/cat\n'
        'two: "strange, one"@far.example, Ana Example <ana@far.example>\n'
        '"left side": ana\nthree: |"/bin/prog x y"\n'
    )
    assert written(text) == {
        "one": ['"|/usr/bin/prog -a \\"b c\\", d"', "|/bin/cat"],
        "two": ['"strange, one"@far.example', "ana@far.example"],
        "left side": ["ana"],
        "three": ['"|/bin/prog x y"'],
    }


def test_words_between_colons_have_their_meaning_and_reasons_keep_commas_and_hashes() -> None:
    text = (
        "old: :fail: moved, see ticket #5\nlater::defer: come back\nnil: :blackhole:\nmany: :include:/etc/x\n*: ana\n"
    )
    assert written(text) == {
        "old": [":fail: moved, see ticket #5"], "later": [":defer: come back"], "nil": [":blackhole:"],
        "many": [":include:/etc/x"], "*": ["ana"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("file: /var/mail/x", "may not be written to files"), ("file: ~/x", "may not be written to files"),
        ("null: /dev/null", "write :blackhole:"), ("none:", "no target"),
        ("rel: |prog", "whole path"), ("rel: :include:x", "whole path"),
        ("bad: a b@c@d", "no address"), ("open: \"|/bin/sh -c 'x\"", "cannot be read"),
        ("both: ana, :fail: no", "must be all"),
        ("a@b.example: ana", "without its domain"), ("words", "`name: targets`"),
    ],
)  # fmt: skip
def test_what_cannot_be_obeyed_is_told_with_its_line_and_never_leads_to_nowhere(line: str, rule: str) -> None:
    entries, complaints = read(f"# first\n{line}\n")
    assert [one.line for one in complaints] == [2] and rule in complaints[0].sentence
    assert all(any(one.kind == "error" for one in entry.targets) for entry in entries.values())


def test_of_a_name_that_stands_twice_the_first_holds_and_the_second_is_told() -> None:
    entries, complaints = read("ana: one\nANA: two\n")
    assert str(entries["ana"].targets[0]) == "one"
    assert complaints[0].line == 2 and "line 1" in complaints[0].sentence and not complaints[0].waits


def test_the_language_is_bounded() -> None:
    assert "more than" in targets_of(",".join(f"a{number}" for number in range(1001)))[0].text
    assert "longer than" in targets_of("x" * 70_000)[0].text


def test_an_included_file_has_targets_in_lines_and_may_be_empty() -> None:
    assert [str(one) for one in included("# all\nana, ben@far.example\n\ncleo # she too\n")] == [
        "ana", "ben@far.example", "cleo",
    ]  # fmt: skip
    assert included("# nobody\n") == ()


def test_an_edit_counts_at_the_next_look_and_an_untouched_file_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.example"
    assert alias_files.of_domain(str(tmp_path), "a.example") is None
    path.write_text("ana: one\n")
    first = alias_files.of_domain(str(tmp_path), "a.example")
    assert first is not None and str(first.entries["ana"].targets[0]) == "one"
    assert alias_files.of_domain(str(tmp_path), "a.example") is first
    path.write_text("ana: other\n")
    second = alias_files.of_domain(str(tmp_path), "a.example")
    assert second is not None and str(second.entries["ana"].targets[0]) == "other"
    replaced = tmp_path / "new"
    replaced.write_text("ana: third\n")
    os.replace(replaced, path)
    third = alias_files.of_domain(str(tmp_path), "a.example")
    assert third is not None and str(third.entries["ana"].targets[0]) == "third"
    path.unlink()
    assert alias_files.of_domain(str(tmp_path), "a.example") is None


def test_one_file_serves_several_domains_by_symlinks(tmp_path: Path) -> None:
    (tmp_path / "shared").write_text("info: ana\n")
    for name in ("a.example", "b.example"):
        (tmp_path / name).symlink_to("shared")
        file = alias_files.of_domain(str(tmp_path), name)
        assert file is not None and "info" in file.entries
    assert [name for name, _ in alias_files.domains_with_files(str(tmp_path))] == ["a.example", "b.example", "shared"]


def test_a_file_that_cannot_be_used_is_trouble_and_not_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.example").mkdir()
    with pytest.raises(FileTrouble, match=r"a\.example"):
        alias_files.of_domain(str(tmp_path), "a.example")
    assert alias_files.of_domain(str(tmp_path), "../etc/passwd") is None


def test_what_is_no_utf_8_harms_its_own_entry_alone(tmp_path: Path) -> None:
    (tmp_path / "a.example").write_bytes(
        b"\xef\xbb\xbffirst: ana  # M\xfcller\n# Stra\xdfe\nm\xfcller: ana\nbad: ana, b\xf6b\nlast: :fail: sch\xf6n\n"
    )
    file = alias_files.of_domain(str(tmp_path), "a.example")
    assert file is not None and list(file.entries) == ["first", "bad", "last"]
    assert [str(one) for one in file.entries["first"].targets] == ["ana"]
    assert {one.kind for name in ("bad", "last") for one in file.entries[name].targets} == {"error"}
    assert [(one.line, one.waits) for one in file.complaints] == [(3, False), (4, True), (5, True)]
    (tmp_path / "team").write_bytes(b"ana # M\xfcller\nm\xfcller@a.example\n")
    assert [one.kind for one in alias_files.include(str(tmp_path / "team"), str(tmp_path))] == ["address", "error"]
    (tmp_path / "domains").write_bytes(b"a.example # M\xfcller\n")
    assert alias_files.names_in(str(tmp_path / "domains")) == {"a.example"}
    (tmp_path / "names").write_bytes(b"a.example\nm\xfcller\n")
    with pytest.raises(FileTrouble, match="names is not UTF-8"):
        alias_files.names_in(str(tmp_path / "names"))


def test_includes_stay_below_their_folder_also_through_symlinks(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.write_text("ana@far.example\n")
    (inside / "good").write_text("ana@far.example\n")
    (inside / "bad").symlink_to(outside)
    assert [str(one) for one in alias_files.include(str(inside / "good"), str(inside))] == ["ana@far.example"]
    for path in (inside / "bad", outside, inside / ".." / "outside", inside / "missing"):
        with pytest.raises(FileTrouble):
            alias_files.include(str(path), str(inside))


def test_an_alias_of_the_database_is_added_changed_shown_found_and_removed(database: Configuration) -> None:
    domains.add("a.example")
    made = aliases.add("Info@A.example", ["ana@far.example", "ben"], "the office")
    assert (made.address, made.targets, made.note) == ("info@a.example", ("ana@far.example", "ben"), "the office")
    with pytest.raises(AliasExists, match=r"ana@far\.example"):
        aliases.add("info@a.example", "ben")
    assert aliases.change("info@a.example", ":fail: gone, for good").targets == (":fail: gone, for good",)
    assert aliases.show("info@a.example").note == "the office"
    aliases.add("*@a.example", "ana@far.example")
    found = aliases.find("a.example", "info+x", "info")
    assert {name: [str(one) for one in targets] for name, targets in found.items()} == {
        "info": [":fail: gone, for good"], "*": ["ana@far.example"],
    }  # fmt: skip
    assert [one.address for one in aliases.all_aliases("a.example")] == ["*@a.example", "info@a.example"]
    with pytest.raises(DomainInUse, match="2 aliases"):
        domains.remove("a.example")
    aliases.remove("info@a.example")
    with pytest.raises(NoSuchAlias):
        aliases.show("info@a.example")


@pytest.mark.parametrize(
    ("address", "target", "rule"),
    [
        ("info@a.example", "|/bin/cat", "alias files alone"),
        ("info@a.example", ":include:/etc/x", "alias files alone"),
        ("info@a.example", "/var/mail/x", "may not be written to files"), ("info@a.example", "", "no target"),
        ("postmaster@a.example", ":fail: no", "must reach a person"),
        ("info@b.example", "ana", "not a domain here"), ("no address", "ana", "no address"),
    ],
)  # fmt: skip
def test_the_database_takes_neither_programs_nor_files_nor_nonsense(
    sqlite: Configuration, address: str, target: str, rule: str
) -> None:
    domains.add("a.example")
    with pytest.raises(BadAlias, match=rule):
        aliases.add(address, target)
    assert aliases.all_aliases() == []
