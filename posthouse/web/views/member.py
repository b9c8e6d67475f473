"""One person on a list: what they want, how their mail fares, their roles, another address for them, and goodbye."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from posthouse.database import transaction
from posthouse.directory import preferences
from posthouse.directory.errors import DirectoryError
from posthouse.lists import bounces, languages, looking, mass, relocating, roster, subscription, topics
from posthouse.lists.errors import ListError
from posthouse.lists.models import BY_MODERATOR, ENABLED, MEMBER, MODERATOR, NONMEMBER, OWNER
from posthouse.web.access import Hidden, NotAllowed
from posthouse.web.answers import page
from posthouse.web.desk import MODERATORS, Desk, by_of, desk, now_ms
from posthouse.web.environment import day
from posthouse.web.views.members import ACTIONS, last_owner_stays, modes, role_names, statuses
from posthouse.web.words import told

SWITCHES: Final = ("receive_own_postings", "receive_list_copy", "acknowledge_posts", "hide_address")


@require_http_methods(["GET", "HEAD", "POST"])
def member(request: HttpRequest, address: str, person: str) -> HttpResponse:
    """An address on the list, for those who moderate it; POST changes something about it (owners only)."""
    at = desk(request, address, MODERATORS)
    found = _look(at, person)
    said: list[str] = []
    good = True
    if request.method == "POST":
        if not at.runs:
            raise NotAllowed(_("Only the owners of the list change who is on it."))
        try:
            said = [_change(request, at, found)]
        except (ListError, DirectoryError) as error:
            said, good = [told(error)], False
        again = looking.somebody(at.pk, found.address)
        if again is None:  # they are gone from here, and so is their page
            return _gone(request, at, found, said)
        found = again
    context = {
        "desk": at, "one": found, "said": said, "good": good, "wants": _wants(found), "stands": _stands(at, found),
        "roles": role_names(), "title": found.display_name or found.address,
        "given": "" if good else request.POST.get("new", ""),
        "moderation": found.roles.get(MEMBER, found.roles.get(NONMEMBER)),
        "modes": modes(), "switches": _switches(), "languages": languages.LANGUAGES, "actions": ACTIONS,
        "list_path": f"{at.path}members/", "at_once": at.who.superuser,
    }  # fmt: skip
    return page(request, "desk/member.html", context, status=200 if good else 422)


def path_of(at: Desk, address: str) -> str:
    """The page of this address."""
    return f"{at.path}members/{quote(address, safe='@+')}/"


def _look(at: Desk, person: str) -> looking.Somebody:
    try:
        found = looking.somebody(at.pk, person)
    except ListError:
        found = None
    if found is None:
        raise Hidden
    return found


def _gone(request: HttpRequest, at: Desk, found: looking.Somebody, said: list[str]) -> HttpResponse:
    new = request.POST.get("new", "")
    if request.POST.get("act") == "move" and looking.somebody(at.pk, new):
        return HttpResponseRedirect(path_of(at, new.strip()))
    context = {
        "title": found.address, "lines": said, "button": "", "grave": False, "no_csrf": True,
        "onward": (f"{at.path}members/", _("Members")),
    }  # fmt: skip
    return page(request, "list/token.html", context)


def _change(request: HttpRequest, at: Desk, found: looking.Somebody) -> str:
    """What was done, in a sentence. Raises ListError, DirectoryError."""
    act, words = request.POST.get("act", ""), {"address": found.address}
    by, now = by_of(at.who), now_ms()
    if act == "save" and found.member is not None:
        _keep(request, at, found.member)
        return _("What was chosen for %(address)s is kept.") % words
    if act == "moderate" and MEMBER not in found.roles:
        roster.set_preferences(at.pk, found.address, NONMEMBER, moderation_action=_action(request))
        return _("What was chosen for %(address)s is kept.") % words
    if act == "restart" and found.member is not None:
        if not bounces.restart(at.pk, found.address, by, now):
            roster.set_preferences(at.pk, found.address, MEMBER, delivery_status=ENABLED)
        return _("%(address)s gets mail again, from the next message on.") % words
    if act in ("appoint", "dismiss"):
        return _appoint(request.POST.get("as", ""), act, at, found)
    if act == "move" and found.member is not None:
        return _move(request.POST.get("new", "").strip(), at, found, by, now)
    if act == "remove" and found.member is not None:
        if not mass.remove(at.pk, [found.address], now, by=by, goodbye=bool(request.POST.get("goodbye"))).removed:
            raise ListError(_("%(address)s is not a member any more.") % words)
        return _("%(address)s was removed from the list.") % words
    raise ListError(_("Press one of the buttons."))


def _keep(request: HttpRequest, at: Desk, before: looking.Subscription) -> None:
    """The choices of the form, all or none."""
    post = request.POST
    values = {name: preferences.parsed(name, post[name]) for name in (*SWITCHES, "delivery_mode") if name in post}
    language = post.get("preferred_language", "")
    if "preferred_language" in post and language in ("", *languages.LANGUAGES):
        values["preferred_language"] = language or None
    values["moderation_action"] = _action(request)
    delivery = post.get("delivery", "")
    if delivery == "stop" and before.holds["delivery_status"] != BY_MODERATOR:
        values["delivery_status"] = BY_MODERATOR
    with transaction():
        if delivery == "begin" and not bounces.restart(at.pk, before.address, by_of(at.who), now_ms()):
            values["delivery_status"] = ENABLED
        roster.set_preferences(at.pk, before.address, MEMBER, **values)
        if before.topics:
            chosen = post.getlist("topic")
            topics.choose_for(at.pk, before.address, chosen, "nonmatching" in post)


def _action(request: HttpRequest) -> str:
    action = request.POST.get("moderation_action", "")
    if action not in ACTIONS:
        raise ListError(_("This is no action."))
    return action


def _appoint(role: str, act: str, at: Desk, found: looking.Somebody) -> str:
    words = {"address": found.address, "role": role_names().get(role, role)}
    if role not in (OWNER, MODERATOR):
        raise ListError(_("Choose owner or moderator."))
    if act == "appoint":
        roster.add(at.pk, found.address, role=role)
        return (_("%(address)s is an owner now.") if role == OWNER else _("%(address)s is a moderator now.")) % words
    if role == OWNER:
        last_owner_stays(at, [found.address])
    roster.remove(at.pk, found.address, role)
    return (
        _("%(address)s is no owner any more.") if role == OWNER else _("%(address)s is no moderator any more.")
    ) % words


def _move(new: str, at: Desk, found: looking.Somebody, by: str, now: int) -> str:
    """An administrator moves at once; an owner asks the new address, since nobody shall be put on a list by a slip."""
    words = {"address": found.address, "new": new}
    if at.who.superuser:
        if not relocating.relocate(at.pk, found.address, new, by, now):
            return _("Nothing was different.")
        return _("%(new)s takes the place of %(address)s.") % words
    done = subscription.request_move(at.pk, found.address, new, now, by=by)
    return {
        subscription.ALREADY: _("Nothing was different."),
        subscription.MOVED: _("%(new)s takes the place of %(address)s.") % words,
        subscription.ASKED: _("A message is on its way to %(new)s; the mail goes there when it is answered.") % words,
    }.get(done, _("A message went to %(new)s within the last hour; it waits for an answer.") % words)


def _wants(found: looking.Somebody) -> dict[str, Any] | None:
    """What the member has chosen: in its own words ("": as for all lists), and what is so now."""
    one = found.member
    if one is None:
        return None
    status = str(one.holds["delivery_status"])
    return {
        "own": {name: _word(value) for name, value in one.own.items()},
        "holds": {name: _shown(name, value) for name, value in one.holds.items()},
        "otherwise": {name: _shown(name, value) for name, value in one.otherwise.items()},
        "status": status, "state": statuses().get(status, _("mail is sent")),
        "until": _day(one.resumes_at), "joined": _day(one.joined_at),
        "topics": [(topic, topic.casefold() in one.chosen) for topic in one.topics], "nonmatching": one.nonmatching,
    }  # fmt: skip


def _stands(at: Desk, found: looking.Somebody) -> dict[str, Any] | None:
    """How mail to the member fares, where any came back; None where none did."""
    one = bounces.standing(at.pk, found.address) if found.member else None
    if one is None or not (one.bounces or one.stopped):
        return None
    return {
        "score": _("Score %(score)s of %(limit)s") % {"score": f"{one.score:g}", "limit": one.threshold},
        "bounces": ngettext("%(num)d bounce", "%(num)d bounces", one.bounces) % {"num": one.bounces},
        "last": _day(one.last_bounce_at), "why": one.last_bounce, "stopped": one.stopped,
        "since": _day(one.stopped_at), "removed": _day(one.removed_at),
    }  # fmt: skip


def _day(at: datetime | None) -> str:
    return day(int(at.timestamp())) if at else ""


def _word(value: object) -> str:
    if value is None:
        return ""
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _shown(name: str, value: object) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if name == "preferred_language":
        return languages.LANGUAGES.get(str(value), _("the list's"))
    return modes().get(str(value), str(value)) if name == "delivery_mode" else str(value)


def _switches() -> list[tuple[str, str]]:
    labels = {
        "receive_own_postings": _("Gets their own postings"),
        "receive_list_copy": _("Gets a copy when named in To or Cc"),
        "acknowledge_posts": _("Gets a receipt for each posting"),
        "hide_address": _("Is hidden from other members"),
    }
    return [(name, labels[name]) for name in SWITCHES]
