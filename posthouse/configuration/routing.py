"""Where addresses of our domains lead: alias files, legacy domains, users of this machine, and what runs pipes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from posthouse.address import AddressError, normal_domain, parse
from posthouse.configuration.declaring import MIB, setting


@dataclass(frozen=True)
class Routing:
    """Where addresses of our domains lead. Files named here are read again when they change, at the next lookup."""

    aliases: str = setting(
        "aliases",
        "Folder of alias files, each named after its domain; beside this file by itself. "
        "A domain without a file has no aliases there.",
        "path",
    )
    includes: str = setting(".", "Folder below which `:include:` may read; the folder of this file by itself.", "path")
    local_domains: list[str] = setting(
        [], "Domains that are ours, beside those of `posthouse domains`; `.domain` means all names below it.", "domains"
    )
    local_domains_file: str = setting("", "A file of more of them, one in a line. Empty: none.", "path")
    legacy_domains: list[str] = setting(
        [],
        "Domains (ours, too) where the names of `legacy_lists`, with every suffix, lead to `legacy_target`.",
        "domains",
    )
    legacy_lists: str = setting("", "A file of bare list names, one in a line, for all legacy domains.", "path")
    legacy_target: str = setting("", "The domain whose lists they are, here or elsewhere.")
    system_users: str = setting(
        "",
        "Where mail for a user of this machine at the host's own name goes when no alias says: an address, "
        "`postmaster`, or `%u@domain` (%u: the user). Empty: it is refused.",
    )


@dataclass(frozen=True)
class Pipes:
    """Programs that alias files hand mail to (`|command`). Each runs as `user`, without a shell, within bounds."""

    user: str = setting("", "The user that programs run as; never root. Empty: no program runs, its mail waits.")
    group: str = setting("", "Its group. Empty: the user's own.")
    become: list[str] = setting(
        [],
        "Words before the command, for a house that runs as another user and may not become `user`: "
        '["/usr/bin/sudo", "-n", "-u", "mailpipe", "--"].',
    )
    folder: str = setting("", "Where programs begin. Empty: the user's home, else /.", "path")
    seconds: float = setting(300.0, "Seconds a program may take; then it is killed and the mail waits.")
    memory: int = setting(512 * MIB, "Bytes of address space of each process.")
    output: int = setting(65536, "Bytes a program may say on standard output and error; then it is killed.")
    processes: int = setting(32, "Processes a program may begin.")
    at_once: int = setting(4, "Programs that run at the same time.")


def is_missing(path: str) -> bool:
    """Whether there is no such file. One in a folder that this user may not look into is for others to find."""
    try:
        return not Path(path).is_file()
    except PermissionError:
        return False


def misrouted(routing: Routing, pipes: Pipes) -> Iterator[tuple[tuple[str, ...], str]]:
    """(keys of the setting, rule it breaks) for what could never lead anywhere."""
    for name in ("legacy_lists", "legacy_target"):
        if routing.legacy_domains and not getattr(routing, name):
            yield ("routing", "legacy_domains"), f"needs {name}"
    for name in ("local_domains_file", "legacy_lists"):
        path = getattr(routing, name)
        if path and is_missing(path):
            yield ("routing", name), f"names a file that does not exist: {path}"
    try:
        if routing.legacy_target:
            normal_domain(routing.legacy_target)
    except AddressError as error:
        yield ("routing", "legacy_target"), f"must be a domain: {error.rule}"
    try:
        target = routing.system_users.replace("%u", "user")
        if target:
            parse(target if "@" in target else f"{target}@example.org")
    except AddressError as error:
        yield ("routing", "system_users"), f"must be an address: {error.rule}"
    if pipes.user == "root":
        yield ("pipes", "user"), "must not be root"
    if pipes.seconds <= 0:
        yield ("pipes", "seconds"), "must be more than 0"
    if pipes.become and not pipes.become[0].startswith("/"):
        yield ("pipes", "become"), "must begin with the whole path of a program"
