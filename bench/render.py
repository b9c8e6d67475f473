"""Write the tables of docs/benchmarks.md from bench/out/results.jsonl: `python -m bench render`.

Of each measure, peer, configuration and size the newest row counts. Figures are minimum / median / maximum of its runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.peers import OUT, ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
Row = dict[str, Any]


def rows(path: Path = OUT / "results.jsonl") -> list[Row]:
    """The newest row of each kind, in the order in which they were first measured."""
    newest: dict[tuple[Any, ...], Row] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        newest[row["measure"], row["peer"].split(" (")[0], row["config"], row.get("n"), row.get("page")] = row
    return list(newest.values())


def figure(row: Row, name: str) -> str:
    """One figure as min / median / max, or as one number where they agree."""
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, list):
        return _number(value)
    shown = [_number(one) for one in value]
    return shown[0] if len(set(shown)) == 1 else " / ".join(shown)


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 1 else f"{value:.1f}"


def median(row: Row, name: str) -> float:
    """The median of a figure."""
    value = row[name]
    return float(value[1] if isinstance(value, list) else value)


def table(found: list[Row], columns: dict[str, str], first: dict[str, Callable[[Row], str]]) -> list[str]:
    """A table in Markdown: `first` makes the leading columns, `columns` are figures with their headings."""
    lines = ["| " + " | ".join([*first, *columns.values()]) + " |", "|" + "---|" * (len(first) + len(columns))]
    for row in found:
        cells = [make(row) for make in first.values()] + [figure(row, name) for name in columns]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _who(row: Row) -> str:
    return f"{row['peer'].split(' (')[0]}: {row['config']}"


def sections() -> dict[str, list[str]]:
    """The tables by the name of their place in the page."""
    found = rows()
    measures = ("A", "B", "C", "D", "E", "door", "idle")
    of = {name: [row for row in found if row["measure"] == name] for name in measures}
    relay = {"accepted_per_s": "accepted/s", "delivered_per_s": "delivered/s", "cpu_ms_per_msg": "CPU ms a message",
             "others_share": "other load"}  # fmt: skip
    fan = {"copies_per_s": "copies/s", "seconds": "seconds", "cpu_s": "CPU s", "first_s": "first copy after s",
           "waiting_kib": "KiB while all wait", "pss": "peak PSS MiB", "others": "other load"}  # fmt: skip
    imports = {"rate": "messages/s", "import_msgs_per_s": "messages/s (peer)", "cpu_ms": "CPU ms a message",
               "import_cpu_ms_per_msg": "CPU ms (peer)", "index_to_text": "index : text", "disk_mib": "disk MiB",
               "others": "other load"}  # fmt: skip
    pages = {"p50_ms": "p50 ms", "p95_ms": "p95 ms", "req_per_s": "requests/s", "cpu_ms_per_req": "CPU ms",
             "others": "other load"}  # fmt: skip
    size = {"who": _who, "n": lambda row: f"{row['n']:,}"}
    return {
        "relay": table(of["A"], relay, {"who": _who}),
        "fanout": table(of["B"], fan, size),
        "import": table(of["C"], imports, size),
        "pages": table(
            of["D"], pages, {"who": lambda row: row["peer"].split(" (")[0], "page": lambda row: row["page"]}
        ),
        "door": table(of["door"], {name: relay[name] for name in relay if name != "delivered_per_s"}, {"who": _who}),
        "idle": table(
            of["idle"],
            {
                "p50_ms_alone": "p50 ms alone",
                "p50_ms_beside": "p50 ms beside",
                "p95_ms_alone": "p95 ms alone",
                "p95_ms_beside": "p95 ms beside",
                "rss_kib_per_connection": "KiB a connection",
            },
            {"who": _who},
        ),
        "memory": table(of["E"], {"pss_mib": "PSS MiB", "rss_mib": "RSS MiB", "processes": "processes"}, {"who": _who}),
    }


def main(arguments: list[str]) -> None:
    """Put the tables between their marks in the page."""
    text = PAGE.read_text(encoding="utf-8")
    for name, lines in sections().items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, rest = text.split(begin)
        text = before + begin + "\n" + "\n".join(lines) + "\n" + end + rest.split(end)[1]
    PAGE.write_text(text, encoding="utf-8")
    print(f"{PAGE} is written")
