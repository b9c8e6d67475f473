"""The office: domains with their owners, moved and removed; and somebody found, and taken off every list."""

from __future__ import annotations

from typing import Any

from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from posthouse.database import transaction
from posthouse.directory import accounts, domains
from posthouse.directory.errors import DirectoryError
from posthouse.lists import bans, moving, people, roster
from posthouse.lists.errors import ListError
from posthouse.lists.models import MailingList
from posthouse.web import links
from posthouse.web.access import Hidden, NotAllowed, known_visitor
from posthouse.web.answers import page
from posthouse.web.desk import by_of, now_ms
from posthouse.web.environment import day
from posthouse.web.office import SITE, Office, office
from posthouse.web.words import told


@require_http_methods(["GET", "HEAD", "POST"])
def overview(request: HttpRequest) -> HttpResponse:
    """The domains that this visitor runs; administrators add more."""
    who = known_visitor(request)
    if not who.founds:
        raise Hidden
    said, good = "", True
    if request.method == "POST":
        at = office(request)
        try:
            made = domains.add(request.POST.get("name", ""), request.POST.get("description", "").strip()[:1000])
            return HttpResponseRedirect(Office(at.who, made.name).path)
        except DirectoryError as error:
            said, good = told(error), False
    counted = dict(MailingList.objects.values_list("domain_id").annotate(number=Count("id")))
    rows = [
        {
            "name": one.name, "path": Office(who, one.name).path, "description": one.description,
            "stands_for": one.stands_for, "owners": one.owners, "lists": counted.get(one.id, 0),
        }
        for one in domains.all_domains()
        if who.may_found(one.name)
    ]  # fmt: skip
    context = {
        "desk": Office(who) if who.superuser else None, "domains": rows, "said": said, "good": good,
        "given": {} if good else request.POST.dict(),
    }  # fmt: skip
    return page(request, "office/domains.html", context, status=200 if good else 422)


@require_http_methods(["GET", "HEAD", "POST"])
def domain(request: HttpRequest, host: str) -> HttpResponse:
    """A domain: its lists and owners; administrators change who they are, move its lists, and remove it."""
    at = office(request, host.lower())
    said, good = "", True
    if request.method == "POST":
        try:
            answer = _change(request, at)
            if isinstance(answer, HttpResponse):
                return answer
            said = answer
        except (DirectoryError, ListError) as error:
            said, good = told(error), False
    facts = domains.show(at.host)
    rows = MailingList.objects.filter(domain_id=facts.id).select_related("domain").order_by("list_name")
    context: dict[str, Any] = {
        "desk": at, "said": said, "good": good, "given": {} if good else request.POST.dict(), "owners": facts.owners,
        "description": facts.description, "stands_for": facts.stands_for,
        "lists": [(links.mailing_list(row.address), row.display_name or row.list_name, row.address) for row in rows],
    }  # fmt: skip
    return page(request, "office/domain.html", context, status=200 if good else 422)


def _change(request: HttpRequest, at: Office) -> HttpResponse | str:
    """Where to go, or what was done. Raises DirectoryError, ListError."""
    post, act = request.POST, request.POST.get("act", "")
    if act == "describe":
        domains.describe(at.host, post.get("description", ""))
        return _("The description is kept.")
    if not at.who.superuser:
        raise NotAllowed(_("Only administrators of the site do that."))
    words = {"address": post.get("address", "").strip(), "domain": at.host}
    if act == "add-owner":
        domains.add_owner(at.host, words["address"])
        return _("%(address)s owns %(domain)s now.") % words
    if act == "remove-owner":
        domains.remove_owner(at.host, words["address"])
        return _("%(address)s no longer owns %(domain)s.") % words
    if act == "move":
        done = moving.rename_domain(at.host, post.get("new", ""), new_list_id=bool(post.get("new_list_id")))
        return HttpResponseRedirect(Office(at.who, done.new).path)
    if act == "remove":
        if post.get("typed", "").strip().lower() != at.host:
            raise ListError(_("Type the name of the domain as it stands here, so that no other one is removed."))
        moving.remove_domain(at.host, with_old_names=bool(post.get("with_old_names")))
        return HttpResponseRedirect(SITE)
    raise ListError(_("Press one of the buttons."))


@require_http_methods(["GET", "HEAD", "POST"])
def somebody(request: HttpRequest) -> HttpResponse:
    """Every list an address (and the others of its account) is on; POST takes them off all of them."""
    at = office(request)
    said: list[str] = []
    good = True
    text = (request.POST.get("address", "") if request.method == "POST" else request.GET.get("q", "")).strip()[:320]
    if request.method == "POST":
        try:
            said = _removed(request, at, text)
        except ListError as error:
            said, good = [told(error)], False
    rows: list[dict[str, Any]] = []
    account = accounts.find(text) if text else None
    try:
        for address in account.addresses if account else [text] if text else []:
            rows += [
                {
                    "list": one.list_address, "path": links.mailing_list(one.list_address), "role": _role(one.role),
                    "address": one.address, "since": day(int(one.joined_at.timestamp())),
                }
                for one in roster.find(address)
            ]  # fmt: skip
    except ListError as error:
        said, good = [told(error)], False
    context = {"desk": at, "q": text, "account": account, "rows": rows, "said": said, "good": good}
    return page(request, "office/people.html", context, status=200 if good else 422)


def _removed(request: HttpRequest, at: Office, address: str) -> list[str]:
    if request.POST.get("act") != "remove":
        raise ListError(_("Press one of the buttons."))
    by, now = by_of(at.who), now_ms()
    with transaction():
        done = people.remove_everywhere(address, now, by=by, whole_account=True)
        count = len(done.lists)
        said = [ngettext("Removed from %(n)d list.", "Removed from %(n)d lists.", count) % {"n": count}]
        for one in done.addresses if request.POST.get("ban") else ():
            bans.ban(one, None, by=by, now=now)
            said.append(_("%(pattern)s is banned.") % {"pattern": one})
    if done.ownerless:
        said.append(_("Nobody owns these lists any more: %(names)s") % {"names": ", ".join(done.ownerless)})
    return said


def _role(role: str) -> str:
    return {"member": _("Member"), "owner": _("Owner"), "moderator": _("Moderator"), "nonmember": _("Nonmember")}[role]
