"""Every address that can be named beforehand, for mail servers in front that want files instead of asking."""

from __future__ import annotations

from dataclasses import dataclass

from posthouse import configuration
from posthouse.directory import alias_files, aliases, domains
from posthouse.lists import addresses
from posthouse.routing import places
from posthouse.routing.destination import Refused
from posthouse.routing.precedence import route

_EVERYWHERE = ("postmaster", "abuse", "mailman", "mailman-admin", "mailman-loop", "mailman-owner")
_CATCH_ALL = "*"


@dataclass(frozen=True, slots=True)
class AllAddresses:
    """`addresses`: without what may stand behind a `+`; `catch_all`: domains in which every address is taken."""

    domains: tuple[str, ...]
    addresses: tuple[str, ...]
    catch_all: tuple[str, ...]


def all_addresses() -> AllAddresses:
    """What we take mail for: our domains, the addresses of lists, aliases. What a lookup elsewhere would say, and which
    domains are below a `.domain` of the settings, is not known beforehand. Raises alias_files.FileTrouble."""
    known = {one.name for one in domains.all_domains()}
    # Our own name is left out: the server in front has it too, and must not hand its own users' mail to us.
    names = sorted(known | (places.local_domains().names - {places.our_name() or "localhost"}))
    found: set[str] = set()
    catch_all: set[str] = set()
    suffixes = ["", *(f"-{suffix}" for suffix in addresses.SUFFIXES)]
    for name, host in addresses.all_names():
        found.update(f"{name}{suffix}@{host}" for suffix in suffixes)
    routing = configuration.active().routing
    folder, legacy = routing.aliases, places.legacy_domains().names
    for name in alias_files.names_in(routing.legacy_lists) if legacy else ():
        wanted = (f"{name}{suffix}@{host}" for suffix in suffixes for host in legacy)
        found.update(one for one in wanted if not _is_refused(one))
    local_parts = [tuple(one.address.rsplit("@", 1)) for one in aliases.all_aliases()]
    for host in names:
        file = alias_files.of_domain(folder, host)
        local_parts += [(local_part, host) for local_part in (file.entries if file is not None else ())]
        for word in _EVERYWHERE:
            if not _is_refused(f"{word}@{host}"):
                found.add(f"{word}@{host}")
    for local_part, host in local_parts:
        if local_part == _CATCH_ALL:
            catch_all.add(host)
        else:
            found.add(f"{local_part.lower()}@{host}")
    return AllAddresses(tuple(names), tuple(sorted(found)), tuple(sorted(catch_all)))


def _is_refused(address: str) -> bool:
    destination = route(address)
    return isinstance(destination, Refused) and destination.reply.permanent
