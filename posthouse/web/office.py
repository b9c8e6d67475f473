"""The office: the pages of the whole site for its administrators, of a domain for its owners; like a list's desk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from posthouse.directory import domains
from posthouse.lists import wording
from posthouse.web.access import Hidden, Visitor, known_visitor

SITE: Final = "/site/"
PAGES: Final = (
    ("people", gettext_lazy("People")),
    ("bans", gettext_lazy("Bans and header rules")),
    ("templates", gettext_lazy("Templates")),
)


@dataclass(frozen=True)
class Office:
    """The whole site, or (`host`) one of its domains, and who sits before it."""

    who: Visitor
    host: str = ""
    pk: int | None = None  # no list: bans and header rules without one hold on the whole site

    @property
    def address(self) -> str:
        """What templates of this place are kept under."""
        return self.host or wording.WHOLE_SITE

    @property
    def kind(self) -> str:
        """Who words a text here, as `texts` says it."""
        return "domain" if self.host else "site"

    @property
    def name(self) -> str:
        """What people call it."""
        return self.host or _("the whole site")

    @property
    def path(self) -> str:
        """Its first page."""
        return f"{SITE}domains/{self.host}/" if self.host else SITE

    @property
    def first(self) -> str:
        """The title of its first page."""
        return _("Domain") if self.host else _("Domains")

    @property
    def pages(self) -> list[tuple[str, str, str]]:
        """(name, path, title) of the pages behind the first one."""
        if self.host:
            return [("templates", f"{self.path}templates/", _("Templates"))]
        return [(name, f"{SITE}{name}/", str(title)) for name, title in PAGES]


def office(request: HttpRequest, host: str = "") -> Office:
    """The office of the site (administrators), or of a domain (its owners too). Raises SignInNeeded, Hidden."""
    who = known_visitor(request)
    if not (who.may_found(host) and domains.is_ours(host) if host else who.superuser):
        raise Hidden
    return Office(who, host)
