"""Every permission of the site: who is asking, and which archives, lists and held mail they may see."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from django.conf import settings
from django.http import HttpRequest

from posthouse.archive.models import PRIVATE, PUBLIC
from posthouse.directory import domains
from posthouse.lists import roster
from posthouse.lists.roster import Roles

NO_ROLES: Final = Roles(frozenset(), frozenset(), frozenset())


class Hidden(Exception):
    """What was asked for does not exist, or exists for others; strangers are not told which."""


class Moved(Exception):
    """What was asked for is found under another address now."""

    def __init__(self, old: str, new: str) -> None:
        super().__init__(f"{old} is {new} now")
        self.old, self.new = old, new


class NotAllowed(Exception):
    """The visitor is known, and may not do this; the text says why in a sentence."""


class SignInNeeded(Exception):
    """Only people who have signed in come here."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is asking: an account with its roles, or a stranger (account 0)."""

    account: int = 0
    superuser: bool = False
    roles: Roles = NO_ROLES
    name: str = ""
    domains: frozenset[str] = frozenset()  # those whose lists the account creates, changes and removes

    @property
    def founds(self) -> bool:
        """Whether this visitor may create lists somewhere."""
        return self.superuser or bool(self.domains)

    @property
    def moderates(self) -> bool:
        """Whether there may be held mail for this visitor."""
        return self.superuser or bool(self.roles.owner or self.roles.moderator)

    def may_read(self, address: str, policy: str) -> bool:
        """Whether the archive of the list `address` is open to this visitor; `policy` is its archive policy."""
        if policy == PUBLIC:
            return True
        return policy == PRIVATE and (self.superuser or self.roles.reads(address))

    def may_download(self, address: str, whom: str) -> bool:
        """Whether a reader of the archive may have all of it as a file; `whom` is the list's setting."""
        if whom == "readers" or self.may_run(address):
            return True
        return whom == "members" and self.roles.reads(address)

    def sees_addresses(self, address: str) -> bool:
        """Whether addresses that are hidden from strangers are shown to this visitor: they are on the list."""
        return self.may_run(address) or self.roles.reads(address)

    def may_see(self, address: str, advertised: bool) -> bool:
        """Whether this visitor may know that the list `address` exists."""
        return advertised or self.may_run(address) or self.roles.reads(address)

    def may_run(self, address: str) -> bool:
        """Whether this visitor sets up the list `address`: its owners, the owners of its domain, administrators."""
        return self.superuser or address in self.roles.owner or address.rpartition("@")[2] in self.domains

    def may_found(self, host: str) -> bool:
        """Whether this visitor creates and removes lists in the domain `host`."""
        return self.superuser or host in self.domains

    def may_see_roster(self, address: str, visibility: str) -> bool:
        """Whether the members of the list `address` are shown to this visitor; `visibility` is the list's setting."""
        if visibility == "public" or self.may_run(address) or self.roles.moderates(address):
            return True
        return visibility == "members" and address in self.roles.member

    def may_moderate(self, address: str) -> bool:
        """Whether this visitor decides about mail held for the list `address`."""
        return self.superuser or self.roles.moderates(address)


STRANGER: Final = Visitor()


class _Archive(Protocol):
    @property
    def address(self) -> str: ...
    @property
    def policy(self) -> str: ...


def visitor(request: HttpRequest) -> Visitor:
    """Who sent this request. Without a session cookie nothing is asked of the database."""
    known = request.__dict__.get("visitor")
    if known is None:
        known = request.__dict__["visitor"] = _look(request)
    return known


def _look(request: HttpRequest) -> Visitor:
    if not request.COOKIES.get(settings.SESSION_COOKIE_NAME, "").isalnum():  # none, or none that we gave
        return STRANGER
    account = request.user
    if not account.is_authenticated or not account.is_active:
        return STRANGER
    owned = domains.owned_by(account.pk)
    return Visitor(account.pk, account.is_superuser, roster.roles_of(account.pk), account.display_name, owned)


def known_visitor(request: HttpRequest) -> Visitor:
    """Who sent this request; raises SignInNeeded for a stranger."""
    found = visitor(request)
    if not found.account:
        raise SignInNeeded
    return found


def open_to(who: Visitor, archives: Iterable[_Archive]) -> Collection[str]:
    """The addresses of those archives that the visitor may read."""
    return [archive.address for archive in archives if who.may_read(archive.address, archive.policy)]


def require_readable(who: Visitor, archive: _Archive) -> None:
    """Raise Hidden unless the visitor may read this archive."""
    if not who.may_read(archive.address, archive.policy):
        raise Hidden
