"""The places that are asked about an address of ours, one function each: where it leads, or None to go on."""

from __future__ import annotations

import pwd

from posthouse import configuration
from posthouse.address import Address, AddressError, normal_domain, parse
from posthouse.directory import accounts, alias_files, aliases, domains
from posthouse.directory.alias_files import FileTrouble
from posthouse.directory.alias_syntax import CATCH_ALL, ERROR, INCLUDE, PIPE, targets_of
from posthouse.lists import addresses
from posthouse.routing.destination import Destination, Refused, ToAddresses, ToList
from posthouse.routing.domain_sets import DomainSet, domain_set
from posthouse.routing.expanding import PIPE_MARK, Found, Onward, expand, program_of, waits
from posthouse.routing.inquiry import Inquiry
from posthouse.routing.lookups.answer import LookupTrouble
from posthouse.routing.lookups.desk import desk
from posthouse.smtp import catalogue

POSTMASTER = "postmaster"
NOT_POSTED_TO = {"paused": catalogue.LIST_PAUSED, "closed": catalogue.LIST_CLOSED}  # states of a list
# What every domain answers to (RFC 2142 §4 and §5), and what a site of Mailman does; a list or an alias wins.
SITE_CONTACTS = frozenset(("abuse", "hostmaster", "security",
                           "mailman", "mailman-admin", "mailman-owner", "mailman-bounces", "mailman-loop"))  # fmt: skip


def names_of(wanted: Address) -> tuple[str, ...]:
    """What an alias of this address may be called: all before the `@`, then what stands before the `+`."""
    local = wanted.local_part.lower()
    name = local.partition("+")[0]
    return (local, name) if name and name != local else (local,)


def program(wanted: Address, may_relay: bool, inquiry: Inquiry) -> Destination | None:
    """An entry of the queue for one program of an alias; for nobody else, least for strangers."""
    if not (may_relay and wanted.local_part.startswith(PIPE_MARK)):
        return None
    inquiry.tell(wanted, "programs of alias files", "it is the queue's name for one of them")
    return program_of(wanted)


def file_alias(wanted: Address, inquiry: Inquiry, onward: Onward) -> Destination | None:
    """The domain's alias file."""
    return _from_file(wanted, names_of(wanted), inquiry, onward)


def database_alias(wanted: Address, inquiry: Inquiry, onward: Onward) -> Destination | None:
    """The database's aliases of the domain."""
    return _from_database(wanted, names_of(wanted), inquiry, onward)


def postmaster(wanted: Address, inquiry: Inquiry) -> Destination | None:
    """RFC 5321 §4.5.1: mail for the postmaster always reaches a person."""
    if wanted.local_part.lower() != POSTMASTER:
        return None
    return superusers(wanted, inquiry, "the postmaster's mail goes to every superuser")


def looked_up(wanted: Address, inquiry: Inquiry, onward: Onward) -> Destination | None:
    """The lookups in databases of others, in the order of the configuration."""
    known = desk()
    for name in known.concerning(wanted.domain) if known else ():
        inquiry.memorable = False  # a row counts at once
        place = f"lookup {name}"
        try:
            answer = inquiry.ask(name, wanted)
        except LookupTrouble as trouble:
            inquiry.tell(wanted, place, "could not answer")
            return waits(str(trouble))
        if not answer.hit:
            inquiry.tell(wanted, place, f"{answer.server} does not know it" if answer.server else "does not know it")
            continue
        targets = targets_of(known.target(name) or ", ".join(answer.values))
        wrong = next((one for one in targets if one.kind in (ERROR, PIPE, INCLUDE)), None)
        if wrong is not None:
            inquiry.tell(wanted, place, f"{answer.server} says what cannot be: {wrong}")
            return waits(f"{place} gives for {wanted} what is no address: {wrong}")
        found = Found(wanted.local_part.lower(), targets, f"{place} ({answer.server})")
        destination = expand(found, wanted, inquiry, onward)
        if destination is not None:
            return destination
    return None


