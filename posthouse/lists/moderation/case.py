"""What the rules look at: the list, the posting, and what its author is to the list."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from django.db import connection

from posthouse.address import AddressError, key_of, mailboxes
from posthouse.lists import proven
from posthouse.lists.arrived import Arrived
from posthouse.lists.bans import ban_of
from posthouse.lists.expressions import Patience
from posthouse.lists.models import MEMBER, MODERATOR, NONMEMBER, OWNER, MailingList
from posthouse.lists.moderation import approved, verbosity
from posthouse.lists.moderation.approved import Approval
from posthouse.message.parsing import read
from posthouse.message.words import decode_words

NEWS = "news"  # origin in the queue of what a newsgroup gave us
BEGINNING = 64 * 1024  # octets of a posting in which commands and passwords are looked for
_MOST_SENDERS = 20


@dataclass(frozen=True, slots=True)
class Standing:
    """What an author is to a list: their roles with the action each membership has of its own ("": none)."""

    actions: dict[str, str]

    @property
    def is_staff(self) -> bool:
        """Whether the author is an owner or a moderator."""
        return OWNER in self.actions or MODERATOR in self.actions

    @property
    def is_member(self) -> bool:
        """Whether the author is a member."""
        return MEMBER in self.actions

    def own_action(self, role: str) -> str:
        """The action of the author's own membership, "" when the list's default decides."""
        return self.actions.get(role, "")


@dataclass(frozen=True)
class Case:
    """A posting before its judge. `now`: milliseconds; `recent`: counted postings of this member, this one too."""

    mailing_list: MailingList
    arrived: Arrived
    author: str  # the address as written, "" when there is none
    standing: Standing
    now: int = 0
    recent: int = 0
    patience: Patience = field(default_factory=Patience)

    @property
    def is_from_news(self) -> bool:
        """Whether a newsgroup gave it to us: then nothing is known of its author, and nobody is told anything."""
        return self.arrived.origin == NEWS

    @cached_property
    def is_doubted(self) -> bool:
        """Whether reception found that DMARC fails for the author: anybody can write a moderator's name into From."""
        return proven.is_doubted(self.arrived)

    @cached_property
    def author_key(self) -> str:
        """The author's address as a key, "" when there is none."""
        return key_of(self.author) if self.author else ""

    @cached_property
    def ban(self) -> str:
        """The ban that one of the posting's senders is under, "" when none is."""
        return ban_of(self.mailing_list.pk, senders(self.arrived), self.patience)

    @cached_property
    def approval(self) -> Approval | None:
        """The moderators' password, when the posting offers one."""
        return approved.look(self.mailing_list, self.arrived, self.text, self.now)

    @cached_property
    def text(self) -> str:
        """What the beginning of the posting says."""
        return read(self.arrived.beginning(BEGINNING)).text


def of(mailing_list: MailingList, arrived: Arrived, now: int) -> Case:
    """Gather what the rules need: one question to the database. `now` in milliseconds."""
    author = arrived.author[1]
    standing = standing_of(mailing_list.pk, author)
    recent = 0
    if mailing_list.member_verbosity_threshold and standing.is_member and arrived.origin != NEWS:
        recent = verbosity.counted(mailing_list, key_of(author), now)
    return Case(mailing_list, arrived, author, standing, now, recent)


def senders(arrived: Arrived) -> list[str]:
    """The keys of everybody who says to have sent it: From, Sender, Reply-To and the return path."""
    keys: dict[str, None] = {}
    written = [address for name in ("from", "sender", "reply-to") for value in arrived.fields.all(name)[:5]
               for _, address in mailboxes(value, decode_words)[:_MOST_SENDERS]]  # fmt: skip
    for address in (*written, arrived.return_path):
        try:
            keys[key_of(address)] = None
        except AddressError:
            continue
    return list(keys)[:_MOST_SENDERS]


def standing_of(list_pk: int, author: str) -> Standing:
    """What this address is to the list; the verified addresses of one account count as one person."""
    if not author:
        return Standing({})
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT m.role, m.moderation_action, 1 FROM directory_address a JOIN lists_membership m "
            "ON m.address_id = a.id AND m.mailing_list_id = %s WHERE a.key = %s "
            "UNION ALL SELECT m.role, m.moderation_action, 0 FROM directory_address a JOIN directory_address b "
            "ON b.account_id = a.account_id AND b.id <> a.id AND b.verified_at IS NOT NULL JOIN lists_membership m "
            "ON m.address_id = b.id AND m.mailing_list_id = %s WHERE a.key = %s AND a.verified_at IS NOT NULL "
            "ORDER BY 3",
            [list_pk, key_of(author), list_pk, key_of(author)],
        )
        return Standing({str(role): str(action) for role, action, _ in cursor.fetchall()})


__all__ = ["MEMBER", "NONMEMBER", "Case", "Standing", "of", "senders", "standing_of"]
