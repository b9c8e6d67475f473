"""The addresses of an account: added by a link mailed to them, given up, one of them the primary one."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from posthouse.database import transaction
from posthouse.directory import accounts, belonging
from posthouse.directory.errors import DirectoryError, LinkSpent
from posthouse.lists import looking, people, site_notices
from posthouse.web import links
from posthouse.web.access import Visitor, known_visitor
from posthouse.web.answers import page
from posthouse.web.desk import by_of, now_ms
from posthouse.web.views.site import problem
from posthouse.web.words import told

OWN = "/options/addresses/"


@require_http_methods(["GET", "HEAD", "POST"])
def addresses(request: HttpRequest) -> HttpResponse:
    """Every address of this visitor; POST adds one, gives one up, or makes one the primary one."""
    who = known_visitor(request)
    said, good = "", True
    if request.method == "POST":
        try:
            said = _change(request, who)
        except DirectoryError as error:
            said, good = told(error), False
    lists: dict[str, list[str]] = {}
    for one in looking.subscriptions(who.account):
        lists.setdefault(one.address, []).append(one.list_name)
    own = accounts.addresses_of(who.account)
    context: dict[str, Any] = {
        "said": said, "good": good, "given": "" if good else request.POST.get("address", ""),
        "addresses": [
            {"address": one, "primary": number == 0 and len(own) > 1, "lists": lists.get(one, [])}
            for number, one in enumerate(own)
        ],
        "waiting": belonging.waiting(who.account, now_ms()),
    }  # fmt: skip
    return page(request, "account/addresses.html", context, status=200 if good else 422)


def _change(request: HttpRequest, who: Visitor) -> str:
    """What was done, in a sentence. Raises DirectoryError."""
    act, address = request.POST.get("act", ""), request.POST.get("address", "").strip()
    words = {"address": address}
    if act == "add":
        now = now_ms()
        with transaction():  # the link is mailed when it is kept, and kept when it is mailed
            token = belonging.ask_for_address(who.account, address, now)
            values = {"by": by_of(who), "address": address, "link_url": links.absolute(f"{OWN}{token}/")}
            site_notices.send("add-address", address, values, now, get_language() or "")
        return _("A message is on its way to %(address)s. Open the link in it while you are signed in here.") % words
    if act == "prefer":
        belonging.prefer(who.account, address)
        return _("%(address)s is your primary address now.") % words
    if act == "remove":
        belonging.remove_address(who.account, address)
        return _("%(address)s is no longer an address of your account.") % words
    raise DirectoryError(_("Press one of the buttons."))


@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """The mailed link, for the account that asked: a button, since mail scanners open links; pressing it adds."""
    who = known_visitor(request)
    try:
        address, other = belonging.look_at_address(token, who.account, now_ms())
        if request.method == "POST":
            before = len(looking.subscriptions(who.account))
            facts = people.confirm_address(token, who.account, now_ms())
            return _added(request, address, len(facts.addresses), len(looking.subscriptions(who.account)) - before)
    except LinkSpent:
        return problem(
            request, 410, _("This link no longer works"),
            _("Each link works once, for a day, and for the account that asked for it alone. You are signed in as "
              "%(names)s.") % {"names": ", ".join(accounts.addresses_of(who.account))},
            hint=(OWN, _("My addresses")),
        )  # fmt: skip
    lines = [_("You will be able to sign in with %(address)s, and to write to your lists from it.")]
    if other:
        lines.append(_("It belongs to another account now (%(name)s). That account becomes part of this one."))
    words = {"address": address, "name": other}
    context = {
        "title": _("Add %(address)s to your account") % words, "lines": [line % words for line in lines],
        "button": _("Add the address"), "grave": False, "onward": (OWN, _("My addresses")), "no_csrf": False,
    }  # fmt: skip
    return page(request, "list/token.html", context)


def _added(request: HttpRequest, address: str, count: int, more: int) -> HttpResponse:
    lines = [ngettext("Your account has %(n)d address now.", "Your account has %(n)d addresses now.", count) % {
        "n": count}]  # fmt: skip
    if more > 0:
        lines.append(ngettext("You see %(n)d more list.", "You see %(n)d more lists.", more) % {"n": more})
    context = {
        "title": _("%(address)s is yours") % {"address": address}, "lines": lines, "button": "", "grave": False,
        "onward": (OWN, _("My addresses")), "no_csrf": True,
    }  # fmt: skip
    return page(request, "list/token.html", context)
