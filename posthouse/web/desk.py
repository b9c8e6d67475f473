"""The desk of a list: its row for those who run or moderate it, and the pages that lie on it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from posthouse.directory import accounts
from posthouse.lists.errors import NoSuchList
from posthouse.lists.facts import row_of
from posthouse.lists.models import MailingList
from posthouse.web import links
from posthouse.web.access import Hidden, Moved, SignInNeeded, Visitor, visitor

OWNERS, MODERATORS, ROSTER = "owners", "moderators", "roster"  # who comes to a page

PAGES: Final = (
    ("settings", _("Settings"), OWNERS),
    ("members", _("Members"), ROSTER),
    ("requests", _("Requests"), MODERATORS),
    ("bans", _("Bans and header rules"), OWNERS),
    ("templates", _("Templates"), OWNERS),
    ("manage", _("Name and state"), OWNERS),
)


@dataclass(frozen=True)
class Desk:
    """A list and who sits before it."""

    who: Visitor
    row: MailingList

    @property
    def address(self) -> str:
        """The posting address."""
        return self.row.address

    @property
    def pk(self) -> int:
        """The number of the list."""
        return int(self.row.pk)

    @property
    def kind(self) -> str:
        """Who words a text here, as `texts` says it."""
        return "list"

    @property
    def first(self) -> str:
        """The title of its first page."""
        return str(_("About"))

    @property
    def name(self) -> str:
        """What people call the list."""
        return self.row.display_name or self.row.list_name

    @property
    def path(self) -> str:
        """The page about the list."""
        return links.mailing_list(self.address)

    @property
    def runs(self) -> bool:
        """Whether the visitor may change the list."""
        return self.who.may_run(self.address)

    @property
    def pages(self) -> list[tuple[str, str, str]]:
        """(name, path, title) of the pages that the visitor may open."""
        return pages(self.who, self.address, self.row.member_roster_visibility, self.row.advertised)


def pages(who: Visitor, address: str, visibility: str, advertised: bool) -> list[tuple[str, str, str]]:
    """(name, path, title) of the pages on the desk of a list that this visitor may open."""
    path = links.mailing_list(address)
    return [
        (name, f"{path}{name}/", str(title))
        for name, title, whom in PAGES
        if _may(who, address, visibility, advertised, whom)
    ]


def desk(request: HttpRequest, address: str, whom: str = OWNERS) -> Desk:
    """The desk of the list `address`. Raises SignInNeeded for a stranger, Hidden for who may not come, Moved."""
    who = visitor(request)
    try:
        row = row_of(address.lower())
    except NoSuchList:
        if not who.account:
            raise SignInNeeded from None
        raise Hidden from None
    if not _may(who, row.address, row.member_roster_visibility, row.advertised, whom):
        if not who.account:
            raise SignInNeeded
        raise Hidden
    if row.address != address.lower():
        raise Moved(address, row.address)
    return Desk(who, row)


def _may(who: Visitor, address: str, visibility: str, advertised: bool, whom: str) -> bool:
    if whom == ROSTER:
        return who.may_see_roster(address, visibility) and who.may_see(address, advertised)
    return who.may_run(address) or (whom == MODERATORS and who.may_moderate(address))


def by_of(who: Visitor) -> str:
    """What the log calls this visitor: an address."""
    return (accounts.addresses_of(who.account) or [f"account {who.account}"])[0]


def now_ms() -> int:
    """Milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000
