"""The signed links in notices about held mail: a page that says what would happen, and a button that does it."""

from __future__ import annotations

import time

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from posthouse.lists import holding
from posthouse.lists.errors import ListError, NoSuchHeld, TokenSpent
from posthouse.web.answers import page
from posthouse.web.environment import when
from posthouse.web.views.site import problem
from posthouse.web.words import told

LONGEST_REASON = 1000


@csrf_exempt  # no cookie is needed or set: the signed token alone allows it
@require_http_methods(["GET", "HEAD", "POST"])
def act(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows what the link would do (mail scanners follow links: nothing happens), POST does it, once."""
    now = time.time_ns() // 1_000_000
    said = ""
    try:
        asked = holding.look_at_token(token, now)
        if request.method == "POST":
            try:
                holding.act_by_token(token, now, request.POST.get("reason", "")[:LONGEST_REASON])
                return _shown(request, asked, _done(asked), "", done=True)
            except (TokenSpent, NoSuchHeld):
                raise
            except ListError as error:
                said = told(error)
    except TokenSpent:
        return problem(
            request, 410, _("This link no longer works"),
            _("It is not complete, or it is older than thirty days. Sign in to decide about held mail."),
        )  # fmt: skip
    except NoSuchHeld:
        return problem(
            request, 410, _("It was decided already"),
            _("You or somebody else released, rejected or discarded this message before; or it waited too long."),
        )  # fmt: skip
    return _shown(request, asked, _asks(asked), said, status=422 if said else 200)


def _asks(asked: holding.Asked) -> tuple[str, str, str]:
    """(title, what would happen, the button)."""
    words = {"author": asked.held.author, "list": asked.held.list_address}
    return {
        "release": (_("Release the message"), _("It goes to everybody on %(list)s.") % words, _("Release")),
        "reject": (_("Reject the message"), _("%(author)s is told why.") % words, _("Reject")),
        "discard": (_("Discard the message"), _("It is thrown away; nobody is told."), _("Discard")),
        "ban": (
            _("Discard the message and ban its author"),
            _("It is thrown away, and %(author)s can no longer write to %(list)s or join it.") % words,
            _("Discard and ban"),
        ),
        "accept": (
            _("Release the message and accept its author"),
            _("It goes to everybody on %(list)s, and what %(author)s writes no longer waits.") % words,
            _("Release and accept"),
        ),
    }[asked.act]


def _done(asked: holding.Asked) -> tuple[str, str, str]:
    words = {"author": asked.held.author, "list": asked.held.list_address}
    return {
        "release": (_("Released"), _("It is on its way to everybody on %(list)s.") % words, ""),
        "reject": (_("Rejected"), _("%(author)s is told why.") % words, ""),
        "discard": (_("Discarded"), _("It is gone; nobody was told."), ""),
        "ban": (_("Discarded, and its author banned"), _("The ban can be lifted in the list's settings."), ""),
        "accept": (_("Released"), _("What %(author)s writes to %(list)s no longer waits.") % words, ""),
    }[asked.act]


def _shown(
    request: HttpRequest,
    asked: holding.Asked,
    words: tuple[str, str, str],
    said: str,
    done: bool = False,
    status: int = 200,
) -> HttpResponse:
    title, line, button = words
    facts = asked.held
    context = {
        "title": title, "line": line, "button": button, "said": said, "done": done,
        "grave": asked.act in ("discard", "ban"), "asks_reason": asked.act == "reject" and not done,
        "held": {
            "list": facts.list_address, "author": facts.author, "subject": facts.subject or _("(no subject)"),
            "when": when(int(facts.held_at.timestamp())), "hits": [told(hit) for hit in facts.hits or (facts.reason,)],
        },
    }  # fmt: skip
    return page(request, "held/act.html", context, status=status)
