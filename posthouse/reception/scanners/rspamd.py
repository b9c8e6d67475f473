"""rspamd: its HTTP protocol, a POST to /checkv2 with the envelope in the header, JSON back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from posthouse.configuration import Scanner
from posthouse.reception.policy.facts import Edits, Facts, FieldEdit, Scan
from posthouse.reception.scanners.http import post
from posthouse.reception.scanners.letter import Letter
from posthouse.reception.scanners.wire import ScannerError, Wire
from posthouse.smtp import catalogue

MOST_FIELDS = 100
MOST_SYMBOLS = 200


async def ask(wire: Wire, name: str, settings: Scanner, letter: Letter, user: str, facts: Facts, host: str) -> Scan:
    """Score a message; what rspamd would have a milter add is in `edits`. Raises ScannerError."""
    fields = list(_envelope(settings, facts, user, host))
    most = settings.most
    status, body = await post(wire, "/checkv2", "rspamd", fields, letter.length(most), letter.blocks(most))
    if status != 200:
        raise ScannerError(f"it says {status} {' '.join(body[:200].decode('utf-8', 'replace').split())}")
    try:
        said = json.loads(body, parse_constant=_zero)
        return _read(name, said)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ArithmeticError) as error:
        raise ScannerError("its answer cannot be read") from error


def _envelope(settings: Scanner, facts: Facts, user: str, host: str) -> Iterator[tuple[str, str]]:
    visit = facts.visit
    yield "From", facts.return_path
    for recipient in facts.recipients:
        yield "Rcpt", recipient
    if user:
        yield "Deliver-To", user
    yield "IP", visit.address.partition("%")[0]
    yield "Helo", visit.helo
    if visit.client_name:
        yield "Hostname", visit.client_name
    if visit.account:
        yield "User", visit.account
    if visit.tls is not None:
        yield "TLS-Cipher", visit.tls.cipher
        yield "TLS-Version", visit.tls.version
    yield "MTA-Name", host
    if settings.password:
        yield "Password", settings.password


def _zero(word: str) -> float:
    """NaN and Infinity are no scores."""
    return 0.0


def _read(name: str, said: dict[str, Any]) -> Scan:
    if "score" not in said:
        raise ScannerError(f"it says {str(said.get('error') or 'nothing about the message')[:200]}")
    action = str(said.get("action", ""))
    symbols = said.get("symbols") or {}
    ranked = sorted(symbols.items(), key=lambda item: -abs(float(item[1].get("score") or 0.0)))[:MOST_SYMBOLS]
    report = "\n".join(f"{float(one.get('score') or 0.0):6.2f} {symbol}" for symbol, one in ranked if one.get("score"))
    message = str((said.get("messages") or {}).get("smtp_message") or "")
    result, reply = "clean", None
    if action == "soft reject":
        result, reply = "defer", catalogue.DEFERRED_BY_POLICY.with_text(message) if message else None
        reply = reply or catalogue.DEFERRED_BY_POLICY
    elif action == "reject":
        result, reply = "spam", catalogue.REFUSED_BY_POLICY.with_text(message) if message else None
    elif action in ("discard", "quarantine"):
        result = action
    return Scan(
        name, result, float(said["score"]), float(said.get("required_score") or 0.0) or None,
        tuple(str(symbol) for symbol, _ in ranked), report, f"rspamd's action: {action}"[:200], reply,
        _edits(said.get("milter") or {}),
    )  # fmt: skip


def _edits(milter: dict[str, Any]) -> Edits:
    """`add_headers` maps a name to a text, to {"value", "order"} or to a list of these; `remove_headers` to an index,
    0 for all of them."""
    removed = [
        FieldEdit("change", str(name), None, max(0, int(index)))
        for name, index in (milter.get("remove_headers") or {}).items()
    ]
    added: list[FieldEdit] = []
    for name, values in (milter.get("add_headers") or {}).items():
        for value in values if isinstance(values, list) else [values]:
            text = value.get("value", "") if isinstance(value, dict) else value
            added.append(FieldEdit("insert", str(name), f" {text}"))
    # each goes to the top, so the first of them goes there last
    return Edits((*removed[:MOST_FIELDS], *reversed(added[:MOST_FIELDS])))
