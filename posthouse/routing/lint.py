"""What is wrong with the aliases, of files and of the database: each finding with what it means and what to do."""

from __future__ import annotations

import os
import pwd
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from posthouse import configuration
from posthouse.address import AddressError, parse
from posthouse.directory import alias_files, aliases
from posthouse.directory import alias_syntax as syntax
from posthouse.directory.alias_files import FileTrouble
from posthouse.directory.alias_syntax import Target, targets_of
from posthouse.lists import addresses
from posthouse.routing import places
from posthouse.routing.destination import Refused
from posthouse.routing.inquiry import Inquiry, nobody
from posthouse.routing.lookups.desk import desk
from posthouse.routing.precedence import route


@dataclass(frozen=True, slots=True)
class Finding:
    """`id`: a word for programs; `place`: file and line, or the database; `hint`: what to do about it."""

    id: str
    place: str
    sentence: str
    hint: str


def lint(domain: str = "") -> list[Finding]:
    """Everything that is wrong with the aliases of one domain of ours, or of all. Asks no lookups."""
    found: list[Finding] = []
    folder = configuration.active().routing.aliases
    for name, path in alias_files.domains_with_files(folder):
        if not domain or name == domain.strip().lower():
            found += _of_file(folder, name, path)
    for one in aliases.all_aliases(domain):
        local, _, host = one.address.rpartition("@")
        place = f"database: {one.address}"
        found += _of_entry(local, host, targets_of(", ".join(one.targets)), place)
        found += _hidden(folder, local, host, place)
    return found


def shadowed(address: str) -> str:
    """The list address that an alias of this address would hide, or ""."""
    local, _, domain = address.rpartition("@")
    found = addresses.find(local, domain) if local != syntax.CATCH_ALL else None
    return addresses.of(found.address, found.role) if found else ""


def _of_file(folder: str, domain: str, path: str) -> Iterator[Finding]:
    try:
        file = alias_files.of_domain(folder, domain)
        ours = places.is_ours(domain)
    except FileTrouble as trouble:
        yield Finding("unreadable", path, f"{trouble}, so mail of {domain} waits", "mend the file, or remove it")
        return
    if file is None:
        return
    if not ours:
        hint = f"posthouse domains add {domain}, or [routing] local_domains; or remove the file"
        yield Finding("not-ours", path, f"{domain} is not a domain of ours, so nobody asks this file", hint)
    for complaint in file.complaints:
        hint = "mend the line" + ("; until then mail for the name waits" if complaint.waits else ", or take it out")
        yield Finding("syntax", f"{path}:{complaint.line}", complaint.sentence, hint)
    programs = [entry for entry in file.entries.values() if any(one.kind == syntax.PIPE for one in entry.targets)]
    if programs and file.open_to_all:
        sentence = "anybody on this machine may write this file, so its programs are not run"
        yield Finding("open-file", path, sentence, f"chmod o-w {path}")
    for entry in file.entries.values():
        yield from _of_entry(entry.name, domain, entry.targets, f"{path}:{entry.line}", in_file=True)


def _of_entry(
    name: str, domain: str, targets: Sequence[Target], place: str, in_file: bool = False
) -> Iterator[Finding]:
    address = f"{name}@{domain}"
    hidden = shadowed(address)
    if hidden:
        sentence = f"{address} hides {hidden}: aliases are asked before lists"
        yield Finding("hides-list", place, sentence, "rename the alias, or remove it")
    yield from _loops(address, place)
    for target in targets:
        match target.kind:
            case syntax.ADDRESS:
                yield from _of_target(name, domain, target.text, place)
            case syntax.PIPE:
                yield from _of_program(target.text, place)
            case syntax.INCLUDE:
                yield from _of_include(name, domain, target.text, place)
            case syntax.FAIL if name == "postmaster":
                sentence = "mail for the postmaster must reach a person (RFC 5321 §4.5.1); the superusers get it"
                yield Finding("postmaster-refused", place, sentence, "name an address, or take the entry out")
            case syntax.ERROR if not in_file:
                yield Finding("syntax", place, target.text, "mend it; until then mail for the name waits")


def _loops(address: str, place: str) -> Iterator[Finding]:
    inquiry = Inquiry(nobody)
    route(address, True, inquiry)
    for alias in dict.fromkeys(inquiry.loops):
        if alias == address:
            sentence = f"{alias} leads back to itself; that way is left out"
            yield Finding("loop", place, sentence, "take one of the addresses out of the circle")


def _of_target(name: str, domain: str, target: str, place: str) -> Iterator[Finding]:
    try:
        wanted = parse(target if "@" in target else f"{target}@{domain}")
    except AddressError:
        return
    if str(wanted).lower() == f"{name}@{domain}":
        return
    inquiry = Inquiry(nobody)
    destination = route(str(wanted), True, inquiry)
    if not isinstance(destination, Refused) or (desk() and desk().concerning(wanted.domain)) or inquiry.loops:
        return
    if destination.reply.temporary:
        yield Finding("waits", place, f"{wanted} cannot be resolved: {destination.why}", "mend what it leads to")
    else:
        said = "which names no domain, " if "@" not in target else ""
        sentence = f"{target}, {said}leads nowhere as {wanted}: {destination.why}"
        yield Finding("missing-target", place, sentence, "add what is missing, or take the target out")


def _of_program(command: str, place: str) -> Iterator[Finding]:
    user = configuration.active().pipes.user
    program = shlex.split(command)[0]
    if not user:
        sentence = f"{program} is not run: [pipes] user is not set"
        yield Finding("no-user", place, sentence, "name an unprivileged user in [pipes]")
    else:
        try:
            pwd.getpwnam(user)
        except KeyError:
            sentence = f"[pipes] user names {user}, whom this machine does not know"
            yield Finding("no-user", place, sentence, f"make the user: useradd --system {user}")
    if not os.path.isfile(program) or not os.access(program, os.X_OK):
        yield Finding("no-program", place, f"{program} is not there, or no program", "install it, or take it out")


def _of_include(name: str, domain: str, path: str, place: str) -> Iterator[Finding]:
    try:
        included = alias_files.include(path, configuration.active().routing.includes)
    except FileTrouble as trouble:
        yield Finding("unreachable-include", place, f"{trouble}, so mail for {name}@{domain} waits", "mend the path")
        return
    yield from (finding for finding in _of_entry(name, domain, included, f"{place}, {path}")
                if finding.id not in ("hides-list", "loop"))  # fmt: skip


def _hidden(folder: str, local: str, domain: str, place: str) -> Iterator[Finding]:
    try:
        file = alias_files.of_domain(folder, domain)
    except FileTrouble:
        return
    if file is not None and local in file.entries:
        sentence = f"{local}@{domain} stands in {file.path}:{file.entries[local].line} too, which is asked first"
        yield Finding("hidden", place, sentence, "remove one of them")
