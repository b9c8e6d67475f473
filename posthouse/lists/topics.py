"""Topics: which of them a posting is about, and which of them a member wants to hear of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from posthouse.address import AddressError, key_of
from posthouse.database import transaction
from posthouse.lists.addresses import list_pk
from posthouse.lists.arrived import Arrived
from posthouse.lists.errors import BadAddress, BadSetting, ListError
from posthouse.lists.expressions import Patience
from posthouse.lists.models import MEMBER, MailingList, Membership
from posthouse.lists.settings import items
from posthouse.message.parsing import read
from posthouse.message.words import decode_words

BEGINNING = 64 * 1024  # octets of a posting in which lines that name topics are looked for
_FIELDS = ("subject", "keywords")


def names(row: MailingList) -> list[str]:
    """The names of a list's topics, in order."""
    return [item.partition(":")[0] for item in items(row.topics)]


def of(row: MailingList, arrived: Arrived) -> tuple[str, ...]:
    """The names of the topics a posting matches: by Subject, Keywords, and such lines at the beginning of its text."""
    if not row.topics_enabled or not row.topics:
        return ()
    texts = [decode_words(value) for name in _FIELDS for value in arrived.fields.all(name)[:20]]
    if row.topics_bodylines_limit:
        text = read(arrived.beginning(BEGINNING)).text
        for line in text.split("\n")[: row.topics_bodylines_limit]:
            name, colon, value = line.partition(":")
            if colon and name.strip().lower() in _FIELDS:
                texts.append(value.strip())
    patience, searched = Patience(), "\n".join(texts)
    found = []
    for item in items(row.topics):
        name, _, expression = item.partition(":")
        if patience.finds(expression.strip(), searched):
            found.append(name)
    return tuple(found)


def choose(mailing_list: int, address_key: str, chosen: Sequence[str], nonmatching: bool) -> None:
    """Let a member hear of these topics alone (none: of everything), and of postings that match no topic or not.

    Raises BadSetting for a topic the list has not, ListError when the address is no member.
    """
    with transaction():
        row = MailingList.objects.get(pk=mailing_list)
        known = {name.casefold() for name in names(row)}
        kept = list(dict.fromkeys(name.strip().casefold() for name in chosen if name.strip()))
        strange = [name for name in kept if name not in known]
        if strange:
            raise BadSetting(f"the list has no topic {strange[0]!r}; it has {', '.join(names(row)) or 'none'}")
        written = "\n".join(["", *kept, ""]) if kept else ""
        changed = Membership.objects.filter(mailing_list=row, role=MEMBER, address__key=address_key)
        if not changed.update(topics=written, receive_nonmatching_topics=nonmatching):
            raise ListError(f"{address_key} is not a member of the list")


def chosen(membership: Membership) -> list[str]:
    """The topics a member chose, in lower case; none: everything."""
    return [name for name in membership.topics.split("\n") if name]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a member wants to hear of: `chosen` of the topics that are `offered` (none: of everything)."""

    offered: tuple[str, ...]
    chosen: tuple[str, ...]
    nonmatching: bool


def choice(mailing_list: int | str, address: str) -> Choice | None:
    """What a member chose; None when the address is no member. Raises NoSuchList."""
    row = MailingList.objects.get(pk=list_pk(mailing_list))
    member = Membership.objects.filter(mailing_list=row, role=MEMBER, address__key=_key(address)).first()
    if member is None:
        return None
    return Choice(tuple(names(row)), tuple(chosen(member)), member.receive_nonmatching_topics)


def choose_for(mailing_list: int | str, address: str, wanted: Sequence[str], nonmatching: bool) -> None:
    """`choose` for a list and an address as people write them. Raises NoSuchList, BadSetting, ListError."""
    choose(list_pk(mailing_list), _key(address), wanted, nonmatching)


def _key(address: str) -> str:
    try:
        return key_of(address)
    except AddressError as error:
        raise BadAddress(f"{address!r} is no address: {error.rule}") from error


def pattern(name: str) -> str:
    """What LIKE (with `!` as escape) finds in the kept choice of a member who wants this topic."""
    escaped = name.casefold().replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return f"%\n{escaped}\n%"
