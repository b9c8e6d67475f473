"""ARC: every validation and every sealing case of the public ARC suite, keys from the suite's records."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from posthouse.authenticity import arc, arc_sealing, dkim_signing
from posthouse.authenticity.dkim_signing import body_hash
from posthouse.dns.zone import FixedZone
from tests.authenticity.letters import quoted, run

SUITE = Path(__file__).resolve().parents[3] / "shared" / "vectors" / "arc"
if not SUITE.exists():
    pytest.skip("the ARC suite is not on this machine", allow_module_level=True)


class Cases(yaml.SafeLoader):
    """The suite uses some names twice; every one counts."""


def every_pair(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        while key in pairs:
            key += "_again"
        pairs[key] = loader.construct_object(value_node, deep=True)
    return pairs


Cases.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, every_pair)


def documents(name: str) -> list[dict[str, Any]]:
    return [one for one in yaml.load_all((SUITE / name).read_text(encoding="utf-8"), Cases) if one]


VALIDATION = documents("arc-draft-validation-tests.yml")
SEALING = documents("arc-draft-sign-tests.yml")


def cases(suite: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(document, case, id=name) for document in suite for name, case in document["tests"].items()]


def zone_of(document: dict[str, Any]) -> FixedZone:
    return FixedZone(
        {name: {"TXT": [quoted(text.replace("\n", ""))]} for name, text in document["txt-records"].items()}
    )


def halves(message: str) -> tuple[bytes, bytes]:
    raw = message.encode().replace(b"\n", b"\r\n")
    if raw.startswith(b"\r\n"):
        return b"", raw[2:]
    header, _, body = raw.partition(b"\r\n\r\n")
    return header.rstrip(b"\r\n") + b"\r\n", body


def validated(document: dict[str, Any], message: str) -> arc.Arc:
    header, body = halves(message)
    return run(lambda deadline: arc.validate(header, [body], zone_of(document), deadline=deadline))


@pytest.mark.parametrize(("document", "case"), cases(VALIDATION))
def test_each_chain_is_judged_as_the_suite_says(document: dict[str, Any], case: dict[str, Any]) -> None:
    # an empty result stands for chains that already said cv=fail: RFC 8617 §5.2 step 1 lets them fail
    assert validated(document, case["message"]).result == (case["cv"].strip().lower() or "fail")


def flat(value: str) -> str:
    return re.sub(r"\s+", " ", value).strip()


def bare(value: str) -> str:
    return re.sub(r"\s+", "", value)


@pytest.mark.parametrize(("document", "case"), cases(SEALING))
def test_each_message_is_sealed_as_the_suite_says(
    document: dict[str, Any], case: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dkim_signing, "LINE", 900)  # the suite sealed before it folded
    header, body = halves(case["message"])
    key = load_pem_private_key(document["privatekey"].encode(), None)
    results = flat(case["AAR"]).partition(";")[2].strip()
    fields = arc_sealing.seal(
        header, body_hash([body]), results, validated(document, case["message"]).result, document["domain"],
        document["sel"], key, now=case["t"], headers=case["sig-headers"].split(":"),  # type: ignore[arg-type]
    )  # fmt: skip
    found = dict(re.findall(r"^(ARC-[\w-]+): (.*(?:\n .*)*)", fields.decode().replace("\r", ""), re.MULTILINE))
    assert bare(found.get("ARC-Message-Signature", "")) == bare(case["AMS"])
    assert bare(found.get("ARC-Seal", "")) == bare(case["AS"])
    assert bare(found.get("ARC-Authentication-Results", "")) == bare(case["AAR"])


def test_the_suite_is_complete() -> None:
    assert len(cases(VALIDATION)) == 175
    assert len(cases(SEALING)) == 17
