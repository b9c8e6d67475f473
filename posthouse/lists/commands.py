"""Commands by mail as words: found in the subject, in the text, behind quote marks, in HTML; what each looks like."""

from __future__ import annotations

import re
from dataclasses import dataclass

from posthouse.lists import tokens
from posthouse.lists.addresses import CONFIRM, JOIN, LEAVE
from posthouse.lists.arrived import Arrived
from posthouse.message.parsing import read

MOST_READ = 128 * 1024  # octets of a message to -request that are read
MOST_LINES = 10  # of its text, as Mailman reads
MOST_COMMANDS = 5
LONGEST_REASON = 4000

HELP, END, INFO, LISTS, WHO, OPTIONS, SET = "help", "end", "info", "lists", "who", "options", "set"
APPROVE, REJECT, DISCARD, MEMBERS, ADD, REMOVE = "approve", "reject", "discard", "members", "add", "remove"
OF_STAFF = frozenset({APPROVE, REJECT, DISCARD, MEMBERS, ADD, REMOVE})
CONFIRMED_FIRST = frozenset({SET, APPROVE, REJECT, DISCARD, ADD, REMOVE})  # a From field alone is never enough

MISUSED = "misused"  # `set` with a value that its setting does not know
ASKED_FOR = "asked for"  # help that somebody wanted, not what an odd message gets

_REPLY_MARK = re.compile(r"(?:\s*(?:re|aw|sv|antw|vs|fwd?|wg)\s*:)+\s*", re.IGNORECASE)
_QUOTE = re.compile(r"[>|\s]*")
_TOKEN_IN = re.compile(r"\bconfirm[\s:+]+([a-z2-7]{26})\b", re.IGNORECASE)
_WORDS = {
    "join": JOIN, "subscribe": JOIN,
    "leave": LEAVE, "unsubscribe": LEAVE, "signoff": LEAVE,
    "help": HELP, "info": INFO, "lists": LISTS, "who": WHO, "options": OPTIONS,
    "set": SET,
    "approve": APPROVE, "release": APPROVE, "accept": APPROVE,
    "reject": REJECT, "discard": DISCARD,
    "members": MEMBERS, "add": ADD, "remove": REMOVE,
    "end": END, "stop": END, "--": END,
}  # fmt: skip
_NUMBER = re.compile(r"(request\s+)?#?(\d{1,18})\b\s*(.*)", re.IGNORECASE | re.DOTALL)
_OPTION = re.compile(r"(digest|address)=(\S+)", re.IGNORECASE)
_DIGESTS = {"no": "regular", "off": "regular", "mime": "mime_digests", "plain": "plaintext_digests"}

