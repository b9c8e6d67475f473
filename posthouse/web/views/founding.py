"""Lists are created, renamed, paused, closed and removed (asked twice); and brought back."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from posthouse.address import mailboxes
from posthouse.directory import domains
from posthouse.lists import addresses, changing, creation, styles
from posthouse.lists.errors import ListError, NoSuchList
from posthouse.lists.models import ACTIVE, CLOSED, DISABLED, PAUSED
from posthouse.web import links
from posthouse.web.access import Hidden, NotAllowed, known_visitor
from posthouse.web.answers import page
from posthouse.web.desk import Desk, by_of, desk, now_ms
from posthouse.web.words import told

ASKED = {"host", "name", "display_name", "style", "owners"}


@require_http_methods(["GET", "HEAD", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    """The form for a new list; and the lists that were removed and can come back."""
    who = known_visitor(request)
    if not who.founds:
        raise Hidden
    hosts = [one.name for one in domains.all_domains() if who.may_found(one.name)]
    given = {name: request.POST.get(name, "").strip() for name in ASKED}
    said = ""
    if request.method == "POST":
        try:
            return HttpResponseRedirect(_made(request, given, hosts))
        except ListError as error:
            said = told(error)
    context = {
        "said": said, "given": given, "hosts": hosts, "styles": styles.names(), "me": by_of(who),
        "removed": [one for one in changing.removed() if who.may_found(one.address.rpartition("@")[2])],
    }  # fmt: skip
    return page(request, "desk/create.html", context, status=422 if said else 200)


def _made(request: HttpRequest, given: dict[str, str], hosts: list[str]) -> str:
    """Where to go after making or restoring a list. Raises ListError."""
    if request.POST.get("act") == "restore":
        found = next((one for one in changing.removed() if str(one.pk) == request.POST.get("list")), None)
        if found is None or found.address.rpartition("@")[2] not in hosts:
            raise NoSuchList(_("This list cannot be restored any more."))
        return links.mailing_list(creation.restore(found.pk).address)
    if given["host"] not in hosts:
        raise ListError(_("Choose the domain of the list."))
    owners = [address for line in given["owners"].splitlines() for _name, address in mailboxes(line)]
    if not owners:
        raise ListError(_("Name at least one owner."))
    style = given["style"] or "discussion"
    made = creation.create(f"{given['name']}@{given['host']}", owners, style, given["display_name"])
    return f"{links.mailing_list(made.address)}settings/"


@require_http_methods(["GET", "HEAD", "POST"])
def manage(request: HttpRequest, address: str) -> HttpResponse:
    """The name, the state and the end of a list; removing is asked twice."""
    at = desk(request, address)
    said, good, sure = "", True, False
    if request.method == "POST":
        try:
            answer = _change(request, at)
            if isinstance(answer, HttpResponse):
                return answer
            said, sure = answer
            at = desk(request, address)
        except ListError as error:
            said, good, sure = told(error), False, request.POST.get("act") == "remove-now"
    context: dict[str, Any] = {
        "desk": at, "said": said, "good": good, "sure": sure, "state": at.row.state, "reason": at.row.state_reason,
        "states": [
            (ACTIVE, _("Active: it works")),
            (PAUSED, _("Paused: no postings and no new members for a while")),
            (CLOSED, _("Closed: the archive stays, nothing else happens")),
            (DISABLED, _("Disabled: what comes is thrown away unanswered, nobody joins")),
        ],
        "may_remove": at.who.may_found(at.row.domain.name),
        "aliases": addresses.names_of(at.row.pk)[1:],
    }  # fmt: skip
    return page(request, "desk/manage.html", context, status=200 if good else 422)


def _change(request: HttpRequest, at: Desk) -> HttpResponse | tuple[str, bool]:
    """Where to go, or (what was done, whether to ask again before removing). Raises ListError."""
    post, act = request.POST, request.POST.get("act", "")
    if act == "state":
        creation.set_state(at.row.pk, post.get("state", ""), post.get("reason", ""), now_ms())
        return _("The state of the list is changed."), False
    if act == "rename":
        new = post.get("new", "").strip()
        if "@" not in new:
            new = f"{new}@{at.row.domain.name}"
        host = new.rpartition("@")[2].lower()
        if host != at.row.domain.name and not at.who.may_found(host):
            raise ListError(_("Only the owners of a domain move a list into it."))
        facts = creation.rename(at.row.pk, new, new_list_id=bool(post.get("new_list_id")))
        return HttpResponseRedirect(f"{links.mailing_list(facts.address)}manage/")
    if act in ("remove", "remove-now"):
        if not at.who.may_found(at.row.domain.name):
            raise NotAllowed(_("Only the owners of the domain and administrators remove a list."))
        if act == "remove":
            return "", True
        if post.get("typed", "").strip().lower() != at.address:
            raise ListError(_("Type the address of the list as it stands here, so that no other one is removed."))
        creation.remove(at.row.pk, keep_archive=bool(post.get("keep_archive")), now=now_ms())
        return HttpResponseRedirect("/lists/new/")
    raise ListError(_("Press one of the buttons."))
