"""Held mail: one inbox over all lists a visitor decides for; release, reject, discard, one by one or many at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from posthouse.archive.render import blocks
from posthouse.content import keeping
from posthouse.database import transaction
from posthouse.lists import holding, waiting
from posthouse.lists.addresses import list_pk
from posthouse.lists.errors import ListError, NoSuchHeld, NoSuchList
from posthouse.message.headers import split
from posthouse.message.parsing import read
from posthouse.message.text import decode
from posthouse.web.access import Hidden, Visitor, known_visitor
from posthouse.web.answers import page
from posthouse.web.body import body_of
from posthouse.web.desk import by_of, now_ms
from posthouse.web.environment import when
from posthouse.web.words import told

PAGE = 50  # rows of the inbox
MOST_PAGES = 1000
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
    elif "done" in request.GET:
        said = [_decided(request.GET["done"], request.GET.get("n", ""))]
    chosen, account = _list_of(request, who), None if who.superuser else who.account
    total = holding.count(chosen, account) if who.moderates else 0
    at = _page_number(request, total)
    found = holding.held(chosen, account, limit=PAGE, skip=(at - 1) * PAGE) if total else []
    context = {
        "rows": [_row(one) for one in found], "total": total, "said": said, "good": good, "list": chosen or "",
        "discarded": bool(who.moderates and holding.discarded(None, account, limit=1)),
        **_steps("/held/", at, total, chosen),
    }  # fmt: skip
    return page(request, "held/inbox.html", context, status=200 if good else 422)


@require_http_methods(["GET", "HEAD", "POST"])
def thrown_away(request: HttpRequest) -> HttpResponse:
    """What was discarded and can be restored, the latest first; POST lets one wait again."""
    who = known_visitor(request)
    said, good = "", True
    if request.method == "POST":
        text = request.POST.get("held", "")
        try:
            said = _restored(who, int(text) if text.isdecimal() and len(text) < 19 else 0)
        except ListError as error:
            said, good = told(error), False
    account = None if who.superuser else who.account
    at = _page_number(request, MOST_PAGES * PAGE)
    found = holding.discarded(None, account, limit=PAGE + 1, skip=(at - 1) * PAGE) if who.moderates else []
    rows = [{**_row(one), "by": one.discarded_by, "at": _when(one.discarded_at)} for one in found[:PAGE]]
    steps = _steps("/held/discarded/", at, (at - 1) * PAGE + len(found), None)
    context = {"rows": rows, "said": said, "good": good, "days": waiting.RESTORABLE.days, **steps}
    return page(request, "held/discarded.html", context, status=200 if good else 422)


def _restored(who: Visitor, number: int) -> str:
    """Let a discarded message wait again, for those who may decide about it; what was done. Raises ListError."""
    with transaction():
        facts = holding.restore(number, by_of(who), now_ms())
        if not who.may_moderate(facts.list_address):
            raise Hidden  # and nothing was restored: the transaction ends here
    return _("“%(subject)s” waits for a decision again.") % {"subject": facts.subject or _("(no subject)")}


def _list_of(request: HttpRequest, who: Visitor) -> str | None:
    """The list that the inbox is narrowed to, if the visitor decides there."""
    address = request.GET.get("list", "").strip().lower()[:320]
    return address if address and who.may_moderate(address) and _is_list(address) else None


def _is_list(address: str) -> bool:
    try:
        return list_pk(address) > 0
    except NoSuchList:
        return False


def _page_number(request: HttpRequest, total: int) -> int:
    """The page that is asked for, one of those there are."""
    text = request.GET.get("page", "1")
    asked = int(text) if text.isdecimal() and len(text) < 6 else 1
    return max(1, min(asked, -(-total // PAGE)))


def _steps(path: str, at: int, total: int, chosen: str | None) -> dict[str, str]:
    def to(number: int) -> str:
        return f"{path}?{urlencode({**({'list': chosen} if chosen else {}), 'page': number})}"

    return {"back": to(at - 1) if at > 1 else "", "onward": to(at + 1) if at * PAGE < total else ""}


@require_http_methods(["GET", "HEAD", "POST"])
def show(request: HttpRequest, number: int) -> HttpResponse:
    """One held message, shown safely, with the buttons to decide."""
    who = known_visitor(request)
    try:
        facts = _allowed(who, number)
    except Hidden:
        if not who.moderates:
            raise
        return HttpResponseRedirect("/held/?done=gone")  # most often a colleague was faster; nobody learns what waits
    said: list[str] = []
    if request.method == "POST":
        try:
            act = _act(request)
            chosen = [each.id for each in holding.from_author(number)] if "all" in request.POST else [number]
            for one in chosen:
                act(one)
            return HttpResponseRedirect(f"/held/?{urlencode({'done': request.POST['act'], 'n': len(chosen)})}")
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
        "when": _when(facts.held_at),
    }


def _when(moment: datetime | None) -> object:
    return when(int(moment.timestamp())) if moment else ""


def _act(request: HttpRequest) -> Callable[[int], None]:
    """What the pressed button does to one held message. Raises ListError in words."""
    act = request.POST.get("act", "")
    reason = request.POST.get("reason", "").strip()[:LONGEST_REASON]
    by, now = by_of(known_visitor(request)), now_ms()
    if act not in holding.ACTS:
        raise ListError(_("Press one of the buttons: release, reject, discard, ban or accept."))
    return lambda number: holding.decide(number, act, by, now, reason)


def _decided(act: str, number: str) -> str:
    """What was done to so many messages, in words; also what is said of a message that does not wait any more."""
    n = int(number) if number.isdecimal() and len(number) < 6 else 1
    words = {
        "release": ngettext("%(n)d message was released.", "%(n)d messages were released.", n),
        "reject": ngettext("%(n)d message was rejected.", "%(n)d messages were rejected.", n),
        "discard": ngettext("%(n)d message was discarded.", "%(n)d messages were discarded.", n),
        "accept": ngettext("%(n)d message was released, its author is accepted from now on.",
                           "%(n)d messages were released, their authors are accepted from now on.", n),
        "ban": ngettext("%(n)d message was discarded, its author is banned.",
                        "%(n)d messages were discarded, their authors are banned.", n),
    }  # fmt: skip
    return words.get(act, _("This message does not wait any more: it was decided already.")) % {"n": n}


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
        said.insert(0, _decided(request.POST["act"], str(done)))
    return bool(done), list(dict.fromkeys(said))
