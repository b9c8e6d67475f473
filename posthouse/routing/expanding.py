"""One name for others: what all targets of an alias come to, with its loops, its bounds and what is wrong with it.

Nothing is taken that would come back: a target that exists nowhere is left out, an alias of which none is left is
refused at RCPT, and one that cannot be looked up, or is written wrongly, waits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from posthouse import configuration
from posthouse.address import Address, AddressError, parse
from posthouse.directory import alias_files
from posthouse.directory import alias_syntax as syntax
from posthouse.directory.alias_files import AliasFile, FileTrouble
from posthouse.directory.alias_syntax import Target
from posthouse.routing.destination import Destination, Refused, ToAddresses, ToNowhere, ToPipe
from posthouse.routing.inquiry import Inquiry
from posthouse.smtp import catalogue

MOST_ADDRESSES = 1000
INCLUDES_DEEP = 5
PIPE_MARK = "|"  # begins the local part by which the queue remembers a program of an alias
_MOST_NOTES = 5

Onward = Callable[[str], Destination]


@dataclass(frozen=True, slots=True)
class Found:
    """An alias that was found. `name`: by which it was (may be `*`); `place`: where it stands, in words."""

    name: str
    targets: Sequence[Target]
    place: str
    file: AliasFile | None = None


@dataclass(slots=True)
class _Gathered:
    """What the targets looked at so far come to."""

    addresses: dict[str, str] = field(default_factory=dict)  # by key
    programs: list[ToPipe] = field(default_factory=list)
    dropped: bool = False
    refused: Refused | None = None
    waits: Refused | None = None
    notes: list[str] = field(default_factory=list)


def waits(why: str) -> Refused:
    """The answer to what cannot be decided now; `why` is for the maillog."""
    return Refused(catalogue.TEMPORARILY_UNAVAILABLE, why)


def expand(found: Found, wanted: Address, inquiry: Inquiry, onward: Onward) -> Destination | None:
    """Where an alias leads; None when it leads to itself alone: then it stands in nobody's way."""
    alias = f"{found.name}@{wanted.domain}"
    shown = ", ".join(str(one) for one in found.targets[:10])
    inquiry.tell(wanted, found.place, f"{found.name} leads to {shown}" if found.targets else "is empty")
    own = {wanted.local_part.lower(), str(wanted).lower()}
    if all(one.kind == syntax.ADDRESS and one.text.lower() in own for one in found.targets) and found.targets:
        return None
    if inquiry.leads_back(alias):
        return Refused(catalogue.ADDRESS_LOOPS, f"{alias} leads back to itself ({found.place})")
    if inquiry.too_deep:
        return waits(f"{alias} leads to more aliases than anybody can mean ({found.place})")
    gathered = _Gathered()
    with inquiry.through(alias):
        _take_all(found, found.targets, wanted, onward, gathered, 0)
    return _outcome(found, alias, gathered)


def pipe_address(alias: Address, command: str) -> str:
    """The address by which the queue remembers one program of an alias: gone from the file, it is unknown."""
    digest = hashlib.sha256(command.encode()).hexdigest()[:12]
    return str(Address(f"{PIPE_MARK}{alias.local_part}:{digest}", alias.domain))


def program_of(wanted: Address) -> Destination:
    """The program that `pipe_address` stands for, as the file names it now."""
    rest, _, digest = wanted.local_part.removeprefix(PIPE_MARK).rpartition(":")
    name, _, detail = rest.partition("+")
    alias = Address(rest, wanted.domain)
    settings = configuration.active().routing
    try:
        file = alias_files.of_domain(settings.aliases, wanted.domain)
        names = (rest.lower(), name.lower(), syntax.CATCH_ALL)
        entry = next((file.entries[one] for one in names if one in file.entries), None) if file else None
        targets = _with_includes(entry.targets) if entry else []
    except FileTrouble as trouble:
        return waits(str(trouble))
    if entry is not None and file is not None:
        for one in targets:
            if one.kind == syntax.PIPE and pipe_address(alias, one.text) == str(wanted):
                if file.open_to_all:
                    return _open_file(file)
                return ToPipe(one.text, str(alias), detail, f"{entry.name} in {file.path} names it")
    return Refused(catalogue.NO_SUCH_MAILBOX, f"the program of {alias} ({digest}) is in no alias file any more")


