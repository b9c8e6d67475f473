"""Who comes in: requests to join or leave that wait for a moderator, bans, and rules about header fields."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from posthouse.lists import approval, bans
from posthouse.lists.errors import ListError, NoSuchRequest
from posthouse.lists.moderation import header_matches
from posthouse.web.answers import page
from posthouse.web.desk import MODERATORS, Desk, by_of, desk, now_ms
from posthouse.web.environment import when
from posthouse.web.office import Office, office
from posthouse.web.words import told

MOST_SHOWN = 200


@require_http_methods(["GET", "HEAD", "POST"])
def requests(request: HttpRequest, address: str) -> HttpResponse:
    """Requests that wait, oldest first; POST approves, rejects or discards the chosen ones."""
    at = desk(request, address, MODERATORS)
    good, said = _decide(request, at) if request.method == "POST" else (True, [])
    waiting = approval.waiting(at.row.pk)
    rows = [
        {
            "id": one.id, "address": one.address, "name": one.display_name,
            "act": _("leave") if one.act == "leave" else _("join"), "when": when(int(one.made_at.timestamp())),
        }
        for one in waiting[:MOST_SHOWN]
    ]  # fmt: skip
    context = {"desk": at, "rows": rows, "total": len(waiting), "said": said, "good": good}
    return page(request, "desk/requests.html", context, status=200 if good else 422)


def _decide(request: HttpRequest, at: Desk) -> tuple[bool, list[str]]:
    act, reason = request.POST.get("act", ""), request.POST.get("reason", "")[:1000]
    chosen = [int(text) for text in request.POST.getlist("chosen")[:MOST_SHOWN] if text.isdecimal() and len(text) < 19]
    if not chosen:
        return False, [_("Choose at least one request.")]
    if act not in ("approve", "reject", "discard"):
        return False, [_("Press one of the three buttons.")]
    by, now, done, said = by_of(at.who), now_ms(), 0, []
    for number in dict.fromkeys(chosen):
        try:
            if approval.show(number).list_address != at.address:
                raise NoSuchRequest("")
            if act == "reject":
                approval.reject(number, reason, by, now)
            else:
                (approval.approve if act == "approve" else approval.discard)(number, by, now)
            done += 1
        except NoSuchRequest:
            said.append(_("One request was decided already by somebody else."))
        except ListError as error:
            said.append(told(error))
    if done:
        said.insert(0, ngettext("%(n)d request decided.", "%(n)d requests decided.", done) % {"n": done})
    return bool(done), list(dict.fromkeys(said))


@require_http_methods(["GET", "HEAD", "POST"])
def bans_and_rules(request: HttpRequest, address: str) -> HttpResponse:
    """The bans of a list and its header matches; POST adds, removes and moves them."""
    return _gate(request, desk(request, address))


@require_http_methods(["GET", "HEAD", "POST"])
def of_site(request: HttpRequest) -> HttpResponse:
    """The bans and header matches that hold for every list of the site."""
    return _gate(request, office(request))


def _gate(request: HttpRequest, at: Desk | Office) -> HttpResponse:
    said, good, given = "", True, {}
    if request.method == "POST":
        try:
            said = _change(request, at)
        except ListError as error:
            said, good, given = told(error), False, request.POST.dict()
    rules = header_matches.matches(at.pk)
    context = {
        "desk": at, "said": said, "good": good, "given": given, "rules": rules,
        "bans": [
            {"pattern": one.pattern, "why": one.why, "by": one.by, "when": when(int(one.at.timestamp()))}
            for one in bans.bans(at.pk)
        ],
        "actions": header_matches.ACTIONS,
    }  # fmt: skip
    return page(request, "desk/bans.html", context, status=200 if good else 422)


def _change(request: HttpRequest, at: Desk | Office) -> str:
    """What was done, in a sentence. Raises ListError."""
    post, act = request.POST, request.POST.get("act", "")
    text = post.get("position", "")
    position = int(text) if text.isdecimal() and len(text) < 6 else 0
    if act == "ban":
        pattern = post.get("pattern", "").strip()
        if not pattern:
            raise ListError(_("Write whom to ban."))
        made = bans.ban(pattern, at.pk, by=by_of(at.who), now=now_ms(), why=post.get("why", ""))
        words = {"pattern": pattern}
        return (_("%(pattern)s is banned.") if made else _("%(pattern)s was banned already.")) % words
    if act == "lift":
        lifted = bans.lift(post.get("pattern", ""), at.pk)
        return _("The ban is lifted.") if lifted else _("There was no such ban.")
    if act == "add-rule":
        header_matches.add(
            at.pk, post.get("header", ""), post.get("expression", ""), post.get("action", ""), post.get("tag", "")
        )
        return _("The rule was added at the end.")
    if act == "remove-rule":
        header_matches.remove(at.pk, position)
        return _("The rule was removed.")
    if act in ("up", "down"):
        header_matches.move(at.pk, position, max(0, position + (1 if act == "down" else -1)))
        return _("The rule was moved.")
    raise ListError(_("Press one of the buttons."))
