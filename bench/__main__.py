"""`python -m bench MEASURE [ARGUMENTS]`; without a measure: which there are."""

from __future__ import annotations

import importlib
import sys

MEASURES = {
    "accept": "accept",
    "door": "door",
    "idle": "idle",
    "relay": "relay",
    "fanout": "fanout",
    "import": "importing",
    "pages": "pages",
    "memory": "memory",
    "roster": "roster",
    "render": "render",
}


def main() -> None:
    """Run one measure, or say which there are."""
    if len(sys.argv) < 2 or sys.argv[1] not in MEASURES:
        print("python -m bench MEASURE [ARGUMENTS]\n")
        for name, module in MEASURES.items():
            text = importlib.import_module(f"bench.{module}").__doc__ or ""
            print(f"{name}\n  " + text.strip().replace("\n", "\n  ") + "\n")
        sys.exit(0 if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help") else 2)
    importlib.import_module(f"bench.{MEASURES[sys.argv[1]]}").main(sys.argv[2:])


if __name__ == "__main__":
    main()