def _take_all(
    found: Found, targets: Sequence[Target], wanted: Address, onward: Onward, gathered: _Gathered, deep: int
) -> None:
    for target in targets:
        if len(gathered.addresses) > MOST_ADDRESSES:
            gathered.waits = waits(f"{wanted} stands for more than {MOST_ADDRESSES} addresses")
        if gathered.waits is not None:
            return
        match target.kind:
            case syntax.ADDRESS:
                _take_address(found, _completed(found, target.text, wanted), onward, gathered)
            case syntax.PIPE:
                _take_program(found, target.text, wanted, gathered)
            case syntax.INCLUDE:
                _take_included(found, target.text, wanted, onward, gathered, deep)
            case syntax.BLACKHOLE:
                gathered.dropped = True
            case syntax.FAIL:
                reply = catalogue.ALIAS_FAILS.with_text(target.text or catalogue.ALIAS_FAILS.text)
                gathered.refused = gathered.refused or Refused(reply, f"{found.place} says :fail:")
            case syntax.DEFER:
                reply = catalogue.ALIAS_DEFERS.with_text(target.text or catalogue.ALIAS_DEFERS.text)
                gathered.waits = Refused(reply, f"{found.place} says :defer:")
            case _:
                gathered.waits = waits(f"{found.place}: {found.name}: {target.text}")


def _take_address(found: Found, target: str, onward: Onward, gathered: _Gathered) -> None:
    destination = onward(target)
    match destination:
        case ToAddresses(addresses):
            for address in addresses:
                gathered.addresses.setdefault(address.lower(), address)
        case ToPipe():
            gathered.programs.append(destination)
        case ToNowhere():
            gathered.dropped = True
        case Refused(reply, why) if reply.temporary:
            gathered.waits = destination
        case Refused(reply, why):
            gathered.refused = gathered.refused or destination
            gathered.notes.append(f"{target} left out, since {why}")
        case _:
            gathered.addresses.setdefault(target.lower(), target)


def _take_program(found: Found, command: str, wanted: Address, gathered: _Gathered) -> None:
    if found.file is None:
        gathered.waits = waits(f"{found.place}: programs stand in alias files alone")
    elif found.file.open_to_all:
        gathered.waits = _open_file(found.file)
    else:
        detail = wanted.local_part.partition("+")[2]
        why = f"{found.name} in {found.place} names it"
        gathered.programs.append(ToPipe(command, str(wanted), detail, why))


def _take_included(found: Found, path: str, wanted: Address, onward: Onward, gathered: _Gathered, deep: int) -> None:
    if found.file is None or deep >= INCLUDES_DEEP:
        gathered.waits = waits(f"{found.place}: :include:{path} stands where none may, or too deep")
        return
    try:
        targets = alias_files.include(path, configuration.active().routing.includes)
    except FileTrouble as trouble:
        gathered.waits = waits(f"{found.place}: {trouble}")
        return
    _take_all(found, targets, wanted, onward, gathered, deep + 1)


def _completed(found: Found, target: str, wanted: Address) -> str:
    """The target with the domain at hand where it names none, and with the detail where it stays in that domain."""
    try:
        parsed = parse(target if "@" in target else f"{target}@{wanted.domain}")
    except AddressError:
        return target
    detail = wanted.local_part.partition("+")[2]
    kept = found.name != "*" and found.name == wanted.local_part.lower().partition("+")[0]
    if detail and kept and parsed.domain == wanted.domain and "+" not in parsed.local_part:
        parsed = Address(f"{parsed.local_part}+{detail}", parsed.domain)
    return str(parsed)


def _outcome(found: Found, alias: str, gathered: _Gathered) -> Destination:
    notes = "".join(f"; {note}" for note in gathered.notes[:_MOST_NOTES])
    why = f"{alias} is an alias in {found.place}{notes}"
    if gathered.waits is not None:
        return gathered.waits
    if gathered.addresses or len(gathered.programs) > 1:
        programs = [pipe_address(parse(one.alias), one.command) for one in gathered.programs]
        return ToAddresses((*gathered.addresses.values(), *dict.fromkeys(programs)), why)
    if gathered.programs:
        return gathered.programs[0]
    if gathered.dropped:
        return ToNowhere(f"{alias} in {found.place} wants what comes to it dropped")
    if gathered.refused is not None:
        return Refused(gathered.refused.reply, f"{why}; {gathered.refused.why}" if not notes else why)
    return Refused(catalogue.NO_SUCH_MAILBOX, f"{alias} in {found.place} leads to nobody")


def _with_includes(targets: Sequence[Target], deep: int = 0) -> list[Target]:
    every: list[Target] = []
    for one in targets:
        if one.kind == syntax.INCLUDE and deep < INCLUDES_DEEP:
            every += _with_includes(alias_files.include(one.text, configuration.active().routing.includes), deep + 1)
        else:
            every.append(one)
    return every


def _open_file(file: AliasFile) -> Refused:
    return waits(f"{file.path} may be written by anybody on this machine, so its programs are not run; chmod o-w it")
