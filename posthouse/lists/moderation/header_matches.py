"""Header matches: expressions looked for in the fields of every part, in order, each with what happens then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import F, Q

from posthouse.database import transaction
from posthouse.lists.addresses import list_pk
from posthouse.lists.errors import BadSetting
from posthouse.lists.expressions import checked, checked_field_name
from posthouse.lists.models import HeaderMatch, MailingList
from posthouse.lists.moderation.case import Case
from posthouse.lists.moderation.verdict import Verdict, by_action
from posthouse.message.headers import Fields
from posthouse.message.mime import Part, part_tree
from posthouse.message.words import decode_words

ACTIONS = ("hold", "reject", "discard", "accept", "defer")
MOST = 200  # of one list
_DEEPEST = 3  # messages inside messages that are read
_MOST_FIELDS = 100  # of one name in one part


@dataclass(frozen=True, slots=True)
class HeaderMatchFacts:
    """One match. `position` counts from 0; `header` is in lower case; `tag`: what its owner calls it, or ""."""

    position: int
    header: str
    pattern: str
    action: str
    tag: str


def add(
    mailing_list: int | str | None,
    header: str,
    pattern: str,
    action: str = "hold",
    tag: str = "",
    position: int | None = None,
) -> HeaderMatchFacts:
    """Add a match at a position, by itself at the end. No list: for every list of the site, asked before its own.

    Raises NoSuchList, BadSetting.
    """
    if action not in ACTIONS:
        raise BadSetting(f"{action!r} is no action; known are {', '.join(ACTIONS)}")
    try:
        header = checked_field_name(header)
    except ValueError as error:
        raise BadSetting(f"{header!r} {error}") from None
    try:
        pattern = checked(pattern)
    except ValueError as error:
        raise BadSetting(f"{pattern!r} {error}") from None
    with transaction():
        pk = _locked(mailing_list)
        rows = HeaderMatch.objects.filter(mailing_list_id=pk)
        number = rows.count()
        if number >= MOST:
            raise BadSetting(f"there are at most {MOST} header matches")
        at = number if position is None else max(0, min(position, number))
        rows.filter(position__gte=at).update(position=F("position") + 1)
        row = HeaderMatch.objects.create(
            mailing_list_id=pk, position=at, header=header, pattern=pattern, action=action, tag=tag.strip()[:64]
        )
        return _facts(row)


def remove(mailing_list: int | str | None, position: int) -> HeaderMatchFacts:
    """Remove the match at a position; those behind it move up. Raises NoSuchList, BadSetting."""
    with transaction():
        pk = _locked(mailing_list)
        row = _at(pk, position)
        facts = _facts(row)
        row.delete()
        HeaderMatch.objects.filter(mailing_list_id=pk, position__gt=position).update(position=F("position") - 1)
        return facts


def move(mailing_list: int | str | None, position: int, to: int) -> HeaderMatchFacts:
    """Put the match at a position to another one. Raises NoSuchList, BadSetting."""
    with transaction():
        pk = _locked(mailing_list)
        row = _at(pk, position)
        rows = HeaderMatch.objects.filter(mailing_list_id=pk)
        to = max(0, min(to, rows.count() - 1))
        rows.filter(position__gt=position).update(position=F("position") - 1)
        rows.filter(position__gte=to).exclude(pk=row.pk).update(position=F("position") + 1)
        row.position = to
        row.save(update_fields=["position"])
        return _facts(row)


def remove_all(mailing_list: int | str | None, tag: str = "") -> int:
    """Remove every match, or every match with a tag: how many. Raises NoSuchList."""
    with transaction():
        pk = _locked(mailing_list)
        rows = HeaderMatch.objects.filter(mailing_list_id=pk, **({"tag": tag} if tag else {}))
        number = rows.delete()[0]
        for at, row in enumerate(HeaderMatch.objects.filter(mailing_list_id=pk).order_by("position")):
            HeaderMatch.objects.filter(pk=row.pk).update(position=at)
        return number


def matches(mailing_list: int | str | None, tag: str = "") -> list[HeaderMatchFacts]:
    """The matches of a list (or the site's) in order; those with a tag when one is given. Raises NoSuchList."""
    pk = None if mailing_list is None else list_pk(mailing_list)
    rows = HeaderMatch.objects.filter(mailing_list_id=pk, **({"tag": tag} if tag else {}))
    return [_facts(row) for row in rows.order_by("position")]


def header_match(case: Case) -> Verdict | None:
    """A field of the message or of one of its parts matches: first the site's expressions, then the list's."""
    row = case.mailing_list
    rows = list(HeaderMatch.objects.filter(Q(mailing_list=row) | Q(mailing_list=None)))
    if not rows:
        return None
    rows.sort(key=lambda match: (match.mailing_list_id is not None, match.position))
    values: dict[str, list[str]] = {}
    headers = list(_headers(case))
    for match in rows:
        if match.header not in values:
            found = (value for fields in headers for value in fields.all(match.header)[:_MOST_FIELDS])
            values[match.header] = list(dict.fromkeys(decode_words(value) for value in found))
        if any(case.patience.finds(match.pattern, value) for value in values[match.header]):
            hit = f"{match.header}: {match.pattern}" + (f" ({match.tag})" if match.tag else "")
            verdict = by_action(match.action, "header-match", "A rule about header fields applies to it.", hit)
            if verdict is not None:
                return verdict
    return None


def _headers(case: Case) -> Iterator[Fields]:
    """The header (with what reception put before it), then that of every part, of messages inside it too."""
    yield case.arrived.fields
    content = case.arrived.content
    yield from _of_parts(content, part_tree(content)[0], 0)


def _of_parts(content: bytes, root: Part, depth: int) -> Iterator[Fields]:
    waiting = list(reversed(root.children))
    if root.content_type == "message/rfc822" and not root.children:
        waiting = [root]
    while waiting:
        part = waiting.pop()
        if part is not root:
            yield part.fields
        waiting.extend(reversed(part.children))
        if part.content_type in ("message/rfc822", "message/global") and depth < _DEEPEST:
            inner = part.body(content)
            tree, _ = part_tree(inner)
            yield tree.fields
            yield from _of_parts(inner, tree, depth + 1)


def _locked(mailing_list: int | str | None) -> int | None:
    """The list's number; its row stays locked, so that positions change one act at a time."""
    if mailing_list is None:
        return None
    pk = list_pk(mailing_list)
    MailingList.objects.select_for_update(of=("self",)).filter(pk=pk).first()
    return pk


def _at(pk: int | None, position: int) -> HeaderMatch:
    row = HeaderMatch.objects.filter(mailing_list_id=pk, position=position).first()
    if row is None:
        raise BadSetting(f"there is no header match at position {position}")
    return row


def _facts(row: HeaderMatch) -> HeaderMatchFacts:
    return HeaderMatchFacts(row.position, row.header, row.pattern, row.action, row.tag)
