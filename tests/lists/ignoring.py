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
    from posthouse.lists import creation, styles

    kept, asked = creation.set_settings, styles._read

    def set_settings(address: int | str, values: Mapping[str, str]) -> object:
        return kept(address, {key: value for key, value in values.items() if key != name})

    def read(*given: object) -> object:
        style = asked(*given)  # type: ignore[arg-type]
        style.settings.pop(name, None)  # type: ignore[attr-defined]
        return style

    monkeypatch.setattr(creation, "set_settings", set_settings)
    monkeypatch.setattr(styles, "_read", read)


def _sees(name: str, where: str) -> bool:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "tests.lists.ignoring", f"tests/{where}"]
    done = subprocess.run(command, env={**os.environ, "IGNORED": name}, capture_output=True, check=False)
    return done.returncode == 1


def main(names: list[str]) -> int:
    """Name the settings whose tests pass without them."""
    from tests.lists.test_every_setting import PROVED

    proofs = {name: where for area in PROVED.values() for name, where in area.items()}
    blind = [name for name in names or proofs if not _sees(name, proofs[name])]
    for name in blind:
        print(f"{name}: {proofs[name]} passes while the setting is ignored")
    return 1 if blind else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
