"""What an operator sees and does: who waits, who was let in; let somebody in, or make him a stranger again."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from posthouse import database, wake
from posthouse.address import AddressError, normal_domain
from posthouse.encounters.errors import EncounterError
from posthouse.encounters.greylisting import PROVEN, Trait, Welcome, welcome_many
from posthouse.encounters.keys import network_of
from posthouse.encounters.sweeping import remove

MOST_SHOWN = 10_000


@dataclass(frozen=True, slots=True)
class Remembered:
    """A row of the greylist; times in ms. `state`: waiting, passed, or counted (a network on its way to be let in)."""

    state: str
    origin: str
    sender: str
    recipient: str
    first_try: int
    last_try: int
    tries: int
    until: int


def listing(now: int, state: str = "", origin: str = "", limit: int = 100) -> list[Remembered]:
    """Who is remembered, the latest first; only those in a `state`, or from an `origin` (a client, network, domain)."""
    conditions = ["until > %s"]
    parameters: list[object] = [now]
    if state:
        conditions.append({"passed": "passed_at > 0", "waiting": "passed_at = 0 AND recipient <> ''",
                           "counted": "passed_at = 0 AND recipient = ''"}[state])  # fmt: skip
    if origin:
        names = _origins(origin)
        conditions.append(f"(origin IN ({', '.join(['%s'] * len(names))}) OR sender = %s)")
        parameters += [*names, names[-1].removeprefix(PROVEN)]
    rows = database.fetch(
        "SELECT passed_at, origin, sender, recipient, first_try, last_try, tries, until FROM encounters_stranger "
        f"WHERE {' AND '.join(conditions)} ORDER BY last_try DESC, id LIMIT %s",
        (*parameters, min(limit, MOST_SHOWN)),
    )
    return [Remembered("passed" if row[0] else "waiting" if row[3] else "counted", *row[1:]) for row in rows]


def let_in(name: str, now: int, until: int) -> str:
    """Let in all that comes from a client's network, or from a domain that proves itself; returns which.

    Raises EncounterError.
    """
    origin = origin_of(name)
    with database.transaction():
        welcome_many([Welcome(now, until, (), (Trait(origin),))])
        database.announce(wake.DOOR)
    return origin


def forget(name: str) -> int:
    """Make strangers of a client's network or of a domain again ("": of everybody); returns how many rows are gone.

    Raises EncounterError.
    """
    if name:
        origin = origin_of(name)
        count = remove("encounters_stranger", "(origin = %s OR sender = %s)", (origin, origin.removeprefix(PROVEN)))
    else:
        count = remove("encounters_stranger", "1 = 1", ())
    with database.transaction():
        database.announce(wake.DOOR)
    return count


def origin_of(name: str) -> str:
    """The origin that an operator means: an address or network, else a domain. Raises EncounterError."""
    text = name.strip().lower().removeprefix(PROVEN)
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        try:
            domain = normal_domain(text)
        except AddressError as error:
            raise EncounterError(f"{name!r} is neither an address, nor a network, nor a domain") from error
        if domain.rpartition(".")[2].isdigit():  # no top-level domain is a number (RFC 3696 §2)
            raise EncounterError(f"{name!r} is neither an address, nor a network, nor a domain") from None
        return PROVEN + domain
    origin = network_of(str(network.network_address))
    if not network.subnet_of(ipaddress.ip_network(origin)):  # type: ignore[arg-type]
        raise EncounterError(f"{name} is larger than what is remembered as one network; name {origin}, or a part of it")
    return origin


def _origins(name: str) -> list[str]:
    return [name.strip(), origin_of(name)]