def mailing_list(wanted: Address, inquiry: Inquiry) -> Destination | None:
    """The lists of the domain, their other names, and the lists of the domain it stands for; with every suffix."""
    found = addresses.find(wanted.local_part, wanted.domain)
    if found is None:
        inquiry.tell(wanted, "mailing lists", "none has this name, with or without a suffix")
        return None
    inquiry.tell(wanted, "mailing lists", f"it is the {found.role} address of {found.address}")
    if found.role == addresses.POSTING and found.state in NOT_POSTED_TO:
        return _not_posted_to(found)
    return ToList(found.list_pk, found.address, found.role, found.detail)


def legacy_list(wanted: Address, inquiry: Inquiry, onward: Onward) -> Destination | None:
    """A legacy domain: a bare name of the file, or one with a suffix of lists, is that address of the target domain."""
    chosen = configuration.active()
    if not chosen.routing.legacy_domains or wanted.domain not in legacy_domains():
        return None
    inquiry.memorable = False
    place = f"legacy lists {chosen.routing.legacy_lists}"
    try:
        known = alias_files.names_in(chosen.routing.legacy_lists)
    except FileTrouble as trouble:
        return waits(str(trouble))
    name = names_of(wanted)[-1]
    base, _, suffix = name.rpartition("-")
    if name not in known and not (base in known and suffix in addresses.SUFFIXES):
        inquiry.tell(wanted, place, "does not name it")
        return None
    target = str(Address(wanted.local_part, _normal(chosen.routing.legacy_target)))
    inquiry.tell(wanted, place, f"names it, so it is {target}")
    if inquiry.leads_back(str(wanted)):
        return Refused(catalogue.ADDRESS_LOOPS, f"{wanted} leads back to itself by way of legacy domains")
    with inquiry.through(str(wanted)):
        destination = onward(target)
    if isinstance(destination, ToList | ToAddresses | Refused):
        return destination
    return ToAddresses((target,), f"{wanted.domain} is a legacy domain of {chosen.routing.legacy_target}")


def site_contact(wanted: Address, inquiry: Inquiry) -> Destination | None:
    """`abuse`, `mailman` and their kind: the people who run the house and its lists."""
    if names_of(wanted)[-1] not in SITE_CONTACTS:
        return None
    return superusers(wanted, inquiry, "the list administrators are the superusers")


def system_user(wanted: Address, inquiry: Inquiry, onward: Onward) -> Destination | None:
    """A user of this machine at the host's own name, where the configuration wants that."""
    target = configuration.active().routing.system_users
    if not target or wanted.domain != our_name():
        return None
    name = names_of(wanted)[-1]
    try:
        pwd.getpwnam(name)
    except (KeyError, ValueError):
        inquiry.tell(wanted, "users of this machine", f"{name} is none")
        return None
    found = Found(name, targets_of(target.replace("%u", name)), "users of this machine")
    return expand(found, wanted, inquiry, onward)


def catch_all(wanted: Address, inquiry: Inquiry, onward: Onward) -> Destination | None:
    """`*` of the domain, in its file, then in the database."""
    return _from_file(wanted, (CATCH_ALL,), inquiry, onward) or _from_database(wanted, (CATCH_ALL,), inquiry, onward)


def superusers(wanted: Address, inquiry: Inquiry, why: str) -> Destination:
    """The people who run this house."""
    # A superuser known only as postmaster of our own domain would get the mail by way of this line, for ever.
    local = {our_name(), *(facts.name for facts in domains.all_domains())}
    people = tuple(
        address
        for address in accounts.superuser_addresses()
        if not (
            address.lower().startswith((f"{POSTMASTER}@", *(f"{name}@" for name in SITE_CONTACTS)))
            and address.rpartition("@")[2].lower() in local
        )
    )
    inquiry.tell(wanted, "superusers", ", ".join(people) or "there is none")
    if people:
        return ToAddresses(people, why)
    return waits("there is no superuser who could get the postmaster's mail; make one with `posthouse accounts create`")


