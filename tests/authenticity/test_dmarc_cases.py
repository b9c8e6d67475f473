"""DMARC: every one of the RFC 9989 cases, evaluated over a zone that holds their records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from posthouse.authenticity.dmarc import Dmarc, author_domains, evaluate
from posthouse.authenticity.dmarc_walk import Walk, Walker
from posthouse.authenticity.names import a_label
from posthouse.dns.zone import FixedZone
from tests.authenticity.letters import run

SUITE = Path(__file__).resolve().parents[3] / "shared" / "vectors" / "dmarc" / "rfc9989.yml"
if not SUITE.exists():
    pytest.skip("the DMARC cases are not on this machine", allow_module_level=True)

CASES: list[dict[str, Any]] = yaml.safe_load(SUITE.read_text(encoding="utf-8"))


def zone_of(case: dict[str, Any]) -> FixedZone:
    zone = FixedZone()
    for name, types in case["zone"].items():
        for kind, values in types.items():
            if kind == "TXT":
                values = [" ".join(f'"{part}"' for part in ([one] if isinstance(one, str) else one)) for one in values]
            zone.put(name, kind, *values)
    for name in case.get("servfail", ()):
        zone.behave(name, "servfail")
    return zone


def evaluated(case: dict[str, Any], zone: FixedZone) -> Dmarc:
    [author] = author_domains([case["header_from"]])
    return run(lambda deadline: evaluate(author, case["dkim_domains"], case["spf_domains"], zone, deadline=deadline))


def walked(domain: str, zone: FixedZone) -> Walk:
    async def ask(_: float) -> Walk:
        return await Walker(zone).walk(domain)

    return run(ask)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_each_case_ends_as_it_should(case: dict[str, Any]) -> None:
    zone, expected = zone_of(case), dict(case["expected"])
    found = evaluated(case, zone)
    seen: dict[str, Any] = {
        "result": found.result, "policy": found.policy, "published_policy": found.published_policy,
        "testing": found.testing, "policy_domain": found.policy_domain, "org_domain": found.organization,
        "aligned": {"dkim": list(found.aligned_dkim), "spf": list(found.aligned_spf)},
    }  # fmt: skip
    if found.record:
        seen |= {
            "dkim_mode": found.record.dkim_mode, "spf_mode": found.record.spf_mode,
            "rua": list(found.record.rua), "ignored_tags": list(found.record.ignored),
        }  # fmt: skip
    if "aligned" in expected:
        expected["aligned"] = {kind: [a_label(name) for name in names] for kind, names in expected["aligned"].items()}
    author = walked(found.domain, zone)
    seen["author_walk"] = list(author.asked)
    seen["identifier_org"] = {
        name: walked(name, zone).organization for name in expected.get("identifier_org", {})
    }  # fmt: skip
    most = expected.pop("max_author_queries", 8)
    assert len(author.asked) <= most
    assert {key: seen.get(key) for key in expected} == expected


def test_the_cases_are_complete() -> None:
    assert len(CASES) == 100
