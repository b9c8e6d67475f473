"""Held mail: one inbox over all lists a visitor decides for; release, reject, discard, one by one or many at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from posthouse.archive.render import blocks
from posthouse.content import keeping
from posthouse.directory import accounts
from posthouse.lists import holding
from posthouse.lists.errors import ListError, NoSuchHeld
from posthouse.message.headers import split
from posthouse.message.parsing import read
from posthouse.message.text import decode
from posthouse.web.access import Hidden, Visitor, known_visitor
from posthouse.web.answers import page
from posthouse.web.body import body_of
from posthouse.web.environment import when
from posthouse.web.words import told

PAGE = 50  # rows of the inbox
MOST_AT_ONCE = 200  # messages decided by one form
LONGEST_REASON = 1000
SHOWN_OCTETS = 1024 * 1024  # of a held message; what follows is not shown
SHOWN_HEADER = 64 * 1024


@require_http_methods(["GET", "HEAD", "POST"])
def inbox(request: HttpRequest) -> HttpResponse:
    """Everything that waits for this visitor's decision, oldest first; POST decides about the chosen ones."""
    who = known_visitor(request)
    said: list[str] = []
    good = True
    if request.method == "POST":
        good, said = _decide_many(request, who)
    waiting = _held_for(who)
    number = request.GET.get("page", "1")
    at = int(number) if number.isdecimal() and len(number) < 6 else 1
    rows = [_row(one) for one in waiting[(at - 1) * PAGE : at * PAGE]]
    context = {
        "rows": rows, "total": len(waiting), "said": said, "good": good,
        "newer": f"/held/?page={at - 1}" if at > 1 else "",
        "older": f"/held/?page={at + 1}" if at * PAGE < len(waiting) else "",
    }  # fmt: skip
    return page(request, "held/inbox.html", context, status=200 if good else 422)


@require_http_methods(["GET", "HEAD", "POST"])
def show(request: HttpRequest, number: int) -> HttpResponse:
    """One held message, shown safely, with the buttons to decide."""
    who = known_visitor(request)
    facts = _allowed(who, number)
    said: list[str] = []
    if request.method == "POST":
        try:
            act = _act(request)
            for one in [each.id for each in holding.from_author(number)] if "all" in request.POST else [number]:
                act(one)
            return HttpResponseRedirect("/held/")
        except ListError as error:
            said = [told(error)]
    octets = keeping.read(facts.content_id).head(SHOWN_OCTETS)
    reading = read(octets)
    header = octets[: split(octets)[1]][:SHOWN_HEADER]
    shown = {
        **_row(facts),
        "hits": [told(hit) for hit in facts.hits or (facts.reason,)],
        "others": len(holding.from_author(number)) - 1,
        "size": facts.size,
        "body": body_of(blocks(reading.text)),
        "header": decode(header, "utf-8").strip().replace("\r\n", "\n"),
        "files": [{"name": a.filename, "media_type": a.content_type, "size": a.size} for a in reading.attachments],
    }
    return page(request, "held/message.html", {"held": shown, "said": said}, status=422 if said else 200)


def _held_for(who: Visitor) -> Sequence[Any]:
    if not who.moderates:
        return []
    found = holding.held(account=None if who.superuser else who.account)
    return sorted((one for one in found if who.may_moderate(one.list_address)), key=lambda one: one.held_at)


def _allowed(who: Visitor, number: int) -> Any:
    try:
        facts = holding.show_held(number)
    except NoSuchHeld:
        raise Hidden from None
    if facts is None or not who.may_moderate(facts.list_address):
        raise Hidden  # those who may not decide are not told what waits
    return facts


def _row(facts: Any) -> dict[str, Any]:
    return {
        "id": facts.id,
        "subject": facts.subject or _("(no subject)"),
        "author": facts.author or _("(nobody)"),
        "list": facts.list_address,
        "reason": told(facts.reason),
        "when": when(int(facts.held_at.timestamp())),
    }


def _act(request: HttpRequest) -> Callable[[int], None]:
    """What the pressed button does to one held message. Raises ListError in words."""
    act = request.POST.get("act", "")
    reason = request.POST.get("reason", "").strip()[:LONGEST_REASON]
    by = (accounts.addresses_of(known_visitor(request).account) or [f"account {known_visitor(request).account}"])[0]
    now = time.time_ns() // 1_000_000
    if act not in holding.ACTS:
        raise ListError(_("Press one of the buttons: release, reject, discard, ban or accept."))
    return lambda number: holding.decide(number, act, by, now, reason)


def _decide_many(request: HttpRequest, who: Visitor) -> tuple[bool, list[str]]:
    """Decide about the chosen messages; (whether all went well, what to say)."""
    chosen = [int(text) for text in request.POST.getlist("held")[:MOST_AT_ONCE] if text.isdecimal() and len(text) < 19]
    if not chosen:
        return False, [_("Choose at least one message.")]
    try:
        act = _act(request)
    except ListError as error:
        return False, [told(error)]
    done = 0
    said: list[str] = []
    for number in dict.fromkeys(chosen):
        try:
            act(_allowed(who, number).id)
            done += 1
        except (Hidden, NoSuchHeld):
            said.append(_("One message was decided already by somebody else."))
        except ListError as error:
            said.append(told(error))
    if done:
        said.insert(0, ngettext("%(n)d message decided.", "%(n)d messages decided.", done) % {"n": done})
    return bool(done), list(dict.fromkeys(said))
