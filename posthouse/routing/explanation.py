"""The way of an address in words, for `posthouse route ADDRESS`."""

from __future__ import annotations

from posthouse.address import AddressError, parse
from posthouse.message.envelope import NULL_RETURN_PATH
from posthouse.routing.destination import (
    Destination,
    Refused,
    ToAddresses,
    ToList,
    ToRelay,
    ToRemote,
    return_path_refusal,
)
from posthouse.routing.precedence import route

_ROLES = {
    "posting": "a message to it is a posting: the list judges it and sends it to its members",
    "owner": "it reaches the owners of the list",
    "bounces": "it takes the reports about copies that could not be delivered",
    "join": "a message to it asks to join the list",
    "leave": "a message to it asks to leave the list",
    "confirm": "a message to it confirms what somebody asked for",
    "request": "it takes commands by mail (help, join, leave, confirm)",
}


def explain(address: str) -> list[str]:
    """Sentences that tell where `address` leads, for anybody and for those who may relay."""
    try:
        wanted = parse(address)
        sentences = [] if str(wanted) == address else [f"{address} is read as {wanted}."]
    except AddressError:
        sentences = []
    stranger = route(address)
    sentences += _sentences(address, stranger)
    trusted = route(address, True)
    if trusted != stranger:
        sentences.append("For relay networks and people who signed in to submission:")
        sentences += _sentences(address, trusted)
    return sentences


def _sentences(address: str, destination: Destination) -> list[str]:
    match destination:
        case ToList(_, list_address, role, detail):
            sentences = [
                f"{address} is the {role} address of the mailing list {list_address}: {_ROLES.get(role, role)}."
            ]
            if detail:
                sentences.append(f"Behind the + it carries {detail!r}.")
            refusal = return_path_refusal(destination, NULL_RETURN_PATH)
            if refusal:
                sentences.append(f"Mail with the null return path is refused at RCPT: {refusal}")
            sentences.append("Courier: mailing_list (in this house).")
            return sentences
        case ToAddresses(people, why):
            return [f"{address} stands for {', '.join(people)}: {why}.", "Courier: expansion (queued again for each)."]
        case ToRelay(domain):
            return [f"{domain} is one of relay_domains: we take mail for it from anybody and pass it on to its MX.",
                    "Courier: remote."]  # fmt: skip
        case ToRemote(domain):
            return [f"{domain} is not ours: mail for it leaves to its MX hosts, or to the smarthost.",
                    "Courier: remote."]  # fmt: skip
        case Refused(reply, why):
            return [f"{address} is {'deferred' if reply.temporary else 'refused'} at RCPT: {reply}", f"Because {why}."]
