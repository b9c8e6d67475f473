"""Databases of others that say nothing hold up the mail of their own domains alone."""

from __future__ import annotations

import asyncio
import dataclasses

from posthouse.configuration import Configuration, Lookup
from posthouse.directory import aliases, domains
from tests.delivery.leaving import far, leaving, run


def test_mail_of_other_domains_leaves_while_a_lookup_is_silent(sqlite: Configuration) -> None:
    def prepare() -> None:
        domains.add("a.example")
        domains.add("b.example")
        aliases.add("info@b.example", "ben@far.example")

    async def work() -> None:
        silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        lookup = Lookup(kind="mysql", servers=[f"127.0.0.1:{port}"], domains=["a.example"], deadline=5.0,
                        query="SELECT x FROM t WHERE y = :address")  # fmt: skip
        host = await far()
        async with leaving(dataclasses.replace(sqlite, lookups={"silent": lookup}), host.port) as house:
            await house.bridge.write(prepare)
            for number in range(3):
                await house.sends(f"help{number}@a.example")
            await house.sends("info@b.example")
            settling = asyncio.ensure_future(house.runner.settle())
            [taken] = await host.took(1)
            assert taken.recipients == ["ben@far.example"]
            unanswered = [reply for who, _, reply in await house.waiting() if who.startswith("help")]
            assert unanswered == ["", "", ""], "these wait for the lookup still"
            await settling
            assert all("lookup silent" in reply for _, _, reply in await house.waiting())
        silent.close()
        await host.stop()

    run(work)
