"""What a member wants: all their lists on one page, each with its own choices, and what holds for all of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from posthouse.database import transaction
from posthouse.directory import accounts, preferences
from posthouse.directory.errors import DirectoryError
from posthouse.lists import bounces, digests, inbox, languages, looking, people, subscription
from posthouse.lists.errors import ListError
from posthouse.lists.preferences import BUILT_IN
from posthouse.web import links
from posthouse.web.access import known_visitor
from posthouse.web.answers import page
from posthouse.web.desk import by_of, now_ms
from posthouse.web.environment import day
from posthouse.web.words import told

MODES = ("regular", "mime_digests", "plaintext_digests", "summary_digests")
SWITCHES = ("receive_own_postings", "receive_list_copy", "acknowledge_posts", "hide_address")


@require_http_methods(["GET", "HEAD", "POST"])
def options(request: HttpRequest) -> HttpResponse:
    """Every list of this visitor; POST changes one of them, or what holds for all."""
    who = known_visitor(request)
    said, good = "", True
    if request.method == "POST":
        try:
            said = _change(request, who.account)
        except (ListError, DirectoryError) as error:
            said, good = told(error), False
    account = preferences.of_account(who.account)
    context = {
        "said": said, "good": good,
        "states": {"paused": _("paused"), "closed": _("closed"), "disabled": _("disabled")},
        "charges": [
            (one, links.mailing_list(one.address), f"/held/?list={quote(one.address, safe='')}")
            for one in (inbox.in_charge_of(who.account) if who.moderates else ())
        ],
        "lists": [_shown(one) for one in looking.subscriptions(who.account)],
        "account": {name: _word(account[name]) for name in (*SWITCHES, "delivery_mode", "preferred_language")},
        "addresses": accounts.addresses_of(who.account),
        "modes": [(mode, _mode(mode)) for mode in MODES], "switches": [(name, _switch(name)) for name in SWITCHES],
        "languages": languages.LANGUAGES,
    }  # fmt: skip
    return page(request, "account/options.html", context, status=200 if good else 422)


def _change(request: HttpRequest, account: int) -> str:
    """What was done, in a sentence. Raises ListError, DirectoryError."""
    post, act, now = request.POST, request.POST.get("act", ""), now_ms()
    values = {name: preferences.parsed(name, post[name]) for name in (*SWITCHES, "delivery_mode") if name in post}
    if post.get("preferred_language", "") in ("", *languages.LANGUAGES) and "preferred_language" in post:
        values["preferred_language"] = post["preferred_language"] or None
    if act == "account":
        digests.set_account_preferences(account, values)
        return _("This holds for all your lists now, where a list does not say otherwise.")
    text = post.get("subscription", "")
    number = int(text) if text.isdecimal() and len(text) < 19 else 0
    one = next((one for one in looking.subscriptions(account) if one.id == number), None)
    if one is None:
        raise ListError(_("You are not on this list any more."))
    words = {"list": one.list_name}
    by = by_of(known_visitor(request))
    if act == "restart":
        bounces.restart(one.list_pk, one.address, by, now)
        return _("%(list)s sends you mail again, from the next message on.") % words
    if act == "leave":
        done = subscription.request_leave(one.list_pk, one.address, now, by=by, verified=True)
        return (
            _("The moderators of %(list)s decide; you will get a message.") if done == subscription.WAITS
            else _("You have left %(list)s.")
        ) % words  # fmt: skip
    if act != "save":
        raise ListError(_("Press one of the buttons."))
    delivery = post.get("delivery", "")
    if delivery in ("on", "off", "until"):
        values["delivery_status"] = None if delivery == "on" else "by_user"
        if delivery == "on" and one.own["delivery_status"] is None and one.holds["delivery_status"] != "enabled":
            values["delivery_status"] = "enabled"
    until = _day(post.get("until", "")) if delivery == "until" else None
    with transaction():
        if post.get("address", one.address) != one.address:
            people.move(account, number, post["address"], by, now)
        looking.choose(
            account, number, values, by, now, resumes_at=until,
            chosen=tuple(post.getlist(f"topic-{one.id}")) if one.topics else None, nonmatching="nonmatching" in post,
        )  # fmt: skip
    return _("Your choices for %(list)s are kept.") % words


def _day(text: str) -> int:
    """Milliseconds of the beginning of a day that a form names. Raises ListError."""
    try:
        found = date.fromisoformat(text.strip())
    except ValueError:
        raise ListError(_("Write the day like 2026-11-20.")) from None
    return int(datetime(found.year, found.month, found.day, tzinfo=UTC).timestamp() * 1000)


def _shown(one: looking.Subscription) -> dict[str, Any]:
    status = one.own["delivery_status"] or one.holds["delivery_status"]
    delivery = "on" if status == "enabled" else "until" if one.resumes_at else "off"
    return {
        "id": one.id, "name": one.list_name, "list": one.list_address, "address": one.address,
        "delivery": delivery, "until": f"{one.resumes_at:%Y-%m-%d}" if one.resumes_at else "",
        "own": {name: _word(one.own[name]) for name in BUILT_IN},
        "holds": {name: _holds(name, one.otherwise[name]) for name in BUILT_IN},
        "bounced": one.stopped_by_bounces, "moderated": status == "by_moderator", "last_bounce": one.last_bounce,
        "stopped": day(int(one.stopped_at.timestamp())) if one.stopped_at else "",
        "topics": [(topic, topic.casefold() in one.chosen) for topic in one.topics], "nonmatching": one.nonmatching,
    }  # fmt: skip


def _word(value: object) -> str:
    if value is None:
        return ""
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _holds(name: str, value: object) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if name == "preferred_language":
        return languages.LANGUAGES.get(str(value), _("the list's"))
    return _mode(str(value)) if name == "delivery_mode" else str(value)


def _mode(mode: str) -> str:
    return {
        "regular": _("each message by itself"),
        "mime_digests": _("digests with the messages inside"),
        "plaintext_digests": _("digests as plain text"),
        "summary_digests": _("summaries"),
    }.get(mode, mode)


def _switch(name: str) -> str:
    return {
        "receive_own_postings": _("Send me my own messages"),
        "receive_list_copy": _("Send me a copy when I am named in To or Cc"),
        "acknowledge_posts": _("Confirm each of my messages"),
        "hide_address": _("Hide my address from other members"),
    }[name]
