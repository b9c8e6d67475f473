"""SPF: every case of the RFC 7208 suite, with DNS from the suite's own zones."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TXT
import pytest
import yaml

from posthouse.authenticity import spf
from posthouse.dns.lookups import Answer, Lookups, NoAnswer, NoSuchName, TemporaryFailure
from tests import idle_time

SUITE = Path(__file__).resolve().parents[3] / "shared" / "vectors" / "spf" / "rfc7208-tests.yml"
if not SUITE.exists():
    pytest.skip("the RFC 7208 suite is not on this machine", allow_module_level=True)

DOCUMENTS = [document for document in yaml.safe_load_all(SUITE.read_text(encoding="utf-8")) if document]
CASES = [(place, name) for place, document in enumerate(DOCUMENTS) for name in document["tests"]]


def rdata(kind: str, value: Any) -> Any:
    if kind == "TXT":
        strings = [value] if isinstance(value, str) else value
        raw = [text.encode("latin-1")[start : start + 255] for text in strings for start in range(0, len(text), 255)]
        return dns.rdtypes.ANY.TXT.TXT(dns.rdataclass.IN, dns.rdatatype.TXT, raw or [b""])
    if kind == "MX":
        name = dns.name.Name([*value[1].encode().split(b"."), b""]) if value[1] else dns.name.root
        return dns.rdata.from_text("IN", "MX", f"{value[0]} .").replace(exchange=name)
    return dns.rdata.from_text("IN", kind, value, origin=dns.name.root, relativize=False)


class SuiteZone(Lookups):
    """The zonedata of one document; SPF records stand for TXT ones unless the name says otherwise."""

    def __init__(self, zonedata: dict[str, list[Any]]) -> None:
        self.names = {name.lower().rstrip("."): entries for name, entries in zonedata.items()}

    async def ask(self, name: dns.name.Name, kind: str) -> Answer:
        key = b".".join(name.labels[:-1]).decode("latin-1").lower()
        for _ in range(5):
            entries = self.names.get(key)
            if entries is None:
                raise NoSuchName(key)
            pairs = [pair for entry in entries if isinstance(entry, dict) for pair in entry.items()]
            aliases = [value for kind_, value in pairs if kind_ == "CNAME"]
            if not aliases:
                break
            key = aliases[0].lower().rstrip(".")
        else:
            raise TemporaryFailure("a loop of CNAMEs")
        has_txt = any(kind_ == "TXT" for kind_, _ in pairs)
        found = [value for kind_, value in pairs if (kind_ == kind or (kind_, kind, has_txt) == ("SPF", "TXT", False))]
        found = [value for value in found if value != "NONE"]
        if found:
            return Answer(tuple(rdata(kind, value) for value in found), 300)
        if "TIMEOUT" in entries:
            raise TemporaryFailure("timeout")
        raise NoAnswer(key)


@pytest.mark.parametrize(("place", "name"), CASES, ids=[name for _, name in CASES])
def test_each_case_of_the_suite_gives_its_result(place: int, name: str) -> None:
    document = DOCUMENTS[place]
    case = document["tests"][name]

    async def evaluate() -> spf.Spf:
        deadline = asyncio.get_running_loop().time() + 20
        zone = SuiteZone(document["zonedata"])
        return await spf.check_return_path(case["host"], case["mailfrom"], case["helo"], zone, deadline=deadline)

    found = idle_time.run(evaluate())
    wanted = case["result"] if isinstance(case["result"], list) else [case["result"]]
    assert found.result in wanted, found
    if "explanation" in case:
        assert found.explanation == ("" if case["explanation"] == "DEFAULT" else case["explanation"])


def test_the_suite_is_complete() -> None:
    assert len(CASES) == 203
