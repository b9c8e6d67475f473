"""The members of a list: searched, added by the thousand, invited, removed, moderated; owners and moderators named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any
from urllib.parse import quote, urlencode

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_safe

from posthouse.lists import bounces, looking, mass, roster, spreadsheet
from posthouse.lists.errors import ListError
from posthouse.lists.models import BY_MODERATOR, ENABLED, MEMBER, MODERATOR, NONMEMBER, OWNER
from posthouse.web.access import NotAllowed
from posthouse.web.answers import page
from posthouse.web.desk import ROSTER, Desk, by_of, desk, now_ms
from posthouse.web.words import told

PAGE = 100
MOST_CHOSEN = 1000
MOST_REFUSED = 50  # lines of a report that are shown
ACTIONS = ("", "accept", "defer", "hold", "reject", "discard")
ROLES = (MEMBER, OWNER, MODERATOR, NONMEMBER)
CHECKS = ("check", "compare")  # acts that only tell what would be done
MANY = ("add", "invite", "drop", "sync", *CHECKS)


@require_http_methods(["GET", "HEAD", "POST"])
def members(request: HttpRequest, address: str) -> HttpResponse:
    """A page of the roster; POST changes it (owners only)."""
    at = desk(request, address, ROSTER)
    staff = at.runs or at.who.may_moderate(at.address)
    said: list[str] = []
    refused: list[Any] = []
    good = True
    pasted = ""  # what was written into the form and is not done yet: nobody pastes five hundred lines twice
    if request.method == "POST":
        if not at.runs:
            raise NotAllowed(_("Only the owners of the list change who is on it."))
        good, said, refused = _change(request, at)
        if not good or refused or request.POST.get("act") in CHECKS:
            pasted = request.POST.get("people", "")
    role = request.GET.get("role", MEMBER)
    role = role if staff and role in ROLES else MEMBER
    words, after = request.GET.get("q", "").strip()[:200], request.GET.get("after", "")[:320]
    found = looking.page(at.row.pk, role, words, after, PAGE, hidden=staff)
    query = {name: value for name, value in (("role", role if role != MEMBER else ""), ("q", words)) if value}
    context = {
        "desk": at, "staff": staff, "role": role, "q": words, "rows": found.rows, "total": found.total,
        "said": said, "good": good, "refused": [(one.line, one.text, told(one.rule)) for one in refused[:MOST_REFUSED]],
        "first": f"?{urlencode(query)}" if after else "",
        "onward": f"?{urlencode({**query, 'after': found.after})}" if found.after else "",
        "roles": [
            (MEMBER, _("Members")), (OWNER, _("Owners")), (MODERATOR, _("Moderators")), (NONMEMBER, _("Nonmembers")),
        ],
        "quote": lambda address: quote(address, safe="@+"),
        "actions": ACTIONS, "modes": modes(), "statuses": statuses(), "pasted": pasted,
        "compared": good and request.POST.get("act") == "compare",
    }  # fmt: skip
    return page(request, "desk/members.html", context, status=200 if good else 422)


def role_names() -> dict[str, str]:
    """What somebody is on a list, by the value that is kept."""
    return {MEMBER: _("Member"), OWNER: _("Owner"), MODERATOR: _("Moderator"), NONMEMBER: _("Nonmember")}


def modes() -> dict[str, str]:
    """What members get, by the value that is kept."""
    return {
        "regular": _("single messages"), "mime_digests": _("digests with the messages inside"),
        "plaintext_digests": _("digests as plain text"), "summary_digests": _("summaries"),
    }  # fmt: skip


def statuses() -> dict[str, str]:
    """Who or what stopped delivery, by the value that is kept."""
    return {
        "by_user": _("stopped by the member"), "by_bounces": _("stopped after bounces"),
        "by_moderator": _("stopped by a moderator"),
    }  # fmt: skip


@require_safe
def table(request: HttpRequest, address: str) -> StreamingHttpResponse:
    """Everybody in a role as a CSV table with their choices, for owners; what `_read_table` reads."""
    at = desk(request, address)
    role = request.GET.get("role", MEMBER)
    lines = spreadsheet.written(at.row.pk, role if role in ROLES else MEMBER)
    response = StreamingHttpResponse(_packets(lines), content_type="text/csv; charset=utf-8")
    name = f"{at.row.list_name}-{role if role in ROLES else MEMBER}s.csv"
    response.headers["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response.headers["Cache-Control"] = "no-store"
    return response


def _packets(lines: Iterator[str]) -> Iterator[bytes]:
    """The lines, a few hundred at a time."""
    while packet := "".join(islice(lines, 500)):
        yield packet.encode("utf-8", "replace")


def _read_table(request: HttpRequest, at: Desk) -> tuple[bool, list[str], list[Any]]:
    """(whether it went well, what to say, lines that were refused)."""
    file = request.FILES.get("table")
    if file is None:
        raise ListError(_("Choose a file."))
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ListError(_("The file is not UTF-8. Save it as CSV in UTF-8.")) from None
    dry = request.POST.get("act") == "import-check"
    update = bool(request.POST.get("update"))
    report = spreadsheet.read_in(
        at.row.pk, text.splitlines(keepends=True), now_ms(), by=by_of(at.who), update=update, dry_run=dry
    )
    added = report.added
    if dry:
        said = [
            ngettext(
                "%(n)d person would be added. Nothing was done yet.",
                "%(n)d people would be added. Nothing was done yet.",
                added,
            )
            % {"n": added}
        ]
    else:
        said = [ngettext("%(n)d person was added.", "%(n)d people were added.", added) % {"n": added}]
    if report.changed:
        said.append(ngettext("%(n)d person changed.", "%(n)d people changed.", report.changed) % {"n": report.changed})
    if report.ignored:
        said.append(_("Columns that say nothing here: %(names)s") % {"names": ", ".join(report.ignored)[:500]})
    return _with_rest(said, report.unchanged, report.refused)


def _with_rest(said: list[str], unchanged: int, refused: Sequence[roster.Refused]) -> tuple[bool, list[str], list[Any]]:
    """The end of a report: how many were there already, and how many lines were refused."""
    if unchanged:
        said.append(ngettext("%(n)d was there already.", "%(n)d were there already.", unchanged) % {"n": unchanged})
    count = len(refused)
    if count:
        said.append(ngettext("%(n)d line was refused:", "%(n)d lines were refused:", count) % {"n": count})
    return bool(unchanged) or not count, said, list(refused)


def _change(request: HttpRequest, at: Desk) -> tuple[bool, list[str], list[Any]]:
    """(whether it went well, what to say, lines that were refused)."""
    act = request.POST.get("act", "")
    try:
        if act in MANY:
            return _many(request, at, act)
        if act in ("import", "import-check"):
            return _read_table(request, at)
        if act == "role":
            return True, [_appoint(request, at)], []
        chosen = list(dict.fromkeys(request.POST.getlist("chosen")))[:MOST_CHOSEN]
        if not chosen:
            return False, [_("Choose at least one person.")], []
        role = request.POST.get("role", MEMBER)
        if act == "remove":
            return _remove(at, chosen, role, bool(request.POST.get("goodbye")))
        if act == "moderate":
            action = request.POST.get("action", "")
            if action not in ACTIONS:
                return False, [_("This is no action.")], []
            return _set(at, chosen, role, {"moderation_action": action})
        if act == "choose":
            choice = request.POST.get("choice", "")
            if choice in modes():
                return _set(at, chosen, MEMBER, {"delivery_mode": choice})
            if choice == "stop":
                return _set(at, chosen, MEMBER, {"delivery_status": BY_MODERATOR})
            if choice == "begin":
                return _begin_again(at, chosen)
            return False, [_("Choose what they get.")], []
    except ListError as error:
        return False, [told(error)], []
    return False, [_("Press one of the buttons.")], []


def _set(at: Desk, chosen: list[str], role: str, values: dict[str, str]) -> tuple[bool, list[str], list[Any]]:
    done = sum(roster.set_preferences(at.row.pk, one, role, **values) for one in chosen)
    return True, [_changed(done)], []


def _begin_again(at: Desk, chosen: list[str]) -> tuple[bool, list[str], list[Any]]:
    """Delivery begins again, whoever or whatever stopped it; the score of bounces begins anew."""
    by, now, done = by_of(at.who), now_ms(), 0
    for one in chosen:
        restarted = bounces.restart(at.row.pk, one, by, now)
        done += restarted or roster.set_preferences(at.row.pk, one, MEMBER, delivery_status=ENABLED)
    return True, [_changed(done)], []


def _changed(done: int) -> str:
    return ngettext("%(n)d person changed.", "%(n)d people changed.", done) % {"n": done}


def _fewer(lines: list[str], at: Desk, act: str, tell: bool) -> tuple[bool, list[str], list[Any]]:
    """Remove those who are named, or make the members the same as the lines; "compare" only says what that would do.

    Raises ListError: a line that is no address, or none at all, changes nothing where the members are made the same.
    """
    by, now = by_of(at.who), now_ms()
    if act == "drop":
        report = mass.remove(at.row.pk, lines, now, by=by, goodbye=tell)
        said = [ngettext("%(n)d person was removed.", "%(n)d people were removed.", report.removed)
                % {"n": report.removed}]  # fmt: skip
        if report.unchanged:
            said.append(ngettext("%(n)d was no member.", "%(n)d were no members.", report.unchanged)
                        % {"n": report.unchanged})  # fmt: skip
        if report.refused:
            said.append(ngettext("%(n)d line was refused:", "%(n)d lines were refused:", len(report.refused))
                        % {"n": len(report.refused)})  # fmt: skip
        return bool(report.removed) or not report.refused, said, list(report.refused)
    report = mass.sync(at.row.pk, lines, now, by=by, dry_run=act == "compare")
    words = {"added": report.added, "removed": report.removed, "same": report.unchanged}
    if act == "sync":
        return True, [_("%(added)d were added, %(removed)d removed, %(same)d stayed.") % words], []
    said = [_("%(added)d would be added, %(removed)d removed, %(same)d would stay. Nothing was done yet.") % words]
    for sign, shown in (("+", report.added_addresses), ("−", report.removed_addresses)):
        if shown:
            more = " …" if len(shown) > MOST_REFUSED else ""
            said.append(f"{sign} {', '.join(shown[:MOST_REFUSED])}{more}")
    return True, said, []


def _many(request: HttpRequest, at: Desk, act: str) -> tuple[bool, list[str], list[Any]]:
    lines = request.POST.get("people", "").splitlines()
    by, now = by_of(at.who), now_ms()
    if not any(line.strip() for line in lines):
        return False, [_("Write at least one address.")], []
    if act in ("drop", "compare", "sync"):
        return _fewer(lines, at, act, bool(request.POST.get("welcome")))
    if act == "invite":
        report = mass.invite(at.row.pk, lines, now, by=by, words=request.POST.get("words", ""))
        count = report.invited
        line = ngettext("%(n)d person was invited.", "%(n)d people were invited.", count) % {"n": count}
    else:
        welcome = bool(request.POST.get("welcome"))
        report = mass.add(at.row.pk, lines, now, by=by, welcome=welcome, dry_run=act == "check")
        if act == "check":
            line = ngettext(
                "%(n)d person would be added. Nothing was done yet.",
                "%(n)d people would be added. Nothing was done yet.",
                report.added,
            ) % {"n": report.added}
        else:
            line = ngettext("%(n)d person was added.", "%(n)d people were added.", report.added) % {"n": report.added}
    good, said, refused = _with_rest([line], report.unchanged, report.refused)
    return good or bool(report.added or report.invited), said, refused


def _remove(at: Desk, chosen: list[str], role: str, goodbye: bool) -> tuple[bool, list[str], list[Any]]:
    if role == MEMBER:
        done = mass.remove(at.row.pk, chosen, now_ms(), by=by_of(at.who), goodbye=goodbye).removed
    else:
        if role == OWNER:
            last_owner_stays(at, chosen)
        done = sum(roster.remove(at.row.pk, one, role) for one in chosen)
    return True, [ngettext("%(n)d person was removed.", "%(n)d people were removed.", done) % {"n": done}], []


def last_owner_stays(at: Desk, chosen: list[str]) -> None:
    """Raise ListError when these are all the owners; only who founds lists may leave one without."""
    if at.who.may_found(at.row.domain.name):
        return
    if not {one.address for one in roster.members(at.row.pk, OWNER)} - set(chosen):
        raise ListError(_("A list keeps at least one owner."))


def _appoint(request: HttpRequest, at: Desk) -> str:
    address, role = request.POST.get("address", ""), request.POST.get("as", "")
    if role not in (OWNER, MODERATOR):
        raise ListError(_("Choose owner or moderator."))
    words = {"address": address.strip()}
    if not roster.add(at.row.pk, address, role=role):
        return _("%(address)s has this role already.") % words
    return _("%(address)s is an owner now.") % words if role == OWNER else _("%(address)s is a moderator now.") % words
