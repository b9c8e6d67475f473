"""The page about a list, and the links of its mails: leaving with one click, confirming with a button."""

from __future__ import annotations

import time

from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from posthouse.lists import addresses, commanding, creation, subscription, tokens
from posthouse.lists.errors import ListError, NoSuchList, TokenSpent
from posthouse.web import links
from posthouse.web.access import Hidden, visitor
from posthouse.web.answers import PLAIN, page, unchanged, version_of
from posthouse.web.desk import pages
from posthouse.web.views.site import problem, sign_in_path
from posthouse.web.words import told

ONE_CLICK = ("List-Unsubscribe", "One-Click")  # RFC 8058 §3.2


def now_ms() -> int:
    """Milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


@require_safe
def about(request: HttpRequest, address: str) -> HttpResponse:
    """What a list is for, and how to join, leave, write and ask."""
    who = visitor(request)
    try:
        facts = creation.show(address.lower())
    except NoSuchList:
        raise Hidden from None
    if not who.may_see(facts.address, facts.advertised):
        raise Hidden
    if facts.address != address:  # it was renamed, or has other addresses
        return HttpResponsePermanentRedirect(links.mailing_list(facts.address))
    etag = version_of(request, facts)
    known = unchanged(request, etag)
    if known:
        return known
    named = {
        role: addresses.of(facts.address, role) for role in (addresses.JOIN, addresses.LEAVE, addresses.OWNER)
    }  # fmt: skip
    shown = {
        "name": facts.display_name or facts.list_name,
        "address": facts.address,
        "description": facts.description,
        "info": facts.settings.get("info", ""),
        "closed": facts.settings.get("subscription_policy") == "closed" or facts.state != "active",
        "state": facts.state,
        "state_reason": facts.state_reason,
        "announce": not facts.settings["allow_list_posts"],
        "post": links.mailto(facts.address),
        "archive": facts.archive_policy,
        "archive_path": links.archive(facts.address),
        "readable": who.may_read(facts.address, facts.archive_policy),
        "sign_in": sign_in_path(request),
        "path": links.mailing_list(facts.address),
        "desk": pages(who, facts.address, str(facts.settings["member_roster_visibility"]), facts.advertised),
        **{f"{role}_address": found for role, found in named.items()},
        **{role: links.mailto(found) for role, found in named.items()},
    }
    return page(request, "list/about.html", {"list": shown}, etag=etag)


@csrf_exempt  # RFC 8058 §3.2: mail clients post here without cookies; the signed token is what allows it
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Leave a list by the link in a copy: GET shows a button, POST leaves; safe to repeat."""
    found = tokens.read_unsubscribe(token)
    if found is None:
        return problem(
            request, 404, _("This link is not complete"),
            _("It may have been cut by your mail program. Copy the whole link from the message."),
        )  # fmt: skip
    pk, address = found
    try:
        facts = creation.show(pk)
    except NoSuchList:
        return problem(request, 410, _("The list is gone"), _("There is no such list any more: no mail will come."))
    name = facts.display_name or facts.list_name
    if request.method != "POST":
        return _token_page(
            request,
            _("Leave %(name)s") % {"name": name},
            [_("%(address)s will get no more mail from %(list)s.") % {"address": address, "list": facts.address}],
            button=_("Leave the list"),
            grave=True,
            no_csrf=True,  # no cookie either: the token alone allows it
        )
    one_click = request.POST.get(ONE_CLICK[0]) == ONE_CLICK[1]
    if not one_click and "leave" not in request.POST:
        return HttpResponse("Send List-Unsubscribe=One-Click (RFC 8058).\n", status=400, content_type=PLAIN)
    subscription.leave_now(pk, address, "one-click" if one_click else "link", now_ms())
    if one_click:
        return HttpResponse(
            f"{address} has left {facts.address}.\n", content_type=PLAIN, headers={"Cache-Control": "no-store"}
        )
    return _token_page(
        request,
        _("You have left %(name)s") % {"name": name},
        [_("%(address)s gets no more mail from %(list)s.") % {"address": address, "list": facts.address}],
        onward=(links.mailing_list(facts.address), _("How to join again")),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """Confirm joining or leaving: GET shows what would happen and a button, POST does it."""
    try:
        if request.method == "POST":
            return _confirmed(request, token)
        asked = subscription.look_at(token, now_ms())
    except TokenSpent:
        return problem(
            request, 410, _("This link no longer works"),
            _("It was used already, or it is older than three days. Ask the list again by mail."),
        )  # fmt: skip
    words = {"address": asked.address, "list": asked.list_address}
    if asked.by_moderator:
        return _token_page(
            request,
            _("Decide for %(list)s") % words,
            [
                _("%(address)s will leave %(list)s.") % words
                if asked.act == "leave"
                else _("%(address)s will become a member of %(list)s.") % words
            ],
            button=_("Approve"),
        )
    if asked.act == "command":
        return _token_page(
            request,
            _("Commands to %(list)s") % words,
            [_("You asked by mail that this be done:"), *asked.commands, _("You will get the answer by mail.")],
            button=_("Do it"),
        )
    if asked.act == "move":
        return _token_page(
            request,
            _("Mail of %(list)s to %(address)s") % words,
            [_("%(address)s takes the place of the address that has been on the list; all choices stay.") % words],
            button=_("Send the mail here"),
        )
    if asked.act in ("join", "invite"):
        return _token_page(
            request,
            _("Join %(list)s") % words,
            [_("%(address)s will get the mail of %(list)s and may write to it.") % words],
            button=_("Join the list"),
        )
    return _token_page(
        request,
        _("Leave %(list)s") % words,
        [_("%(address)s will get no more mail from %(list)s.") % words],
        button=_("Leave the list"),
        grave=True,
    )


def _confirmed(request: HttpRequest, token: str) -> HttpResponse:
    try:
        done = commanding.confirm(token, now_ms())
    except TokenSpent:
        raise
    except ListError as error:
        return problem(request, 409, _("That cannot be done"), told(error))
    words = {"address": done.address, "list": done.list_address}
    onward = (links.mailing_list(done.list_address), _("About the list"))
    if done.waits:
        title = _("The moderators of %(list)s decide") % words
        line = _("You will get a message when they have.")
    elif done.by_moderator:
        title, line = _("Approved"), _("%(address)s gets a message about it.") % words
    elif done.act == "command":
        title, line = _("Done"), _("%(list)s sends the answer to %(address)s.") % words
    elif done.act == "move":
        title, line = _("Done"), _("%(address)s gets the mail of %(list)s from now on.") % words
    elif done.act in ("join", "invite"):
        title, line = _("Welcome to %(list)s") % words, _("%(address)s is on the list now.") % words
    else:
        title, line = _("You have left %(list)s") % words, _("%(address)s gets no more mail from it.") % words
    return _token_page(request, title, [line], onward=onward)


def _token_page(
    request: HttpRequest,
    title: str,
    lines: list[str],
    button: str = "",
    grave: bool = False,
    onward: tuple[str, str] | None = None,
    no_csrf: bool = False,
) -> HttpResponse:
    context = {"title": title, "lines": lines, "button": button, "grave": grave, "onward": onward, "no_csrf": no_csrf}
    return page(request, "list/token.html", context)
