"""Each event of the maillog as a sentence for people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from posthouse.queue.identity import name_of

Detail = dict[str, Any]


def sentence_of(kind: str, address: str, detail: Detail) -> str:
    """The sentence for an event; a kind this table does not know is told with all its details."""
    known = _SENTENCES.get(kind)
    if known is not None:
        return known(address, detail)
    rest = ", ".join(f"{name} {value}" for name, value in detail.items())
    return " ".join(part for part in (kind.replace("-", " "), address, rest) if part)


def _path(address: str) -> str:
    return f"<{address}>"


def _said(detail: Detail) -> str:
    where, reply = detail.get("where", ""), detail.get("reply", "")
    if where and reply:
        return f"{where} said: {reply}"
    return str(where or reply or "no reason given")


def _item(number: Any) -> str:
    return name_of(number) if isinstance(number, int) and number > 0 else "?"


def _moment(milliseconds: Any) -> str:
    if not isinstance(milliseconds, int) or not 0 <= milliseconds < 1 << 47:
        return "an unknown time"
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _recipients(detail: Detail) -> str:
    count = detail.get("recipients", 0)
    if count == 1:
        to = detail.get("to") or detail.get("note")
        return _path(to) if to else "1 recipient"
    return f"{count} recipients"


def _accepted(address: str, detail: Detail) -> str:
    peer = f" from {detail['peer']}" if detail.get("peer") else ""
    known = f", Message-ID {detail['message_id']}" if detail.get("message_id") else ""
    size = f", {detail['size']} bytes" if detail.get("size") else ""
    return f"accepted by {detail.get('origin', '?')}{peer}: {_path(address)} to {_recipients(detail)}{size}{known}"


def _enqueued(address: str, detail: Detail) -> str:
    because = f" because of {_item(detail['because'])}" if detail.get("because") else ""
    what = {
        "list": "copies for",
        "personal": "copies for",
        "digest": "a digest for",
        "report": "a report for",
        "bounce": "a report for",
        "notice": "a notice for",
    }.get(detail.get("origin", ""), f"a message ({detail.get('origin', '?')}) for")
    return f"enqueued {what} {_recipients(detail)}, return path {_path(address)}{because}"


def _refused(address: str, detail: Detail) -> str:
    reason = f" ({detail['reason']})" if detail.get("reason") else ""
    about = f" {_path(address)}" if address else ""
    peer = f" from {detail['peer']}" if detail.get("peer") else ""
    path = f", return path {_path(detail['return_path'])}" if detail.get("return_path") else ""
    check = f" by the check {detail['check']}" if detail.get("check") else ""
    found = f"; known: {detail['found']}" if detail.get("found") else ""
    said = f"{detail.get('reply', '')}{reason}{found}"
    done = "deferred" if str(detail.get("reply", "")).startswith("4") else "refused"
    return f"{done} at {detail.get('stage', '?')}{check}{about}{peer}{path}: {said}"


def _evidence(_address: str, detail: Detail) -> str:
    said = [one for one in (detail.get("found"), detail.get("verdict")) if one]
    return f"evidence about {detail.get('peer', '?')}: {'; '.join(said)}"


def _checked(_address: str, detail: Detail) -> str:
    counts = detail.get("counts")
    known = counts if isinstance(counts, dict) else {}
    return "checks since the last count: " + ", ".join(f"{name} {count}" for name, count in known.items())


def _returned(address: str, detail: Detail) -> str:
    action = detail.get("action", "failed")
    if detail.get("report"):
        return f"told {_path(address)} that it {_ACTIONS.get(action, action)}, in report {_item(detail['report'])}"
    return f"no report was written ({action}): the return path {_path(address)} must not or does not want to be told"


_ACTIONS = {"failed": "failed", "delayed": "is delayed", "delivered": "was delivered", "relayed": "was relayed"}


def _suspended(address: str, detail: Detail) -> str:
    until = f"until {_moment(detail['until'])}" if detail.get("until") else "until it is resumed"
    return f"destination {address} is left alone {until}: {detail.get('reason', '')}"


def _judged(address: str, detail: Detail) -> str:
    reason = f": {detail['reason']}" if detail.get("reason") else ""
    return f"judged by {address}: {detail.get('disposition', '?')} (rule {detail.get('rule', '?')}){reason}"


def _moderated(address: str, detail: Detail) -> str:
    reason = f": {detail['reason']}" if detail.get("reason") else ""
    return f"held posting to {address}: {detail.get('act', '?')} by {detail.get('by') or 'nobody'}{reason}"


_SENTENCES: dict[str, Callable[[str, Detail], str]] = {
    "connection-refused": lambda address, detail: (
        f"connection from {detail.get('peer', '?')} to {detail.get('listener', '?')} refused: {detail.get('reply', '')}"
        + (f" ({detail['reason']})" if detail.get("reason") else "")
    ),
    "refused": _refused,
    "signed-in": lambda address, detail: f"{address} signed in from {detail.get('peer', '?')}",
    "sign-in-refused": lambda address, detail: f"sign-in as {address} refused, from {detail.get('peer', '?')}",
    "sign-in-asked": lambda address, detail: (
        f"a sign-in link for {address} was asked for from {detail.get('peer', '?')}"
        + ("" if detail.get("sent") else "; nobody here has that address")
    ),
    "pressure": lambda _address, detail: (
        f"mail of role {detail.get('role', '?')} is taken again"
        if detail.get("why") == "over"
        else f"mail of role {detail.get('role', '?')} is asked to come later: {detail.get('why', '')}"
    ),
    "accepted": _accepted,
    "evidence": _evidence,
    "checked": _checked,
    "discarded": lambda _address, detail: (
        f"accepted and thrown away for {detail.get('by', '?')}, from {detail.get('peer', '?')}"
        + (f": {detail['found']}" if detail.get("found") else "")
    ),
    "dns-list-dead": lambda _address, detail: (
        f"DNS list {detail.get('name', '?')}, {detail.get('zone', '?')}, is not believed: {detail.get('reason', '')}"
    ),
    "dns-list-alive": lambda _address, detail: (
        f"DNS list {detail.get('name', '?')}, {detail.get('zone', '?')}, passes its self-check again"
    ),
    "enqueued": _enqueued,
    "delivered": lambda address, detail: f"delivered to {_path(address)}: {_said(detail)}",
    "deferred": lambda address, detail: (
        f"deferred for {_path(address)}: {_said(detail)}; next attempt at {_moment(detail.get('next_attempt'))}"
    ),
    "failed": lambda address, detail: f"failed for {_path(address)}: {_said(detail)}",
    "returned": _returned,
    "suspended": _suspended,
    "resumed": lambda address, detail: f"destination {address} is tried again",
    "judged": _judged,
    "moderated": _moderated,
    "filed": lambda address, detail: f"filed in the archive of {address}: {detail.get('permalink', '')}",
    "subscription": lambda address, detail: (
        f"{_path(address)}: {detail.get('act', '?')}, list {detail.get('mailing_list', '?')}, "
        f"by {detail.get('by', '?')}"
    ),
    "bounced": lambda address, detail: (
        f"a bounce came back for {_path(address)} of {detail.get('mailing_list', '?')}: "
        f"{detail.get('status', '')} {detail.get('diagnostic', '')}".rstrip()
    ),
}
