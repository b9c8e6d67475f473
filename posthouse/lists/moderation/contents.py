"""Rules about what a posting says and to whom: each that finds something adds its reason, and then it is held."""

from __future__ import annotations

import re

from posthouse.address import key_of
from posthouse.lists import digest_words
from posthouse.lists.addresses import names_of
from posthouse.lists.moderation.case import Case
from posthouse.lists.moderation.verdict import HOLD, Verdict
from posthouse.lists.settings import items
from posthouse.message.rewrite import addressed_to
from posthouse.message.words import decode_words

_MOST_LINES = 10  # of the text in which commands are looked for, as Mailman does
_LONGEST_COMMAND = 120
# Words that ask the list manager for something, with how many words may follow for it to be a command.
_COMMANDS: dict[str, range] = {
    "confirm": range(1, 2), "echo": range(1, 4), "help": range(1), "info": range(1), "join": range(4),
    "leave": range(2), "lists": range(1), "options": range(1), "password": range(1, 4), "remove": range(2),
    "set": range(2, 4), "subscribe": range(4), "unsubscribe": range(3), "who": range(2),
}  # fmt: skip
_DIGEST = re.compile(r"\bDigest, Vol(?:ume)?\.? \d{1,6}, Issue \d{1,6}\b", re.IGNORECASE)
_MASTHEAD = re.compile(r"^[>|\s]{0,20}Send .{1,100} mailing list submissions to", re.IGNORECASE | re.MULTILINE)
_MOST_FIELDS = 50


def administrivia(case: Case) -> Verdict | None:
    """It is a command for the list manager, sent to everybody by mistake."""
    if not case.mailing_list.administrivia:
        return None
    lines = [line for line in (line.strip() for line in case.text[:20_000].splitlines()) if line][:_MOST_LINES]
    for line in (case.arrived.subject, *lines):
        if _is_command(line):
            return _hold("administrivia", "It looks like a command for the list manager, not like a posting.", line)
    return None


def _is_command(line: str) -> bool:
    if len(line) > _LONGEST_COMMAND:
        return False
    words = line.lower().split()
    counts = _COMMANDS.get(words[0]) if words else None
    return counts is not None and len(words) - 1 in counts


def implicit_destination(case: Case) -> Verdict | None:
    """It does not name the list as one of those it is for."""
    row = case.mailing_list
    if not row.require_explicit_destination or case.is_from_news:
        return None
    named = addressed_to(case.arrived.fields, ("to", "cc", "resent-to", "resent-cc"), _MOST_FIELDS)
    if key_of(row.address) in named or _is_alias(case, named):
        return None
    if not named.isdisjoint(names_of(row.pk)):  # its old names, other addresses, and those in legacy domains
        return None
    return _hold("implicit-destination", "The list's address is neither in its To nor in its Cc.")


def _is_alias(case: Case, named: set[str]) -> bool:
    for alias in items(case.mailing_list.acceptable_aliases):
        if alias.startswith("^"):
            if any(case.patience.finds(alias, key) for key in named):
                return True
        elif alias in named or ("@" not in alias and any(key.rpartition("@")[0] == alias for key in named)):
            return True
    return False


def news_moderation(case: Case) -> Verdict | None:
    """The newsgroup it goes to too is moderated, so a moderator sees every posting by mail."""
    row = case.mailing_list
    if row.newsgroup_moderation != "moderated" or not row.gateway_to_news or not row.linked_newsgroup:
        return None
    if case.is_from_news:
        return None
    return _hold("news-moderation", f"It goes to the moderated newsgroup {row.linked_newsgroup} too.")


def many_recipients(case: Case) -> Verdict | None:
    """It names too many people."""
    most = case.mailing_list.max_num_recipients
    if not most:
        return None
    number = len(addressed_to(case.arrived.fields, most=_MOST_FIELDS))
    if number < most:
        return None
    return _hold("max-recipients", f"It names {number} recipients; from {most} on a moderator has a look.")


def size(case: Case) -> Verdict | None:
    """It is larger than the list wants."""
    most = case.mailing_list.max_message_size
    if not most or case.arrived.size <= most * 1024:
        return None
    shown = -(-case.arrived.size // 1024)
    return _hold("size", f"It has {shown} KB; the list takes up to {most} KB without a look at it.")


def no_subject(case: Case) -> Verdict | None:
    """It has no subject."""
    return None if case.arrived.subject else _hold("no-subject", "It has no subject.")


def digest(case: Case) -> Verdict | None:
    """It answers a whole digest: its subject says nothing, or it quotes everything."""
    if not case.mailing_list.hold_digest:
        return None
    title, quoted = digest_words.titles(case.mailing_list)
    if _DIGEST.search(case.arrived.subject) or title.search(case.arrived.subject):
        return _hold("digests", "Its subject is that of a digest; please give it one of its own.")
    text = case.text[:200_000]
    if _MASTHEAD.search(text) or quoted.search(text):
        return _hold("digests", "It quotes a whole digest; please quote only what it answers.")
    return None


def suspicious_header(case: Case) -> Verdict | None:
    """One of its fields matches what the owners find suspicious."""
    for item in items(case.mailing_list.bounce_matching_headers):
        name, _, pattern = item.partition(": ")
        for value in case.arrived.fields.all(name)[:_MOST_FIELDS]:
            if case.patience.finds(pattern, decode_words(value)):
                return _hold("suspicious-header", "One of its header fields is suspicious.", item)
    return None


def gave_up(case: Case) -> Verdict | None:
    """An expression of the list could not be searched in time: then nobody knows, and a person looks."""
    if not case.patience.given_up:
        return None
    return _hold("expression", "An expression of the list took too long on it.", case.patience.given_up[0])


def _hold(rule: str, reason: str, found: str = "") -> Verdict:
    return Verdict(HOLD, rule, reason, (f"{rule}: {found}",) if found else ())


__all__ = [
    "administrivia", "digest", "gave_up", "implicit_destination", "many_recipients", "news_moderation", "no_subject",
    "size", "suspicious_header",
]  # fmt: skip
