"""Changing texts: the templates of a list, a domain or the site are listed, shown, worded anew, previewed and reset."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from string import Template
from typing import Any

from posthouse.database import transaction
from posthouse.directory.models import Domain
from posthouse.directory.moments import moment
from posthouse.lists import addresses, creation, languages, texts
from posthouse.lists.errors import BadSetting, NoSuchList
from posthouse.lists.facts import row_of
from posthouse.lists.models import MailingList
from posthouse.lists.settings import BY_NAME
from posthouse.lists.text_models import ListText

WHOLE_SITE = "site"  # the place of texts for every list; others are a domain's name or a list's address


@dataclass(frozen=True, slots=True)
class TextFacts:
    """A template as it holds in a place. `of`: who words it there: list, domain, site, house or setting."""

    name: str
    language: str
    of: str
    subject: str
    text: str
    by: str = ""
    at: datetime | None = None

    @property
    def whole(self) -> str:
        """As one text, the way files and `posthouse templates set` have it."""
        return f"Subject: {self.subject}\n\n{self.text}" if self.subject else self.text


@dataclass(frozen=True, slots=True)
class Preview:
    """A template filled with examples."""

    subject: str
    text: str
    html: str


def listing(place: str) -> list[TextFacts]:
    """What is worded in a place itself, by name and language. Raises NoSuchList."""
    rows = ListText.objects.filter(**_scope(place)).order_by("name", "language")
    return [TextFacts(one.name, one.language, _kind(place), one.subject, one.text, one.by, one.at) for one in rows]


def names(place: str) -> list[str]:
    """The templates that can be worded in a place."""
    return [name for name in sorted(texts.KINDS) if texts.is_worded_by(name, _kind(place))]


def show(place: str, name: str, language: str = "") -> TextFacts:
    """How a template is worded for the lists of a place. Raises NoSuchList, BadSetting (name or language)."""
    if name in texts.SETTINGS:
        return _setting(place, name)
    kind, row = _kind_of(name), example_of(place)
    spoken = _language(language) if language else languages.spoken(row, [])[1]
    found = texts.wording(row, kind, languages.chain(spoken))
    return TextFacts(name, found.language, found.of, found.subject, found.text, found.by, found.at)


def put(place: str, name: str, language: str, written: str, *, by: str, now: int) -> TextFacts:
    """Word a template anew in a place; the first line may be `Subject: ...`. `now` in milliseconds.

    Raises NoSuchList, BadSetting: the name, the language, or a placeholder that nothing fills.
    """
    if name in texts.SETTINGS:
        address = _list_only(place, name)
        creation.set_settings(address, {texts.SETTINGS[name]: written})
        return _setting(place, name)
    kind, spoken = _worded_in(place, name), _language(language)
    subject, text = texts.parted(written)
    if not subject:
        subject = show(place, name, spoken).subject
    subject, text = texts.checked(kind, subject, text)
    with transaction():
        values = {"subject": subject, "text": text, "by": by[:320], "at": moment(now)}
        ListText.objects.update_or_create(**_scope(place), name=name, language=spoken, defaults=values)
    return show(place, name, spoken)


def reset(place: str, name: str, language: str = "") -> int:
    """Take the wording of a place back, in one language or in all; how many went. Raises NoSuchList, BadSetting."""
    if name in texts.SETTINGS:
        address, setting = _list_only(place, name), texts.SETTINGS[name]
        creation.set_settings(address, {setting: str(BY_NAME[setting].default)})
        return 1
    _worded_in(place, name)
    with transaction():
        rows = ListText.objects.filter(**_scope(place), name=name)
        return (rows.filter(language=_language(language)) if language else rows).delete()[0]


def preview(place: str, name: str, language: str = "", written: str = "") -> Preview:
    """A template filled with examples: as it is, or as it would be `written`. Raises NoSuchList, BadSetting."""
    row = example_of(place)
    if name in texts.SETTINGS:
        text = Template(written or _setting(place, name).text).safe_substitute(texts.placeholders(row))
        return Preview("", text, texts.as_html(text, languages.ENGLISH))
    kind = _kind_of(name)
    found = show(place, name, language)
    subject, text = found.subject, found.text
    if written:
        said, text = texts.parted(written)
        subject, text = texts.checked(kind, said or subject, text)
    filled = {**texts.placeholders(row, found.language), **texts.sample(row, kind)}
    subject, text = " ".join(Template(subject).substitute(filled).split()), Template(text).substitute(filled)
    return Preview(subject, text, texts.as_html(text, found.language))


def _kind(place: str) -> str:
    return texts.SITE if place in ("", WHOLE_SITE) else texts.LIST if "@" in place else texts.DOMAIN


def _scope(place: str) -> dict[str, Any]:
    if _kind(place) == texts.LIST:
        return {"mailing_list_id": addresses.list_pk(place), "domain_id": None}
    return {"mailing_list_id": None, "domain_id": _domain(place).pk if _kind(place) == texts.DOMAIN else None}


def _domain(place: str) -> Domain:
    domain = Domain.objects.filter(name=place.strip().lower()).first()
    if domain is None:
        raise NoSuchList(
            f"{place} is no domain here and no list; templates are of a list, a domain or the {WHOLE_SITE}"
        )
    return domain


def example_of(place: str) -> MailingList:
    """The list of a place; for a domain or the site an example of one, which is not stored."""
    if _kind(place) == texts.LIST:
        return row_of(place)
    domain = _domain(place) if _kind(place) == texts.DOMAIN else Domain(name="lists.example")
    example = MailingList(list_name="garden", domain=domain, display_name="Garden", list_id=f"garden.{domain.name}")
    example.pk = 0
    return example


def _kind_of(name: str) -> str:
    kind = texts.KINDS.get(name)
    if kind is None:
        known = ", ".join(sorted([*texts.KINDS, *texts.SETTINGS]))
        raise BadSetting(f"{name!r} is no template; known are {known}")
    return kind


def _worded_in(place: str, name: str) -> str:
    """What the code calls a template that can be worded in this place."""
    kind = _kind_of(name)
    if not texts.is_worded_by(name, _kind(place)):
        if name.startswith("site:"):
            raise BadSetting(f"{name} comes from no list; it is worded for the whole site")
        raise BadSetting(f"{name} comes from no list; it is worded for a domain or the whole site")
    return kind


def _language(code: str) -> str:
    try:
        return languages.checked(code)
    except ValueError as error:
        raise BadSetting(f"{code!r} {error}") from None


def _list_only(place: str, name: str) -> str:
    if _kind(place) != texts.LIST:
        raise BadSetting(f"{name} is the setting {texts.SETTINGS[name]} of each list")
    return place


def _setting(place: str, name: str) -> TextFacts:
    facts = creation.show(_list_only(place, name))
    return TextFacts(name, languages.ENGLISH, "setting", "", str(facts.settings[texts.SETTINGS[name]]))
