"""What each copy gets as it leaves: its own return path (VERP), its own unsubscribe fields (RFC 2369, RFC 8058), and,
on lists that personalize, words of its own above and below the text.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Template

from django.db import connection
from django.utils.translation import get_language_info

from posthouse import configuration
from posthouse.lists import addresses, notices, tokens
from posthouse.lists.errors import NoSuchList
from posthouse.lists.models import MEMBER, MailingList
from posthouse.lists.personal import PERSONAL, is_personal
from posthouse.lists.preferences import ACCOUNTS, effective
from posthouse.message.decoration import Decoration, Plan, Unfit, plan, tidy
from posthouse.message.headers import Fields
from posthouse.message.words import HeaderError, encode_field, encode_phrase

__all__ = ["PERSONAL", "Departure", "Personal", "Wording", "for_list"]

_MAC = 16
_DEFAULT_LANGUAGE = "en"


@dataclass(frozen=True, slots=True)
class Wording:
    """What header and footer say to whom: templates, shared values, and (name, language) by recipient."""

    above: str
    below: str
    values: Mapping[str, str]
    people: Mapping[str, tuple[str, str]]

    def of(self, recipient: str, permalink: str) -> Decoration:
        """The words for this recipient. About 20 µs."""
        name, language = self.people.get(recipient, ("", ""))
        either = name or recipient
        values = {
            **self.values,
            "permalink": permalink,
            "hyperkitty_url": permalink,
            "user_email": recipient,
            "user_address": recipient,
            "user_delivered_to": recipient,
            "user_name": name,
            "user_name_or_email": either,
            "user_name_or_address": either,
            "member": f"{name} <{recipient}>" if name else recipient,
            "user_language": _language(language or _DEFAULT_LANGUAGE),
        }
        return tidy(Template(self.above).safe_substitute(values)), tidy(Template(self.below).safe_substitute(values))


@dataclass(frozen=True, slots=True)
class Departure:
    """What the copies of one list share; may be kept as long as the list exists. Nothing is stored per copy."""

    list_pk: int
    bounces: str  # garden-bounces
    host: str
    before: bytes  # the header up to the token; empty where the list has no such fields
    after: bytes  # and behind it
    key: bytes
    errors_to: bool = False  # whether the return path is said in the header too
    wording: Wording = field(default_factory=lambda: Wording("", "", {}, {}))

    def copy(self, recipient: str) -> tuple[str, bytes]:
        """(return path, header fields to put before the content) of the copy for this recipient. About 3 µs."""
        name, _, domain = recipient.rpartition("@")
        return_path = f"{self.bounces}+{name}={domain}@{self.host}"
        first = b"Errors-To: <%b>\r\n" % return_path.encode("utf-8", "surrogateescape") if self.errors_to else b""
        if not self.before:
            return return_path, first
        payload = f"{self.list_pk}:{recipient}".encode("utf-8", "surrogateescape")
        mac = hashlib.blake2b(payload, digest_size=_MAC, key=self.key).digest()
        token = urlsafe_b64encode(mac + payload).rstrip(b"=")
        return return_path, b"%b%b%b%b" % (first, self.before, token, self.after)

    def personal(self, content: bytes) -> Personal:
        """The copies of a content (of origin PERSONAL) that differ; made once for all of them."""
        fields = Fields(content)
        sample = tidy(self.wording.above), tidy(self.wording.below)
        whole = Plan(((0, len(content)),))
        permalink = (fields.first("archived-at") or "").strip("<> ")
        if sample == ("", ""):
            return Personal(self.wording, whole, whole, permalink, "to" not in fields)
        return Personal(
            self.wording, plan(content, sample), plan(content, sample, wrap=True), permalink, "to" not in fields
        )


@dataclass(frozen=True, slots=True)
class Personal:
    """The copies of one content. One whose name its charset cannot hold is in UTF-8, or gets a part for it."""

    wording: Wording
    plan: Plan
    roomy: Plan
    permalink: str
    wants_to: bool  # with `full` each copy is addressed to its reader

    def copy(self, recipient: str) -> tuple[bytes, tuple[bytes | tuple[int, int], ...]]:
        """(more header fields, the pieces of the message: bytes, and (start, end) of the content) for a recipient."""
        words = self.wording.of(recipient, self.permalink)
        try:
            pieces = tuple(self.plan.parts(words))
        except Unfit:
            pieces = tuple(self.roomy.parts(words))
        return self._to(recipient) if self.wants_to else b"", pieces

    def _to(self, recipient: str) -> bytes:
        name = self.wording.people.get(recipient, ("", ""))[0]
        try:
            return encode_field("To", f"{encode_phrase(name)} <{recipient}>" if name else f"<{recipient}>")
        except HeaderError:
            return encode_field("To", f"<{recipient}>")


def for_list(list_pk: int) -> Departure:
    """What the copies of this list get. Raises NoSuchList when it was removed meanwhile."""
    row = MailingList.objects.select_related("domain").filter(pk=list_pk).first()
    if row is None:
        raise NoSuchList(f"the list number {list_pk} was removed")
    base = configuration.active().web.base_url
    leave = addresses.of(row.address, addresses.LEAVE)
    before, after = f"List-Unsubscribe: <{base}/unsubscribe/", f"/>,\r\n <mailto:{leave}>\r\n"
    if base.startswith("https://"):  # RFC 8058 §3.1: one click needs an https address
        after += "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    if not row.include_rfc2369_headers:
        before = after = ""
    return Departure(
        list_pk=list_pk,
        bounces=f"{row.list_name}-{addresses.BOUNCES}",
        host=row.domain.name,
        before=before.encode("ascii", "replace"),
        after=after.encode("ascii"),
        key=tokens.unsubscribe_key(),
        errors_to=row.include_errors_to,
        wording=_wording(row, base),
    )


def _wording(row: MailingList, base: str) -> Wording:
    values = {**notices.placeholders(row), "user_optionsurl": f"{base}/options/"}
    people: dict[str, tuple[str, str]] = {}
    if is_personal(row):
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT a.original, COALESCE(NULLIF(a.display_name, ''), c.display_name, ''), "
                f"{effective('preferred_language')} FROM lists_membership m JOIN directory_address a "
                f"ON a.id = m.address_id {ACCOUNTS} WHERE m.mailing_list_id = %s AND m.role = %s",
                [row.pk, MEMBER],
            )
            people = {
                recipient: (name, language) for recipient, name, language in cursor.fetchall() if name or language
            }
    return Wording(row.header, row.footer, values, people)


def _language(code: str) -> str:
    try:
        return str(get_language_info(code)["name_local"])
    except KeyError:
        return code