# What `set` knows: Mailman 2's words and the names of preferences; each with what its values mean.
_SWITCH = {"on": True, "yes": True, "off": False, "no": False}
SETTABLE: dict[str, tuple[str, dict[str, str | bool] | None]] = {
    "delivery": ("delivery_status", {"on": "enabled", "yes": "enabled", "off": "by_user", "no": "by_user"}),
    "digest": (
        "delivery_mode",
        {**_DIGESTS, "summary": "summary_digests"},
    ),
    "myposts": ("receive_own_postings", dict(_SWITCH)),
    "duplicates": ("receive_list_copy", dict(_SWITCH)),
    "ack": ("acknowledge_posts", dict(_SWITCH)),
    "hide": ("hide_address", dict(_SWITCH)),
    "language": ("preferred_language", None),
}
UNTIL = re.compile(r"until (\d{4}-\d\d-\d\d)")  # what `set delivery` knows besides: a vacation with its end
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})?")


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its act and what follows it, as words that are safe to repeat."""

    act: str
    rest: str = ""

    def __str__(self) -> str:
        return f"{self.act} {self.rest}".strip()


def commands_in(arrived: Arrived, role: str, detail: str) -> list[Command]:
    """What a message to one of the command addresses asks for; help when it asks for nothing that is known."""
    if role in (JOIN, LEAVE):
        return [Command(role)]
    if role == CONFIRM:
        token = tokens.confirmation_in(detail) or _token_in(arrived.subject)
        return [Command(CONFIRM, token)] if token else _in_text(arrived) or [Command(CONFIRM)]
    return _in_subject(arrived) or _in_text(arrived) or [Command(HELP)]


def _token_in(text: str) -> str:
    found = _TOKEN_IN.search(text)
    return found[1].lower() if found else ""


def _in_subject(arrived: Arrived) -> list[Command]:
    subject = _REPLY_MARK.sub("", arrived.subject, count=1).strip()
    command = parsed(subject)
    if command is None or command.act == END:
        return []
    if command.act == REJECT and len(command.rest.split()) <= 2:  # the text is the reason
        reason = "\n".join(line for line in _text(arrived).splitlines() if not line.startswith(">")).strip()
        command = Command(REJECT, f"{command.rest} {reason[:LONGEST_REASON]}".strip())
    return [command]


def _in_text(arrived: Arrived) -> list[Command]:
    """Commands in the first lines of the text; quoted ones count, since replies quote what they confirm."""
    lines = [line for line in (_QUOTE.sub("", line, count=1).strip() for line in _text(arrived).splitlines()) if line]
    found: list[Command] = []
    for line in lines[:MOST_LINES]:
        command = parsed(line)
        if command is None:
            continue
        if command.act == END or len(found) >= MOST_COMMANDS:
            break
        if command not in found:
            found.append(command)
    return found


def _text(arrived: Arrived) -> str:
    return read(arrived.beginning(MOST_READ)).text


def parsed(line: str) -> Command | None:
    """The command that a line is, or None: a sentence that merely begins with "join" or "add" is none."""
    token = _token_in(line)
    if token:
        return Command(CONFIRM, token)
    first, _, rest = line.strip().partition(" ")
    act = _WORDS.get(first.lower().strip(".!,"))
    rest = rest.strip()
    if act is None:
        return None
    if act in (APPROVE, REJECT, DISCARD):
        return _numbered(act, rest)
    if act in (ADD, REMOVE):
        word = rest.split(" ")[0].strip("<>") if len(rest.split()) <= 1 else rest
        if act == REMOVE and not rest:  # as `leave`, as it always was
            return Command(LEAVE)
        return Command(act, word[:500]) if "@" in word and len(rest.split()) <= 8 else None
    if act == SET:
        return _setting(rest)
    if act in (JOIN, LEAVE):
        options = _OPTION.findall(rest)
        plain = _OPTION.sub("", rest).split()
        return Command(act, " ".join(f"{name.lower()}={value}" for name, value in options)) if len(plain) < 4 else None
    return Command(act, ASKED_FOR if act == HELP else "") if len(rest.split()) < 4 else None


def _numbered(act: str, rest: str) -> Command | None:
    found = _NUMBER.match(rest)
    if not found or (act != REJECT and found[3].strip()):
        return None
    return Command(act, f"{'request ' if found[1] else ''}{int(found[2])} {found[3].strip()[:LONGEST_REASON]}".strip())


def _setting(rest: str) -> Command | None:
    name, _, value = rest.lower().replace("=", " ").partition(" ")
    value = value.strip()
    if not name or (name, value) == ("show", ""):  # as Mailman 2 understood it
        return Command(OPTIONS)
    if name not in SETTABLE:
        return None
    values = SETTABLE[name][1]
    known = value in values if values is not None else _LANGUAGE.fullmatch(value) is not None
    known = known or (name == "delivery" and UNTIL.fullmatch(value) is not None)
    if not known:
        return Command(MISUSED, name) if len(value.split()) <= 2 else None
    return Command(SET, f"{name} {value}")


def values_of(name: str) -> str:
    """What `set` takes behind this name, as words."""
    values = SETTABLE[name][1]
    taken = list(values) if values is not None else ["fr", "en"]
    if name == "delivery":
        taken.append("until 2030-08-31")
    return ", ".join(taken)


def options_of(rest: str) -> tuple[str, dict[str, str | bool]]:
    """(address=, preferences) of what follows join or leave."""
    address, preferences = "", {}
    for name, value in _OPTION.findall(rest):
        if name.lower() == "address":
            address = value
        elif value.lower() in _DIGESTS and value.lower() not in ("no", "off"):
            preferences["delivery_mode"] = _DIGESTS[value.lower()]
    return address, dict(preferences)


def setting_of(rest: str) -> tuple[str, str | bool]:
    """(preference, value) of what follows set, which `parsed` has looked at."""
    name, _, value = rest.partition(" ")
    preference, values = SETTABLE[name]
    return preference, value if values is None else values[value]
