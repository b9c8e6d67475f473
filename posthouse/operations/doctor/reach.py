"""Whether mail can leave by both families: a connection to the mail host of others, as far as its greeting."""

from __future__ import annotations

from posthouse.configuration import Configuration
from posthouse.dns.lookups import LookupFailure, Lookups
from posthouse.dns.mail_hosts import addresses_of
from posthouse.operations.doctor.finding import GOOD, NOTE, UNKNOWN, WRONG, Finding
from posthouse.smtp.client import Client, ClientError, Timeouts

SECONDS = 20.0  # for each step of a connection
_HINT = {
    "IPv6": "If the provider lets no IPv6 out to port 25, ask for it, or add `2000::/3` to [delivery] ignore_targets.",
    "IPv4": "Many providers open port 25 only when asked; else set [delivery] smarthost.",
}


async def probe(configuration: Configuration, host: str, lookups: Lookups, seconds: float = SECONDS) -> list[Finding]:
    """Connect to a host by each family, on the port of MX hosts; says EHLO to nobody and sends no mail."""
    try:
        addresses = await addresses_of(host, lookups)
    except LookupFailure as error:
        return [Finding("outward", UNKNOWN, f"{host} could not be looked up: {error}.")]
    found = []
    for family in ("IPv6", "IPv4"):
        address = next((one for one in addresses if (":" in one) == (family == "IPv6")), None)
        if address is None:
            found.append(Finding(f"outward-{family.lower()}", NOTE, f"{host} has no {family} address to try."))
        else:
            found.append(await _dial(family, host, address, configuration.delivery.port, seconds))
    return found


async def _dial(family: str, host: str, address: str, port: int, seconds: float) -> Finding:
    name, where = f"outward-{family.lower()}", f"{host} [{address}]:{port}"
    client = Client(Timeouts(connect=seconds, greeting=seconds, quit=seconds))
    try:
        greeting = await client.connect(address, port)
    except ClientError as error:
        return Finding(name, WRONG, f"{family} does not reach {where}: {error}.", _HINT[family])
    await client.quit()
    return Finding(name, GOOD, f"{family} reaches {where}: {greeting}.")