def _from_file(wanted: Address, names: tuple[str, ...], inquiry: Inquiry, onward: Onward) -> Destination | None:
    folder = configuration.active().routing.aliases
    if inquiry.first:
        inquiry.file_stamp = alias_files.stamp(alias_files.path_of(folder, wanted.domain))
    try:
        file = alias_files.of_domain(folder, wanted.domain)
    except FileTrouble as trouble:
        inquiry.tell(wanted, "alias file", str(trouble))
        return waits(str(trouble))
    if file is None:
        if names != (CATCH_ALL,):
            inquiry.tell(wanted, "alias file", f"there is no {alias_files.path_of(folder, wanted.domain)}")
        return None
    for name in names:
        entry = file.entries.get(name)
        if entry is not None:
            found = Found(name, entry.targets, f"{file.path}:{entry.line}", file)
            return _never_refusing(wanted, expand(found, wanted, inquiry, onward))
    inquiry.tell(wanted, f"alias file {file.path}", f"says nothing of {' or '.join(names)}")
    return None


def _from_database(wanted: Address, names: tuple[str, ...], inquiry: Inquiry, onward: Onward) -> Destination | None:
    known = inquiry.database.get(str(wanted))
    if known is None:
        known = inquiry.database[str(wanted)] = aliases.find(wanted.domain, names[0], names[-1])
    for name in names:
        if name in known:
            found = Found(name, known[name], "the database's aliases")
            return _never_refusing(wanted, expand(found, wanted, inquiry, onward))
    inquiry.tell(wanted, "aliases of the database", f"none is called {' or '.join(names)}")
    return None


def _never_refusing(wanted: Address, destination: Destination | None) -> Destination | None:
    """An alias may say where the postmaster's mail goes, but not that it is refused (RFC 5321 §4.5.1)."""
    refused = isinstance(destination, Refused) and destination.reply.permanent
    return None if refused and wanted.local_part.lower() == POSTMASTER else destination


def _not_posted_to(found: addresses.ListAddress) -> Refused:
    """A paused or closed list refuses postings while the author's host still listens; its other addresses work."""
    reply = NOT_POSTED_TO[found.state]
    owner = addresses.of(found.address, addresses.OWNER)
    return Refused(reply.with_text(f"{reply.text}; its owners are at {owner}"), f"{found.address} is {found.state}")


# --- which domains are ours ---------------------------------------------------------------------------------------


def our_name() -> str:
    """This host's own name as a mail domain, or "" when it cannot be one."""
    return _normal(configuration.active().host)


def relay_domains() -> DomainSet:
    """The domains we are a backup MX for."""
    chosen = configuration.active()
    return domain_set(tuple(chosen.names(chosen.reception.relay_domains)))


def legacy_domains() -> DomainSet:
    """The domains where names of lists of another domain are known."""
    chosen = configuration.active()
    return domain_set(tuple(chosen.names(chosen.routing.legacy_domains)))


def local_domains() -> DomainSet:
    """The domains that are ours without being in the database. Raises FileTrouble when their file cannot be read."""
    chosen = configuration.active()
    named = [
        *chosen.names(chosen.routing.local_domains),
        *chosen.names(chosen.routing.legacy_domains),
        our_name() or "localhost",
    ]
    path = chosen.routing.local_domains_file
    return domain_set((*named, *sorted(alias_files.names_in(path)))) if path else domain_set(tuple(named))


def is_ours(domain: str) -> bool:
    """Whether mail for this domain is ours to take or refuse. Raises FileTrouble."""
    return domains.is_ours(domain) or domain in local_domains()


def _normal(name: str) -> str:
    try:
        return normal_domain(name)
    except AddressError:
        return ""


def as_address(text: str) -> Address:
    """The address, `postmaster` alone being that of this host (RFC 5321 §4.1.1.3). Raises AddressError."""
    if text.lower() == POSTMASTER:
        return Address(text, our_name() or "localhost")
    return parse(text)
