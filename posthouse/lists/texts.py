"""Texts: the template of every message a list writes, under Mailman's names, as list, domain, site or house word it."""

from __future__ import annotations

import html
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from string import Template

from django.db.models import Q

from posthouse import configuration
from posthouse.lists import addresses, sentences
from posthouse.lists.errors import BadSetting
from posthouse.lists.languages import ENGLISH, LANGUAGES, TEMPLATES, chain, complete, normal
from posthouse.lists.models import MailingList
from posthouse.lists.placeholders import ALWAYS, OF_REPORTS
from posthouse.lists.text_models import ListText

# What a notice is called in the code and by owners: Mailman's names where it has one; the others follow its pattern.
NAMES: Mapping[str, str] = {
    "add-address": "site:user:action:address",
    "already-member": "list:user:notice:already-member",
    "bounce-disabled": "list:admin:notice:disable",
    "bounce-increment": "list:admin:notice:increment",
    "bounce-removal": "list:admin:notice:removal",
    "bounce-unrecognized": "list:admin:notice:unrecognized",
    "bounce-warning": "list:user:notice:warning",
    "closed": "list:user:notice:closed",
    "confirm-command": "list:user:action:command",
    "confirm-invite": "list:user:action:invite",
    "confirm-join": "list:user:action:subscribe",
    "confirm-leave": "list:user:action:unsubscribe",
    "confirm-move": "list:user:action:move",
    "autoresponse": "list:user:notice:autoresponse",
    "digest-masthead": "list:member:digest:masthead",
    "discarded": "list:admin:notice:discarded",
    "filtered": "list:admin:notice:filtered",
    "forwarded": "list:admin:notice:forwarded",
    "goodbye": "list:user:notice:goodbye",
    "held": "list:user:notice:hold",
    "help": "list:user:notice:help",
    "member-joined": "list:admin:notice:subscribe",
    "member-left": "list:admin:notice:unsubscribe",
    "moderate": "list:admin:action:post",
    "new-list": "domain:admin:notice:new-list",
    "no-more-today": "list:user:notice:no-more-today",
    "held-reply": "list:admin:action:reply",
    "news-refused": "list:admin:notice:news-refused",
    "not-a-member": "list:user:notice:not-a-member",
    "pending": "list:admin:notice:pending",
    "posted": "list:user:notice:post",
    "probe": "list:user:notice:probe",
    "refused-join": "list:user:notice:refuse",
    "refused-leave": "list:user:notice:refuse-leave",
    "rejected": "list:user:notice:rejected",
    "request-join": "list:admin:action:subscribe",
    "report-delayed": "domain:user:report:delayed",
    "report-delivered": "domain:user:report:delivered",
    "report-failed": "domain:user:report:failed",
    "report-relayed": "domain:user:report:relayed",
    "request-leave": "list:admin:action:unsubscribe",
    "results": "list:user:notice:results",
    "sign-in": "site:user:action:sign-in",
    "spent": "list:user:notice:spent",
    "state": "list:admin:notice:state",
    "waits-join": "list:user:notice:waits",
    "waits-leave": "list:user:notice:waits-leave",
    "welcome": "list:user:notice:welcome",
}
KINDS: Mapping[str, str] = {name: kind for kind, name in NAMES.items()}
# Mailman's templates that are settings of a list here, since every copy carries them.
SETTINGS: Mapping[str, str] = {
    "list:member:regular:header": "header",
    "list:member:regular:footer": "footer",
    "list:member:digest:header": "digest_header",
    "list:member:digest:footer": "digest_footer",
}
REPORTS = frozenset(kind for kind, name in NAMES.items() if name.startswith("domain:user:report:"))
LONGEST, LONGEST_SUBJECT = 16_384, 255
LIST, DOMAIN, SITE, HOUSE = "list", "domain", "site", "house"  # who words a text, the nearest first
# Mailman's names of what a notice fills in, and ours; taken where ours is.
_ALSO: Mapping[str, str] = {
    "user_email": "address",
    "user_address": "address",
    "sender_email": "author",
    "reasons": "reason",
}
# Placeholders that are filled with sentences of ours, not with people's words.
_SENTENCES = frozenset(
    {"about", "complaint", "count", "hits", "means", "reason", "reasons", "results", "state", "waiting"}
)
_LINK = re.compile(r"https?://[^\s<>\"]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wording:
    """A template as it is worded somewhere. `of`: LIST, DOMAIN, SITE or HOUSE."""

    of: str
    language: str
    subject: str
    text: str
    by: str = ""
    at: datetime | None = None


def wording(row: MailingList, kind: str, languages: list[str]) -> Wording:
    """How a notice of this list is worded: in the first of these languages that has it, by whoever is nearest.

    Languages come before people: a member reads the house's words in their own language rather than the list's in
    another. One question.
    """
    name = name_of(kind)
    scope = Q(mailing_list=row.pk) | Q(mailing_list=None, domain=row.domain_id) | Q(mailing_list=None, domain=None)
    stored: dict[tuple[str, str], ListText] = {}
    for one in ListText.objects.filter(scope, name=name, language__in=languages):
        of = LIST if one.mailing_list_id else DOMAIN if one.domain_id else SITE
        stored[one.language, of] = one
    for language in languages:
        for of in (LIST, DOMAIN, SITE):
            if (language, of) in stored:
                found = stored[language, of]
                return Wording(of, language, found.subject, found.text, found.by, found.at)
        if language in complete() and (TEMPLATES / language / f"{kind}.txt").exists():
            return Wording(HOUSE, language, *built_in(kind, language))
    return Wording(HOUSE, ENGLISH, *built_in(kind, ENGLISH))


def name_of(kind: str) -> str:
    """The name of a notice's template."""
    return NAMES.get(kind, f"list:user:notice:{kind}")


@lru_cache(maxsize=256)
def built_in(kind: str, language: str = ENGLISH) -> tuple[str, str]:
    """(subject, text) as the house words it: the file's first line is the subject."""
    return parted((TEMPLATES / language / f"{kind}.txt").read_text(encoding="utf-8"))


def parted(written: str) -> tuple[str, str]:
    """(subject, text) of a template in one text, whose first line is `Subject: ...`; "" where it has none."""
    head, _, rest = written.replace("\r\n", "\n").partition("\n")
    if not head.lower().startswith("subject:"):
        return "", written.replace("\r\n", "\n")
    return head.partition(":")[2].strip(), rest.removeprefix("\n")


def rendered(row: MailingList, kind: str, values: Mapping[str, str], wanted: list[str]) -> tuple[str, str, str]:
    """(subject, text, language) of a notice. Raises KeyError when a built-in names a placeholder that nothing fills."""
    return filled(row, kind, values, wording(row, kind, wanted))


def filled(row: MailingList, kind: str, values: Mapping[str, str], found: Wording) -> tuple[str, str, str]:
    """(subject, text, language) of a notice with this wording, or with the house's where that cannot be filled.

    Raises KeyError when a built-in names a placeholder that nothing fills.
    """
    said = {name: _in(found.language, name, value) for name, value in values.items()}
    known_values = {**placeholders(row, found.language), **also(row, said), **said}
    try:
        subject = " ".join(Template(found.subject).substitute(known_values).split())
        return subject, Template(found.text).substitute(known_values), found.language
    except (KeyError, ValueError) as error:
        if found.of == HOUSE:
            raise
        # What was kept before a placeholder went, or written into the table by hand, must not keep a message back.
        log.error("%s as the %s words it (%s) cannot be filled: %r", name_of(kind), found.of, found.language, error)
        language = found.language if found.language in complete() else ENGLISH
        return filled(row, kind, values, Wording(HOUSE, language, *built_in(kind, language)))


def _in(language: str, name: str, value: str) -> str:
    """What fills a placeholder, in the language of the text; people's own words stay."""
    if name in _SENTENCES or value == "(no subject)":
        return sentences.in_language(value, language)
    return value


def placeholders(row: MailingList, language: str = ENGLISH) -> dict[str, str]:
    """What every template and footer may name: our words, and Mailman's."""
    chosen = configuration.active()
    base, address = chosen.web.base_url, row.address
    owner, request = addresses.of(address, addresses.OWNER), addresses.of(address, addresses.REQUEST)
    name, _, host = address.rpartition("@")
    page, requests = f"{base}/lists/{address}/", f"{base}/lists/{address}/requests/"
    return {
        "display_name": row.display_name,
        "listname": address,
        "fqdn_listname": address,
        "list_name": name,
        "short_listname": name,
        "mail_host": host,
        "domain": host,
        "list_id": row.list_id,
        "description": row.description,
        "info": row.info,
        "language": LANGUAGES.get(language, language),
        "list_url": page,
        "mailinglist_url": page,
        "domain_url": f"{base}/",
        "archive_url": f"{base}/archives/{address}/",
        "options_url": f"{base}/options/",
        "held_list_url": f"{base}/held/",
        "held_message_url": f"{base}/held/",
        "pending_subscriptions_url": requests,
        "pending_unsubscriptions_url": requests,
        "join_address": addresses.of(address, addresses.JOIN),
        "leave_address": addresses.of(address, addresses.LEAVE),
        "owner_address": owner,
        "owner_email": owner,
        "request_address": request,
        "request_email": request,
        "site_email": f"postmaster@{chosen.host}",
    }


def also(row: MailingList, values: Mapping[str, str]) -> dict[str, str]:
    """Mailman's names for what this notice fills in."""
    found = {name: values[ours] for name, ours in _ALSO.items() if ours in values}
    if "token" in values:
        found["confirm_email"] = addresses.of(row.address, addresses.CONFIRM, values["token"])
    return found


def is_from_no_list(name: str) -> bool:
    """Whether the message of a template comes from no list: it names nothing of one."""
    return name.startswith("site:") or KINDS.get(name) in REPORTS


def is_worded_by(name: str, of: str) -> bool:
    """Whether a list, a domain or the site (`of`) may word a template: not what never comes from there."""
    return of == SITE or (of == DOMAIN and not name.startswith("site:")) or name.startswith("list:")


def known(kind: str) -> list[str]:
    """Every placeholder that a template of this kind may name: what all may, and what its built-in text does."""
    subject, text = built_in(kind)
    own = set(Template(f"{subject}\n{text}").get_identifiers())
    if is_from_no_list(name_of(kind)):
        return sorted(own | {"domain_url", "language", "site_email"} | (OF_REPORTS if kind in REPORTS else set()))
    own |= {name for name, ours in _ALSO.items() if ours in own} | ({"confirm_email"} if "token" in own else set())
    return sorted(own | ALWAYS)


def checked(kind: str, subject: str, text: str) -> tuple[str, str]:
    """A template as it is kept. Raises BadSetting for a placeholder that nothing fills, a NUL, too much text."""
    subject, text = " ".join(subject.split()), text.replace("\r\n", "\n").replace("\r", "\n").rstrip() + "\n"
    if not subject:
        raise BadSetting("the subject is empty")
    if len(subject) > LONGEST_SUBJECT or len(text) > LONGEST:
        raise BadSetting(f"a subject has at most {LONGEST_SUBJECT} characters, a text {LONGEST}")
    if "\0" in subject + text or any(0xD800 <= ord(one) <= 0xDFFF for one in subject + text):
        raise BadSetting("the template holds characters that are no text")
    for part in (subject, text):
        template = Template(part)
        if not template.is_valid():
            raise BadSetting("a $ stands alone; a placeholder is written $name or ${name}, a plain dollar sign $$")
        unknown = sorted(set(template.get_identifiers()) - set(known(kind)))
        if unknown:
            raise BadSetting(
                f"nothing fills {', '.join(f'${name}' for name in unknown)}; known are "
                + ", ".join(f"${name}" for name in known(kind))
            )
    if "token" in Template(built_in(kind)[0]).get_identifiers() and "token" not in Template(subject).get_identifiers():
        raise BadSetting("the subject must hold $token: an answer to the message confirms by it")
    return subject, text


def sample(row: MailingList, kind: str) -> dict[str, str]:
    """Values to preview a template with."""
    values = {name: _SAMPLES.get(name, f"[{name}]") for name in known(kind) if name not in ALWAYS}
    base = configuration.active().web.base_url
    for name in values:
        if name.endswith("_url"):
            values[name] = f"{base}/{name.removesuffix('_url')}/abcdefghijklmnopqrstuvwxyz/"
    return values


_SAMPLES: Mapping[str, str] = {
    "address": "ana@far.example", "user_email": "ana@far.example", "user_address": "ana@far.example",
    "member": "Ana <ana@far.example>", "author": "ben@far.example", "sender_email": "ben@far.example",
    "subject": "Tomatoes", "reason": "It is larger than 10240 KB.", "reasons": "It is larger than 10240 KB.",
    "hits": "    max-size: larger than 10240 KB", "token": "abcdefghijklmnopqrstuvwxyz", "number": "7",
    "count": "3 postings", "expires": "2030-01-31 12:00 UTC", "by": "web", "message_size": "12 KB",
    "held_number": "7", "newsgroup": "rec.gardens", "state": "paused", "since": "2030-01-01",
    "removed_on": "2030-01-22", "score": "3",
    "site": "https://lists.example", "threshold": "5", "owners": "owen@far.example",
    "style": "discussion", "words": "", "complaint": "", "hostname": "mx.lists.example",
    "arrived": "2030-01-31 12:00 UTC", "until": "2030-02-05 12:00 UTC",
    "recipients": "  ben@far.example\n    mx.far.example: 550 5.1.1 no such mailbox",
}  # fmt: skip


def as_html(text: str, language: str) -> str:
    """A notice as simple HTML: its paragraphs, indented blocks set apart, links that can be followed."""
    blocks = [block for block in re.split(r"\n\s*\n", text.strip("\n")) if block.strip()]
    body = "\n".join(_block(block) for block in blocks)
    return f'<!doctype html>\n<html lang="{html.escape(language)}"><body>\n{body}\n</body></html>\n'


def _block(block: str) -> str:
    lines = block.split("\n")
    deep = all(line.startswith("  ") for line in lines if line.strip())
    inner = "<br>\n".join(_linked(line.strip() if deep else line.rstrip()) for line in lines)
    return f'<p style="margin-left:2em">{inner}</p>' if deep else f"<p>{inner}</p>"


def _linked(line: str) -> str:
    made, at = [], 0
    for found in _LINK.finditer(line):
        word = found[0].rstrip(".,;:!?)'")
        target = word if word.startswith("http") else f"mailto:{word}"
        made.append(html.escape(line[at : found.start()]))
        made.append(f'<a href="{html.escape(target)}">{html.escape(word)}</a>')
        at = found.start() + len(word)
    return "".join(made) + html.escape(line[at:])


__all__ = [
    "KINDS", "NAMES", "SETTINGS", "Wording", "as_html", "built_in", "chain", "checked", "filled", "is_from_no_list",
    "is_worded_by", "known", "name_of", "normal", "parted", "placeholders", "rendered", "sample", "wording",
]  # fmt: skip
