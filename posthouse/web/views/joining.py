"""Joining a list from its page: a form that works without scripts, cookies or third parties, and resists abuse."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods

from posthouse.directory import accounts
from posthouse.lists import join_form, subscription
from posthouse.lists.errors import FormRefused, ListError, NoSuchList
from posthouse.lists.facts import row_of
from posthouse.lists.models import ACTIVE, MailingList
from posthouse.web import links
from posthouse.web.access import Hidden, Moved, Visitor, visitor
from posthouse.web.answers import page
from posthouse.web.desk import now_ms
from posthouse.web.words import told

LONGEST_NAME = 255


@csrf_exempt  # a stranger gets no cookie: the form's own token ties it to its list, network and time
@require_http_methods(["GET", "HEAD", "POST"])
def join(request: HttpRequest, address: str) -> HttpResponse:
    """The form; POST asks to join. A stranger is told the same whether the address is known or not."""
    who = visitor(request)
    row = _list(who, address)
    if request.method != "POST":
        return _form(request, row)
    try:
        return _asked_signed_in(request, row) if who.account else _asked(request, row)
    except FormRefused as error:
        return _form(request, row, told(error), 429)
    except ListError as error:
        return _form(request, row, told(error), 422)


@csrf_protect
def _asked_signed_in(request: HttpRequest, row: MailingList) -> HttpResponse:
    return _asked(request, row)


def _list(who: Visitor, address: str) -> MailingList:
    try:
        row = row_of(address.lower())
    except NoSuchList:
        raise Hidden from None
    if not who.may_see(row.address, row.advertised):
        raise Hidden
    if row.address != address.lower():
        raise Moved(address, row.address)
    return row


def _asked(request: HttpRequest, row: MailingList) -> HttpResponse:
    who, now = visitor(request), now_ms()
    address, name = request.POST.get("address", "").strip(), request.POST.get("name", "").strip()[:LONGEST_NAME]
    words = {"address": address, "list": row.display_name or row.list_name}
    if who.account and address in accounts.addresses_of(who.account):
        done = subscription.request_join(row.pk, address, name or who.name, now, by="web", verified=True)
        lines = {
            subscription.JOINED: _("%(address)s is on the list now."),
            subscription.ALREADY: _("%(address)s is on the list already."),
            subscription.WAITS: _("The moderators of %(list)s decide; you will get a message."),
        }
        line = lines.get(done, _("A message is on its way to %(address)s. Answer it, or use the link in it."))
    else:
        join_form.ask(row.pk, address, name, request.POST.get("form", ""), request.META.get("REMOTE_ADDR", ""), now)
        line = _("A message is on its way to %(address)s. It says how it goes on; look into your mailbox.")
    context = {
        "title": _("Join %(list)s") % words, "lines": [line % words], "button": "", "grave": False,
        "onward": (links.mailing_list(row.address), _("About the list")), "no_csrf": True,
    }  # fmt: skip
    return page(request, "list/token.html", context)


def _form(request: HttpRequest, row: MailingList, wrong: str = "", status: int = 200) -> HttpResponse:
    who = visitor(request)
    context = {
        "list": {"name": row.display_name or row.list_name, "path": links.mailing_list(row.address)},
        "closed": row.state != ACTIVE or row.subscription_policy == "closed",
        "state": row.state, "state_reason": row.state_reason,
        "policy": row.subscription_policy, "wrong": wrong, "address": request.POST.get("address", ""),
        "name": request.POST.get("name", ""),
        "own": accounts.addresses_of(who.account) if who.account else [],
        "token": join_form.token(row.pk, request.META.get("REMOTE_ADDR", ""), now_ms()),
    }  # fmt: skip
    return page(request, "list/join.html", context, status=status)
