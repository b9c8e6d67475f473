"""Whether the test of every setting sees it ignored: each is run while its setting is thrown away when it is set.

    python -m tests.lists.ignoring [NAME...]

As a plugin of pytest (`-p tests.lists.ignoring`) it throws away the setting that IGNORED names.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest


@pytest.fixture(autouse=True)
def _ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    name = os.environ.get("IGNORED", "")
    if not name:
        return
    from django.db.models import QuerySet

    from posthouse.lists import creation, styles
    from posthouse.lists.models import MailingList

    kept, asked, made, updated = creation.set_settings, styles._read, MailingList.__init__, QuerySet.update

    def set_settings(address: int | str, values: Mapping[str, str]) -> object:
        return kept(address, {key: value for key, value in values.items() if key != name})

    def read(*given: object) -> object:
        style = asked(*given)  # type: ignore[arg-type]
        style.settings.pop(name, None)  # type: ignore[attr-defined]
        return style

    def make(row: MailingList, *columns: object, **values: object) -> None:
        values.pop(name, None)
        made(row, *columns, **values)

    def update(rows: QuerySet[MailingList], **values: object) -> int:
        if rows.model is MailingList:
            values.pop(name, None)
        return updated(rows, **values) if values else rows.count()

    monkeypatch.setattr(MailingList, "__init__", make)
    monkeypatch.setattr(QuerySet, "update", update)
    monkeypatch.setattr(creation, "set_settings", set_settings)
    monkeypatch.setattr(styles, "_read", read)


def _found(name: str, where: str) -> str:
    """What is wrong, "" when the test fails as it should."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "tests.lists.ignoring", f"tests/{where}"]
    done = subprocess.run(command, env={**os.environ, "IGNORED": name}, capture_output=True, check=False)
    if done.returncode > 1:
        return f"{where} cannot be run: {done.stdout.decode(errors='replace')[-2000:]}"
    return "" if done.returncode == 1 else f"{where} passes while the setting is ignored"


def main(names: list[str]) -> int:
    """Name the settings whose tests pass without them."""
    from tests.lists.test_every_setting import PROVED

    proofs = {name: where for area in PROVED.values() for name, where in area.items()}
    blind = 0
    for name in names or proofs:
        if found := _found(name, proofs[name]):
            blind += 1
            print(f"{name}: {found}", flush=True)
    return 1 if blind else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
