"""The texts that a list sends by itself: worded anew, previewed, taken back, in every language."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from posthouse.lists import languages, texts, wording
from posthouse.lists.errors import BadSetting
from posthouse.web.access import Hidden
from posthouse.web.answers import page
from posthouse.web.desk import Desk, by_of, desk, now_ms
from posthouse.web.office import Office, office
from posthouse.web.purposes import PURPOSES
from posthouse.web.words import told


@require_safe
def overview(request: HttpRequest, address: str) -> HttpResponse:
    """Every template, with the languages in which this list words it itself."""
    return _overview(request, desk(request, address))


@require_safe
def office_overview(request: HttpRequest, host: str = "") -> HttpResponse:
    """Every template, with the languages in which the site or a domain words it for its lists."""
    return _overview(request, office(request, host))


def _overview(request: HttpRequest, at: Desk | Office) -> HttpResponse:
    anew: dict[str, list[str]] = {}
    for one in wording.listing(at.address):
        anew.setdefault(one.name, []).append(languages.LANGUAGES.get(one.language, one.language))
    rows = [
        {
            "name": name, "path": f"{at.path}templates/{name}/", "subject": texts.built_in(kind)[0],
            "purpose": PURPOSES.get(kind, ""),
            "anew": ", ".join(anew.get(name, ())),
        }
        for name, kind in sorted(texts.KINDS.items())
        if texts.is_worded_by(name, at.kind)
    ]  # fmt: skip
    return page(request, "desk/texts.html", {"desk": at, "rows": rows})


@require_http_methods(["GET", "HEAD", "POST"])
def template(request: HttpRequest, address: str, name: str) -> HttpResponse:
    """One template in one language; POST previews, keeps or takes back its wording."""
    return _template(request, desk(request, address), name)


@require_http_methods(["GET", "HEAD", "POST"])
def office_template(request: HttpRequest, name: str, host: str = "") -> HttpResponse:
    """One template as the site or a domain words it for its lists."""
    return _template(request, office(request, host), name)


def _template(request: HttpRequest, at: Desk | Office, name: str) -> HttpResponse:
    kind = texts.KINDS.get(name)
    if kind is None or not texts.is_worded_by(name, at.kind):
        raise Hidden
    asked = request.POST.get("language", "") or request.GET.get("language", "")
    language = asked if asked in languages.LANGUAGES else ""
    said, good, preview, given = "", True, None, None
    if request.method == "POST" and language:
        given = (request.POST.get("subject", ""), request.POST.get("text", ""))
        written = f"Subject: {' '.join(given[0].split())}\n\n{given[1]}"
        act = request.POST.get("act", "")
        try:
            if act == "reset":
                gone = wording.reset(at.address, name, language)
                said = _("The wording was taken back.") if gone else _("There was no wording of its own here.")
                given = None
            elif act == "keep":
                wording.put(at.address, name, language, written, by=by_of(at.who), now=now_ms())
                said = _("The new wording is used from now on.")
            else:
                preview = wording.preview(at.address, name, language, written)
        except BadSetting as error:
            said, good = told(error), False
    found = wording.show(at.address, name, language)
    subject, text = given if given is not None else (found.subject, found.text)
    context = {
        "desk": at, "name": name, "of": found.of, "subject": subject, "text": text, "worded_here": found.of == at.kind,
        "purpose": PURPOSES.get(kind, ""),
        "said": said, "good": good,
        "language": language or found.language, "languages": languages.LANGUAGES, "preview": preview,
        "known": texts.known(kind), "written_in": languages.LANGUAGES.get(found.language, found.language),
    }  # fmt: skip
    context["text_language"] = context.pop("language")
    return page(request, "desk/text.html", context, status=200 if good else 422)
