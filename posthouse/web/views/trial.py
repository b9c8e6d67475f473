"""The outbox of the trial mode: mail for elsewhere, kept instead of sent."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from posthouse.archive.render import blocks
from posthouse.configuration import active
from posthouse.message.headers import split
from posthouse.message.parsing import read
from posthouse.message.text import decode
from posthouse.queue import captured
from posthouse.web.access import Hidden
from posthouse.web.answers import PLAIN, page
from posthouse.web.body import body_of
from posthouse.web.environment import when

PAGE = 50  # messages on one page
SHOWN_HEADER = 64 * 1024


@require_safe
def outbox(request: HttpRequest) -> HttpResponse:
    """Captured mail, newest first."""
    _only_in_trial()
    before = request.GET.get("before", "")
    number = int(before) if before.isdecimal() and len(before) < 19 else None
    found = list(captured.captured(PAGE + 1, number))
    rows = [_row(one) for one in found[:PAGE]]
    older = f"/trial/outbox?before={rows[-1]['id']}" if len(found) > PAGE else ""
    return page(
        request, "trial/outbox.html", {"rows": rows, "newer": "/trial/outbox" if number else "", "older": older}
    )  # fmt: skip


@require_safe
def message(request: HttpRequest, number: int) -> HttpResponse:
    """One captured message as safe text; `?raw=1`: its exact bytes."""
    _only_in_trial()
    found = captured.captured_message(number)
    if found is None:
        raise Hidden
    facts, octets = found
    if "raw" in request.GET:
        return HttpResponse(octets, content_type=PLAIN, headers={"Cache-Control": "no-store"})
    header = octets[: split(octets)[1]][:SHOWN_HEADER]
    shown = {
        **_row(facts),
        "body": body_of(blocks(read(octets).text)),
        "header": decode(header, "utf-8").strip().replace("\r\n", "\n"),
    }
    return page(request, "trial/message.html", {"row": shown})


def _only_in_trial() -> None:
    if not active().trial:
        raise Hidden


def _row(found: captured.CapturedMessage) -> dict[str, Any]:
    return {
        "id": found.id,
        "subject": found.subject or _("(no subject)"),
        "recipient": found.recipient,
        "return_path": found.return_path,
        "reply": found.reply,
        "when": when(found.at // 1000),
    }
