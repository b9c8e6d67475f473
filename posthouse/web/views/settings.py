"""The settings of a list by area: each with its help and default; what is wrong is said at the field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_safe

from posthouse.lists import creation
from posthouse.lists import settings as registry
from posthouse.lists.errors import BadSetting
from posthouse.lists.settings import Setting, items
from posthouse.lists.settings.kinds import (
    BOOL,
    CHOICE,
    ITEMS,
    LINES,
    NUMBER,
    SECRET,
    written,
)
from posthouse.lists.settings.titles import TITLES
from posthouse.web.access import Hidden
from posthouse.web.answers import page
from posthouse.web.desk import Desk, desk
from posthouse.web.words import told

_TITLES: Final = {
    "identity": gettext_lazy("Name and description"),
    "postings": gettext_lazy("Who may post"),
    "alterations": gettext_lazy("What is changed in postings"),
    "filtering": gettext_lazy("Content filter"),
    "dmarc": gettext_lazy("DMARC"),
    "recipients": gettext_lazy("Who gets a posting"),
    "membership": gettext_lazy("Joining and leaving"),
    "bounces": gettext_lazy("Bounces"),
    "digests": gettext_lazy("Digests"),
    "autoresponses": gettext_lazy("Automatic answers"),
    "archiving": gettext_lazy("Archive"),
    "news": gettext_lazy("Newsgroup"),
}
_LISTS: Final = ("regular_include_lists", "regular_exclude_lists")
_A_LIST: Final = re.compile(r"@[^@\s]+@[^@\s]+\Z")  # an entry that stands for the members of a list
_LONG: Final = ("text", "items", "lines")
REMOVE = "remove-secret"


def areas() -> dict[str, tuple[str, tuple[Setting, ...]]]:
    """(title, settings) of every area by its name, in the order of the registry."""
    found: dict[str, tuple[str, tuple[Setting, ...]]] = {}
    for name, module in vars(registry).items():
        if isinstance(module, ModuleType) and isinstance(getattr(module, "SETTINGS", None), tuple):
            chosen = tuple(one for one in module.SETTINGS if one.name in registry.BY_NAME)
            found[name] = (str(_TITLES.get(name, name.capitalize())), chosen)
    order = [one.name for one in registry.SETTINGS]
    return dict(sorted(found.items(), key=lambda item: order.index(item[1][1][0].name)))


@require_safe
def overview(request: HttpRequest, address: str) -> HttpResponse:
    """The areas, and the settings that a search finds."""
    at = desk(request, address)
    words = request.GET.get("q", "").strip()[:200]
    found = []
    for area, (title, chosen) in areas().items():
        for one in chosen:
            text = f"{one.name} {label(one)} {one.doc} {told(one.doc)} {title}".lower()
            if words and all(word in text for word in words.lower().split()):
                found.append({**_field(one, at.row), "path": f"{at.path}settings/{area}/#{one.name}", "area": title})
    shown = [
        {"path": f"{at.path}settings/{area}/", "title": title, "names": ", ".join(label(one) for one in chosen)}
        for area, (title, chosen) in areas().items()
    ]
    return page(request, "desk/settings.html", {"desk": at, "areas": shown, "q": words, "found": found})


@require_http_methods(["GET", "HEAD", "POST"])
def area(request: HttpRequest, address: str, name: str) -> HttpResponse:
    """The settings of one area; POST changes those that differ, all or none."""
    at = desk(request, address)
    known = areas()
    if name not in known:
        raise Hidden
    title, chosen = known[name]
    wrong: dict[str, str] = {}
    said = ""
    given: Mapping[str, str] = {}
    if request.method == "POST":
        given = {one.name: request.POST[one.name] for one in chosen if one.name in request.POST}
        said, wrong = _change(at, chosen, given, request.POST.getlist(REMOVE))
        wrong = {one: f"{label(registry.BY_NAME[one])}: {text}" for one, text in wrong.items()}
        if not wrong:
            at, given = desk(request, address), {}
    fields = [{**_field(one, at.row, given.get(one.name)), "wrong": wrong.get(one.name, "")} for one in chosen]
    context = {
        "desk": at, "title": title, "area": name, "fields": fields, "said": said, "wrong": wrong,
        "areas": [(one, f"{at.path}settings/{one}/", words) for one, (words, _chosen) in known.items()],
    }  # fmt: skip
    return page(request, "desk/area.html", context, status=422 if wrong else 200)


def _change(
    at: Desk, chosen: tuple[Setting, ...], given: Mapping[str, str], removed: list[str]
) -> tuple[str, dict[str, str]]:
    """(what to say, what is wrong by field) after changing what differs from what is so."""
    changed: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for one in chosen:
        if one.kind == SECRET:
            if one.name in removed:
                changed[one.name] = ""
            elif given.get(one.name):
                changed[one.name] = given[one.name]
            continue
        text = given.get(one.name)
        if text is None or text.replace("\r\n", "\n") == written(one, getattr(at.row, one.name)):
            continue
        changed[one.name] = text
    for setting, text in changed.items():
        try:
            registry.parse(setting, text)
        except BadSetting as error:
            wrong[setting] = told(error)
    for setting, text in changed.items() if not wrong else ():
        if foreign := _not_theirs(at, setting, text):
            wrong[setting] = _("%(list)s is not yours: only who runs a list may go by who its members are.") % {
                "list": foreign
            }
    if not wrong and changed:
        try:
            creation.set_settings(at.row.pk, changed)
        except BadSetting as error:
            return "", {next(iter(changed)): told(error)}
    if wrong:
        return "", wrong
    if not changed:
        return _("Nothing was different."), {}
    count = len(changed)
    return ngettext("%(n)d setting was changed.", "%(n)d settings were changed.", count) % {"n": count}, {}


def _not_theirs(at: Desk, setting: str, text: str) -> str:
    """The first list that is named anew and that the visitor does not run, or "": its members would get mail that
    nobody of their own list has let in, or it could be found out by trial who they are."""
    if registry.BY_NAME[setting].kind not in (ITEMS, LINES):
        return ""
    known = items(str(getattr(at.row, setting)))
    new = [one for one in items(str(registry.parse(setting, text))) if one not in known]
    named = [one if setting in _LISTS else one[1:] for one in new if setting in _LISTS or _A_LIST.match(one)]
    return next((one for one in named if not at.who.may_run(one)), "")


def label(setting: Setting) -> str:
    """What a setting is called: in the visitor's language, else in English; its name as words where it has no title."""
    name = setting.name.replace("_", " ").capitalize()
    said = told(name)
    return TITLES.get(setting.name, said) if said == name else said


def _field(setting: Setting, row: object, given: str | None = None) -> dict[str, Any]:
    value = written(setting, getattr(row, setting.name)) if given is None else given
    kind = "line"
    if setting.kind in _LONG:
        kind = "long"
    elif setting.kind == BOOL or setting.values or setting.kind == CHOICE:
        kind = "choice"
    elif setting.kind == NUMBER:
        kind = "number"
    elif setting.kind == SECRET:
        kind = "secret"
    values = ["yes", "no"] if setting.kind == BOOL else list(setting.values)
    if kind == "choice" and value not in values:
        values.insert(0, value)
    if kind == "choice" and setting.kind not in (BOOL, CHOICE) and "" not in values:
        values.insert(0, "")
    return {
        "name": setting.name, "label": label(setting), "doc": told(setting.doc).replace("`", ""), "kind": kind,
        "value": value, "values": values, "allowed": setting.allowed.replace("`", ""),
        "default": setting.shown_default, "kept": setting.kind == SECRET and bool(getattr(row, setting.name)),
    }  # fmt: skip
