"""The way of an address in words, for `posthouse route ADDRESS`: every place that was asked, and what it answered."""

from __future__ import annotations

from dataclasses import dataclass

from posthouse import configuration
from posthouse.address import AddressError, parse
from posthouse.configuration.leaving import next_hop_of
from posthouse.message.envelope import NULL_RETURN_PATH
from posthouse.routing.destination import (
    Destination,
    Refused,
    ToAddresses,
    ToList,
    ToNowhere,
    ToPipe,
    ToRelay,
    ToRemote,
    return_path_refusal,
)
from posthouse.routing.inquiry import Inquiry, Step
from posthouse.routing.lookups.desk import desk
from posthouse.routing.precedence import route

STRANGERS, TRUSTED = "strangers", "relay networks and people who signed in to submission"
_ROLES = {
    "posting": "a message to it is a posting: the list judges it and sends it to its members",
    "owner": "it reaches the owners of the list",
    "bounces": "it takes the reports about copies that could not be delivered",
    "join": "a message to it asks to join the list",
    "leave": "a message to it asks to leave the list",
    "confirm": "a message to it confirms what somebody asked for",
    "request": "it takes commands by mail (help, join, leave, confirm)",
}
COURIERS: dict[type, str] = {
    ToList: "mailing_list",
    ToAddresses: "expansion",
    ToPipe: "pipe",
    ToNowhere: "nobody",
    ToRemote: "remote",
    ToRelay: "remote",
    Refused: "none",
}


@dataclass(frozen=True, slots=True)
class Way:
    """What one kind of client is told. `kind`: list, addresses, pipe, nowhere, remote, relay, refused or deferred."""

    client: str
    kind: str
    decided_by: str
    courier: str
    reply: str
    leads_to: tuple[str, ...]
    asked: tuple[Step, ...]
    sentences: tuple[str, ...]


def explain(address: str, return_path: str | None = None, may_relay: bool | None = None) -> list[str]:
    """Sentences that tell where `address` leads; see `ways`."""
    try:
        wanted = parse(address)
        sentences = [] if str(wanted) == address else [f"{address} is read as {wanted}."]
    except AddressError:
        sentences = []
    for number, way in enumerate(ways(address, return_path, may_relay)):
        if number:
            sentences.append(f"For {way.client}:")
        sentences += way.sentences
    return sentences


def ways(address: str, return_path: str | None = None, may_relay: bool | None = None) -> list[Way]:
    """Where `address` leads for strangers, and for those who may relay where that differs; or for one of them.

    Asks what a recipient of a message would be asked, lookups included; changes nothing. `return_path`: the envelope
    sender that shall be judged, too ("" is the null one; None: the null one where it would be refused).
    """
    if may_relay is not None:
        return [_way(address, return_path, may_relay)]
    stranger, trusted = _way(address, return_path, False), _way(address, return_path, True)
    same = (stranger.kind, stranger.leads_to, stranger.reply) == (trusted.kind, trusted.leads_to, trusted.reply)
    return [stranger] if same else [stranger, trusted]


def _way(address: str, return_path: str | None, may_relay: bool) -> Way:
    steps: list[Step] = []
    destination = route(address, may_relay, Inquiry(desk().ask_here, steps))
    asked = [f"Asked {one.place}{_about(one, address)}: {one.answer}." for one in steps]
    refusal = return_path_refusal(destination, NULL_RETURN_PATH if return_path is None else return_path)
    kind, leads_to, reply = _facts(destination)
    sentences = _sentences(address, destination)
    if refusal is not None:
        who = f"from {return_path}" if return_path else "with the null return path"
        sentences.append(f"Mail {who} is refused at RCPT: {refusal}")
        if return_path is not None:
            kind, reply = "refused", str(refusal)
    elif return_path is not None and not isinstance(destination, Refused):
        sentences.append(f"The return path {return_path or '<>'} is no reason to refuse it there.")
    courier = COURIERS[type(destination)]
    sentences.append(f"Courier: {courier}{_COURIERS[courier]}.")
    return Way(
        TRUSTED if may_relay else STRANGERS, kind, steps[-1].place if steps else "the address itself", courier, reply,
        leads_to, tuple(steps), (*asked, *sentences),
    )  # fmt: skip


_COURIERS = {
    "mailing_list": " (in this house)",
    "expansion": " (queued again for each)",
    "pipe": " (a program, as the user of [pipes])",
    "nobody": " (it is dropped)",
    "remote": " (SMTP)",
    "none": ", since nothing is taken",
}


def _about(step: Step, address: str) -> str:
    return "" if step.address.lower() == address.lower() else f" about {step.address}"


def _hop(domain: str) -> str:
    """Where the remote courier takes mail for a domain that is not ours."""
    chosen = configuration.active()
    found = next_hop_of(domain, chosen.next_hops)
    if found is not None and found[1].hosts:
        return (
            f'Next hop: {", ".join(found[1].hosts)}{" by LMTP" if found[1].lmtp else ""}, by [next_hops."{found[0]}"].'
        )
    if chosen.delivery.smarthost:
        return f"Next hop: the smarthost {chosen.delivery.smarthost}."
    return f"Next hop: the MX hosts of {domain}."


def _facts(destination: Destination) -> tuple[str, tuple[str, ...], str]:
    """(kind, what it leads to, reply)."""
    match destination:
        case ToList(_, list_address, role):
            return "list", (list_address, role), ""
        case ToAddresses(addresses):
            return "addresses", addresses, ""
        case ToPipe(command):
            return "pipe", (command,), ""
        case ToNowhere():
            return "nowhere", (), ""
        case ToRelay(domain):
            return "relay", (domain,), ""
        case ToRemote(domain):
            return "remote", (domain,), ""
        case Refused(reply):
            return "deferred" if reply.temporary else "refused", (), str(reply)


def _sentences(address: str, destination: Destination) -> list[str]:
    match destination:
        case ToList(_, list_address, role, detail):
            said = f"{address} is the {role} address of the mailing list {list_address}: {_ROLES.get(role, role)}."
            return [said, f"Behind the + it carries {detail!r}."] if detail else [said]
        case ToAddresses(people, why):
            return [f"{address} stands for {', '.join(people)}: {why}."]
        case ToPipe(command, _, _, why):
            return [f"{address} is handed to the program {command}: {why}."]
        case ToNowhere(why):
            return [f"{address} is taken and dropped: {why}."]
        case ToRelay(domain):
            return [f"{domain} is one of relay_domains: we take mail for it from anybody and pass it on.", _hop(domain)]
        case ToRemote(domain):
            return [f"{domain} is not ours: mail for it leaves.", _hop(domain)]
        case Refused(reply, why):
            return [f"{address} is {'deferred' if reply.temporary else 'refused'} at RCPT: {reply}", f"Because {why}."]
