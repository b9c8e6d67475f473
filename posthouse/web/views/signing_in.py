"""Signing in by a mailed link, and signing out."""

from __future__ import annotations

import time
from urllib.parse import urlencode

from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from posthouse import maillog
from posthouse.address import key_of
from posthouse.database import transaction
from posthouse.directory import accounts
from posthouse.directory.errors import LinkSpent, NoSuchAccount
from posthouse.directory.models import Account, SignInLink
from posthouse.directory.moments import moment
from posthouse.lists import site_notices
from posthouse.web import links
from posthouse.web.access import visitor
from posthouse.web.answers import page
from posthouse.web.forms.account import SignIn

MOST_MAILS = 3  # sign-in links of one account that work at the same time: nobody is flooded with them
BACKEND = "django.contrib.auth.backends.ModelBackend"


def _onward(text: str) -> str:
    """Where to go afterwards: a path of this site, nothing else."""
    if text.startswith("/") and url_has_allowed_host_and_scheme(text, allowed_hosts=None):
        return text[:1000]
    return "/"


@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest) -> HttpResponse:
    """Ask for an address and mail it a link; the answer is the same for known and unknown addresses."""
    onward = _onward((request.POST if request.method == "POST" else request.GET).get("next", "/"))
    form = SignIn(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        address = str(form.cleaned_data["address"])
        send_link(address, onward, request.META.get("REMOTE_ADDR", ""), time.time_ns() // 1_000_000)
        return page(request, "account/sign_in.html", {"sent": address, "form": form, "onward": onward})
    status = 422 if form.errors else 200
    return page(request, "account/sign_in.html", {"sent": "", "form": form, "onward": onward}, status=status)


def send_link(address: str, onward: str, peer: str, now: int) -> None:
    """Mail a sign-in link to `address` when it is known; `now` in milliseconds.

    A known address and an unknown one both cost one durable transaction, so that the time tells nothing either.
    """
    with transaction():
        links_open = SignInLink.objects.filter(expires_at__gt=moment(now), account__addresses__key=key_of(address))
        token = ""
        if links_open.count() < MOST_MAILS:
            try:
                token = accounts.sign_in_link(address, now)
            except NoSuchAccount:
                pass
        maillog.sign_in_asked(now, peer, address, bool(token))
        if token:
            _mail(address, token, onward, now)


def _mail(address: str, token: str, onward: str, now: int) -> None:
    link = links.absolute(f"/sign-in/{token}/")
    if onward != "/":
        link += f"?{urlencode({'next': onward})}"
    site_notices.send("sign-in", address, {"link_url": link}, now, get_language() or "")


@require_http_methods(["GET", "HEAD", "POST"])
def arrive(request: HttpRequest, token: str) -> HttpResponse:
    """The mailed link: a button, since mail scanners open links; pressing it signs in."""
    onward = _onward(request.GET.get("next", "/"))
    if request.method != "POST":
        return page(
            request, "list/token.html",
            _token_page(_("Sign in"), [_("One more step: press the button.")], button=_("Sign in")),
        )  # fmt: skip
    try:
        account = accounts.redeem(token, time.time_ns() // 1_000_000)
    except LinkSpent:
        return page(
            request, "list/token.html",
            _token_page(
                _("This link no longer works"),
                [_("Each link works once and for ten minutes. Ask for a new one.")],
                onward=(f"/sign-in/?{urlencode({'next': onward})}", _("Send me a new link")),
            ),
            status=410,
        )  # fmt: skip
    login(request, Account.objects.get(pk=account), backend=BACKEND)
    return HttpResponseRedirect(onward)


@require_http_methods(["GET", "HEAD", "POST"])
def leave(request: HttpRequest) -> HttpResponse:
    """Sign out, by a button."""
    if request.method == "POST":
        logout(request)
        return HttpResponseRedirect("/")
    who = visitor(request)
    if not who.account:
        return HttpResponseRedirect("/sign-in/")
    names = ", ".join(accounts.addresses_of(who.account)) or who.name
    return page(
        request, "list/token.html",
        _token_page(_("Sign out"), [_("You are signed in as %(names)s.") % {"names": names}], button=_("Sign out")),
    )  # fmt: skip


def _token_page(
    title: str, lines: list[str], button: str = "", onward: tuple[str, str] | None = None
) -> dict[str, object]:
    return {"title": title, "lines": lines, "button": button, "onward": onward, "grave": False, "no_csrf": False}
