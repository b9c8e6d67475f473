"""What is shipped: a fresh installation is closed, and every setting says what it is for."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterator
from typing import Any

from posthouse.configuration import Configuration, endpoint


def sections(configuration: Any, path: str = "") -> Iterator[tuple[str, dataclasses.Field[Any], Any]]:
    """(name, field, default) of every setting, tables included."""
    for item in dataclasses.fields(configuration):
        value = getattr(configuration, item.name)
        if dataclasses.is_dataclass(value):
            yield from sections(value, f"{path}{item.name}.")
        else:
            yield f"{path}{item.name}", item, value


def test_a_fresh_installation_listens_on_loopback_only() -> None:
    shipped = Configuration()
    listeners = [
        *shipped.reception.transfer, *shipped.reception.submission, *shipped.reception.submissions,
        *shipped.reception.lmtp, *shipped.web.listen,
    ]  # fmt: skip
    addresses = {ipaddress.ip_address(endpoint(place)[0]) for place in listeners}
    assert {address.version for address in addresses} == {4, 6}
    assert all(address.is_loopback for address in addresses)


def test_a_fresh_installation_relays_for_nobody_and_believes_nobody() -> None:
    shipped = Configuration()
    assert (shipped.reception.relay_networks, shipped.reception.relay_domains) == ([], [])
    assert (shipped.web.trusted_proxies, shipped.trial) == ([], False)


def test_every_setting_says_what_it_is_for() -> None:
    assert [name for name, item, _ in sections(Configuration()) if len(item.metadata.get("doc", "")) < 10] == []
