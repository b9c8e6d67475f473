"""The peers' harness as modules: importing one of its scripts without letting it measure by itself."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(os.environ.get("POSTHOUSE_PEERS", ROOT.parent / "shared" / "bench")).resolve()
OUT = ROOT / "bench" / "out"


def harness(name: str = "lib", *arguments: str) -> ModuleType:
    """A module of the harness; `arguments` are the ones it reads from the command line. Ends where it is missing."""
    if not (FOLDER / "lib.py").exists():
        raise SystemExit(f"The peers' harness is not at {FOLDER}; set POSTHOUSE_PEERS")
    OUT.mkdir(exist_ok=True)
    os.environ.setdefault("BENCH_OUT", str(OUT / "results.jsonl"))
    os.environ.setdefault("BENCH_DATA", str(OUT))
    sys.path.insert(0, str(FOLDER))
    sys.dont_write_bytecode = True
    kept = sys.argv
    sys.argv = [name, *arguments]
    try:
        return importlib.import_module(name)
    finally:
        sys.argv = kept
