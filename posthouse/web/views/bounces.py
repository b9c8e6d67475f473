"""The link of a warning after bounces: why delivery stopped, and a button that begins it again."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from posthouse.lists import bounces
from posthouse.web import links
from posthouse.web.answers import page
from posthouse.web.views.lists import now_ms
from posthouse.web.views.site import problem


@csrf_exempt  # no cookie either: the signed token alone allows it
@require_http_methods(["GET", "HEAD", "POST"])
def restart(request: HttpRequest, token: str) -> HttpResponse:
    """Begin delivery again: GET says why it stopped and shows a button, POST does it; safe to repeat."""
    standing = bounces.read_restart(token)
    if standing is None:
        return problem(
            request, 410, _("This link no longer works"),
            _("Delivery may have begun again already, or the address has left the list. If you get no mail, write to "
              "the owners of the list, or join again."),
        )  # fmt: skip
    words = {"address": standing.address, "list": standing.list_address, "reason": standing.last_bounce}
    if request.method != "POST":
        lines = [_("%(list)s sends nothing to %(address)s at the moment, because its messages came back.") % words]
        if standing.last_bounce:
            lines.append(_("The last one said: %(reason)s") % words)
        context = {
            "title": _("Get mail from %(list)s again") % words,
            "lines": lines,
            "button": _("Send me mail again"),
        }
        return page(request, "list/token.html", {**context, "grave": False, "onward": None, "no_csrf": True})
    bounces.restart(standing.list_address, standing.address, "link", now_ms())
    context = {
        "title": _("Mail will come again"),
        "lines": [_("%(address)s gets the mail of %(list)s again, from the next message on.") % words],
        "onward": (links.mailing_list(standing.list_address), _("About the list")),
    }
    return page(request, "list/token.html", {**context, "button": "", "grave": False, "no_csrf": True})
