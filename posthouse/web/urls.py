"""What exists, and which view answers it."""

from __future__ import annotations

from django.urls import URLPattern, path, register_converter

from posthouse.web.views import (
    addresses,
    archive,
    bounces,
    feeds,
    founding,
    gate,
    held,
    held_links,
    joining,
    lists,
    member,
    members,
    message,
    office,
    options,
    search,
    settings,
    signing_in,
    site,
    trial,
    wordings,
)


class AddressConverter:
    """The posting address of a list, as it stands in a path."""

    regex = r"[^/\s@\x00-\x1f\x7f]{1,64}@[^/\s@\x00-\x1f\x7f]{1,255}"

    def to_python(self, value: str) -> str:
        """Lists are found by their address in lower case."""
        return value.lower()

    def to_url(self, value: str) -> str:
        """As it is."""
        return value


class PersonConverter:
    """The address of somebody, as it stands in a path: a local part may hold nearly everything (RFC 5322 §3.4.1)."""

    regex = r"[^\x00-\x1f\x7f]{1,320}@[^/\s@\x00-\x1f\x7f]{1,255}"

    def to_python(self, value: str) -> str:
        """As it was written."""
        return value

    def to_url(self, value: str) -> str:
        """As it is."""
        return value


class KeyConverter:
    """A Message-ID-Hash: 32 letters of base32."""

    regex = r"[A-Za-z2-7]{32}"

    def to_python(self, value: str) -> str:
        """Keys are kept in upper case."""
        return value.upper()

    def to_url(self, value: str) -> str:
        """As it is."""
        return value


class YearConverter:
    """A year of mail."""

    regex = r"(?:19|20|21)[0-9]{2}"

    def to_python(self, value: str) -> int:
        """As a number."""
        return int(value)

    def to_url(self, value: int) -> str:
        """Four digits."""
        return f"{value:04d}"


class MonthConverter(YearConverter):
    """A month, two digits."""

    regex = r"(?:0[1-9]|1[0-2])"

    def to_url(self, value: int) -> str:
        """Two digits."""
        return f"{value:02d}"


class NumberConverter(YearConverter):
    """A number that every database holds."""

    regex = r"[0-9]{1,18}"

    def to_url(self, value: int) -> str:
        """In digits."""
        return str(value)


register_converter(AddressConverter, "address")
register_converter(PersonConverter, "person")
register_converter(KeyConverter, "key")
register_converter(YearConverter, "year")
register_converter(MonthConverter, "month")
register_converter(NumberConverter, "number")

_ARCHIVE = "archives/<address:address>/"
_LIST = "lists/<address:address>/"

# The most read pages come first: the resolver tries one after the other.
urlpatterns: list[URLPattern] = [
    path(f"{_ARCHIVE}thread/<key:key>/", archive.thread),
    path(f"{_ARCHIVE}message/<key:key>/", message.show),
    path(_ARCHIVE, archive.front),
    path("search", search.everywhere),
    path(f"{_ARCHIVE}search", search.one_archive),
    path("", archive.site),
    path("static/<str:name>", site.asset),
    path(f"{_ARCHIVE}message/<key:key>/raw", message.raw),
    path(f"{_ARCHIVE}message/<key:key>/headers", message.headers),
    path(f"{_ARCHIVE}message/<key:key>/attachment/<number:number>/<path:name>", message.attachment),
    path(f"{_ARCHIVE}thread/<key:key>/mbox", feeds.thread_mbox),
    path(f"{_ARCHIVE}thread/<key:key>/feed.atom", feeds.thread_feed),
    path(f"{_ARCHIVE}feed.atom", feeds.archive_feed),
    path(f"{_ARCHIVE}mbox", feeds.archive_mbox),
    path(f"{_ARCHIVE}<year:year>/<month:number>/", archive.month),
    path(_LIST, lists.about),
    path(f"{_LIST}join/", joining.join),
    path(f"{_LIST}settings/", settings.overview),
    path(f"{_LIST}settings/<slug:name>/", settings.area),
    path(f"{_LIST}members/", members.members),
    path(f"{_LIST}members/table.csv", members.table),
    path(f"{_LIST}members/<person:person>/", member.member),
    path(f"{_LIST}requests/", gate.requests),
    path(f"{_LIST}bans/", gate.bans_and_rules),
    path(f"{_LIST}templates/", wordings.overview),
    path(f"{_LIST}templates/<str:name>/", wordings.template),
    path(f"{_LIST}manage/", founding.manage),
    path("lists/new/", founding.create),
    path("options/", options.options),
    path("options/addresses/", addresses.addresses),
    path("options/addresses/<str:token>/", addresses.confirm),
    path("site/", office.overview),
    path("site/people/", office.somebody),
    path("site/bans/", gate.of_site),
    path("site/templates/", wordings.office_overview),
    path("site/templates/<str:name>/", wordings.office_template),
    path("site/domains/<str:host>/", office.domain),
    path("site/domains/<str:host>/templates/", wordings.office_overview),
    path("site/domains/<str:host>/templates/<str:name>/", wordings.office_template),
    path("held/", held.inbox),
    path("held/discarded/", held.thrown_away),
    path("held/<number:number>/", held.show),
    path("held/act/<str:token>/", held_links.act),
    path("sign-in/", signing_in.ask),
    path("sign-in/<str:token>/", signing_in.arrive),
    path("sign-out/", signing_in.leave),
    path("unsubscribe/<str:token>/", lists.unsubscribe),
    path("confirm/<str:token>/", lists.confirm),
    path("bounces/restart/<str:token>/", bounces.restart),
    path("trial/outbox", trial.outbox),
    path("trial/outbox/<number:number>", trial.message),
    path("favicon.ico", site.favicon),
    path("robots.txt", site.robots),
    path("health", site.health),
]

handler400 = "posthouse.web.views.site.malformed"
handler403 = "posthouse.web.views.site.refused"
handler404 = "posthouse.web.views.site.not_found"
handler500 = "posthouse.web.views.site.failed"
