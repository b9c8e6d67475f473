"""Databases of others: what they know counts at once, none that is silent holds anybody up, and nothing bounces."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import sqlite3
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from posthouse import configuration
from posthouse.address import Address
from posthouse.configuration import Configuration, ConfigurationError, Lookup, load
from posthouse.database import Bridge
from posthouse.directory import accounts, domains
from posthouse.lists import creation
from posthouse.routing import Refused, Router, ToAddresses, ToList, ToRemote, explain, route
from posthouse.routing.lookups import desk as desk_module
from posthouse.routing.lookups.answer import LookupTrouble
from posthouse.routing.lookups.desk import Desk
from posthouse.routing.lookups.sql import for_driver

QUERY = "SELECT target FROM queues WHERE address = :address"


def use(**lookups: Lookup) -> None:
    """Let these lookups be asked."""
    configuration.activate(dataclasses.replace(configuration.active(), lookups=lookups))


@pytest.fixture
def queues(sqlite: Configuration, tmp_path: Path) -> Path:
    """A house with a.example and lists.example with garden; gives the ticket system's database, with one queue."""
    domains.add("a.example")
    domains.add("lists.example")
    accounts.create("owen@far.example", superuser=True)
    creation.create("garden@lists.example", ["owen@far.example"])
    path = tmp_path / "tickets.sqlite"
    tickets(path, "CREATE TABLE queues (address TEXT PRIMARY KEY, target TEXT)",
            "INSERT INTO queues VALUES ('help@a.example', 'ana@far.example, ben@far.example')")  # fmt: skip
    return path


def tickets(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that takes connections and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield listener


def addresses_of(address: str) -> tuple[str, ...]:
    destination = route(address)
    assert isinstance(destination, ToAddresses), destination
    return destination.addresses


def code_of(address: str) -> tuple[int, str]:
    destination = route(address)
    assert isinstance(destination, Refused), destination
    return destination.reply.code, destination.why


def test_rows_count_at_once_and_their_values_are_the_addresses(queues: Path) -> None:
    use(tickets=Lookup(kind="sqlite", path=str(queues), query=QUERY))
    assert addresses_of("Help@A.example") == ("ana@far.example", "ben@far.example")
    assert code_of("new@a.example")[0] == 550
    tickets(queues, "INSERT INTO queues VALUES ('new@a.example', 'cleo@far.example')")
    assert addresses_of("new@a.example") == ("cleo@far.example",)
    tickets(queues, "DELETE FROM queues")
    assert code_of("new@a.example")[0] == 550


def test_a_hit_leads_to_a_fixed_address_whatever_the_row_says(queues: Path) -> None:
    use(tickets=Lookup(kind="sqlite", path=str(queues), query="SELECT 1 FROM queues WHERE address = :address",
                       target="otrs@tickets.far.example"))  # fmt: skip
    assert addresses_of("help@a.example") == ("otrs@tickets.far.example",)
    assert code_of("who@a.example")[0] == 550
    told = " ".join(explain("help@a.example"))
    assert "lookup tickets" in told and str(queues) in told


def test_a_fixed_address_that_the_lookup_knows_itself_makes_no_circle(queues: Path) -> None:
    tickets(queues, "INSERT INTO queues VALUES ('otrs@lists.example', '')")
    creation.create("otrs@lists.example", ["owen@far.example"])
    use(tickets=Lookup(kind="sqlite", path=str(queues), query=QUERY, target="otrs@lists.example"))
    assert addresses_of("help@a.example") == ("otrs@lists.example",)
    assert isinstance(route("otrs@lists.example"), ToList)


@pytest.mark.parametrize("local", ["x' OR '1'='1", "help' --", 'x" OR ""="', "%", "a\\' OR 1=1"])
def test_what_a_stranger_writes_is_a_value_and_never_sql(queues: Path, local: str) -> None:
    use(tickets=Lookup(kind="sqlite", path=str(queues), query=QUERY))
    quoted = str(Address(local, "a.example"))
    assert code_of(quoted)[0] == 550
    assert len(sqlite3.connect(queues).execute("SELECT * FROM queues").fetchall()) == 1


def test_the_parts_of_an_address_are_asked_for_by_name() -> None:
    assert for_driver("SELECT a::text FROM t WHERE l = :local AND d=:domain AND x LIKE '%:name' AND y % 2 = 0") == (
        "SELECT a::text FROM t WHERE l = %(local)s AND d=%(domain)s AND x LIKE '%%:name' AND y %% 2 = 0"
    )


def test_only_the_domains_that_are_named_are_asked_about(queues: Path) -> None:
    use(tickets=Lookup(kind="sqlite", path="/nowhere/tickets", query=QUERY, domains=["a.example"]))
    assert code_of("help@a.example")[0] == 451
    assert isinstance(route("garden@lists.example"), ToList)


def test_servers_are_asked_in_order_and_a_dead_one_is_passed_over(queues: Path) -> None:
    missing = str(queues.with_name("missing"))
    use(tickets=Lookup(kind="sqlite", path="", servers=[missing, str(queues)], query=QUERY))
    assert addresses_of("help@a.example") == ("ana@far.example", "ben@far.example")


def test_when_none_answers_mail_waits_and_the_reason_names_each_server(queues: Path) -> None:
    gone = [str(queues.with_name(name)) for name in ("one", "two")]
    use(tickets=Lookup(kind="sqlite", servers=gone, query=QUERY))
    code, why = code_of("help@a.example")
    assert code == 451 and all(server in why for server in gone)
    assert addresses_of("postmaster@a.example") == ("owen@far.example",), "the postmaster is reached without it"


def test_what_is_no_address_waits_instead_of_bouncing(queues: Path) -> None:
    use(tickets=Lookup(kind="sqlite", path=str(queues), query=QUERY))
    for value in ("|/bin/sh", "not an address @@", "/var/mail/x", ":include:/etc/passwd"):
        tickets(queues, "DELETE FROM queues", f"INSERT INTO queues VALUES ('help@a.example', '{value}')")
        assert code_of("help@a.example")[0] == 451
    tickets(queues, "DELETE FROM queues", "INSERT INTO queues VALUES ('help@a.example', ':fail: Closed')")
    assert code_of("help@a.example")[0] == 550


def use_silent(server: socket.socket, kind: str, deadline: float) -> None:
    query = "(mail=:address)" if kind == "ldap" else QUERY
    place = f"127.0.0.1:{server.getsockname()[1]}"
    use(tickets=Lookup(kind=kind, servers=[place], query=query, base="dc=x", deadline=deadline, user="ana",
                       password="x"))  # fmt: skip


def came(server: socket.socket) -> int:
    """How many connections are waiting to be taken; they end."""
    count = 0
    server.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            server.accept()[0].close()
            count += 1
    return count


@pytest.mark.parametrize("kind", ["postgresql", "mysql", "ldap"])
def test_a_server_that_says_nothing_is_given_up_and_not_asked_again_for_a_moment(
    queues: Path, silent: socket.socket, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_silent(silent, kind, 1.0)
    monkeypatch.setattr(desk_module, "time", type("Stopped", (), {"monotonic": staticmethod(lambda: 1000.0)}))

    async def scene() -> None:
        bridge = Bridge()
        roads = Router(bridge, time.time)
        try:
            found = await asyncio.wait_for(roads.route("help@a.example"), 60)
            assert isinstance(found, Refused) and found.reply.code == 451
            assert came(silent) > 0
            assert isinstance(await roads.route("other@a.example"), Refused)
            assert came(silent) == 0
        finally:
            bridge.close()

    asyncio.run(scene())


@pytest.mark.parametrize("kind", ["postgresql", "mysql", "ldap"])
def test_nobody_else_waits_for_a_server_that_says_nothing(queues: Path, silent: socket.socket, kind: str) -> None:
    use_silent(silent, kind, 60.0)

    async def scene() -> None:
        bridge = Bridge()
        roads = Router(bridge, time.time)
        try:
            looking = asyncio.ensure_future(roads.route("help@a.example"))
            assert await roads.route("x@far.example", True) == ToRemote("far.example")
            assert not looking.done()
            silent.close()
            found = await looking
            assert isinstance(found, Refused) and found.reply.code == 451
        finally:
            bridge.close()

    asyncio.run(scene())


def test_the_router_asks_lookups_beside_the_database_and_never_remembers_past_them(queues: Path) -> None:
    use(tickets=Lookup(kind="sqlite", path=str(queues), query=QUERY))

    async def scene() -> None:
        bridge = Bridge()
        roads = Router(bridge, lambda: 1_000_000.0)
        try:
            assert isinstance(await roads.route("garden@lists.example"), ToList)
            tickets(queues, "INSERT INTO queues VALUES ('garden@lists.example', 'ana@far.example')")
            assert roads.known("garden@lists.example") is None
            assert isinstance(await roads.route("garden@lists.example"), ToAddresses)
        finally:
            bridge.close()

    asyncio.run(scene())


def test_an_answer_is_remembered_as_long_as_the_setting_says(queues: Path) -> None:
    use(tickets=Lookup(kind="sqlite", path=str(queues), query=QUERY, cache=60.0))
    assert addresses_of("help@a.example") == ("ana@far.example", "ben@far.example")
    tickets(queues, "DELETE FROM queues")
    assert addresses_of("help@a.example") == ("ana@far.example", "ben@far.example")


def cdb(records: Mapping[str, str]) -> bytes:
    """A constant database as cdbmake writes it."""
    body, tables = b"", [list[tuple[int, int]]() for _ in range(256)]
    for key, value in records.items():
        number = 5381
        for octet in key.encode():
            number = ((number << 5) + number ^ octet) & 0xFFFFFFFF
        tables[number % 256].append((number, 2048 + len(body)))
        body += struct.pack("<II", len(key.encode()), len(value.encode())) + key.encode() + value.encode()
    head = b""
    for table in tables:
        slots = [(0, 0)] * (2 * len(table))
        head += struct.pack("<II", 2048 + len(body), len(slots))
        for number, position in table:
            slot = (number >> 8) % len(slots)
            while slots[slot][1]:
                slot = (slot + 1) % len(slots)
            slots[slot] = number, position
        body += b"".join(struct.pack("<II", *slot) for slot in slots)
    return head + body


def test_a_large_map_in_a_cdb_is_found_and_a_replaced_one_counts_at_once(queues: Path) -> None:
    path = queues.with_name("map.cdb")
    many = {f"user{number}@a.example": f"user{number}@far.example" for number in range(20_000)}
    path.write_bytes(cdb(many))
    use(map=Lookup(kind="cdb", path=str(path), keys=[":address", "@:domain"]))
    for number in (0, 77, 19_999):
        assert addresses_of(f"User{number}@a.example") == (f"user{number}@far.example",)
    assert code_of("user20000@a.example")[0] == 550
    path.with_name("new").write_bytes(cdb({"@a.example": "all@far.example"}))
    path.with_name("new").rename(path)
    assert addresses_of("user0@a.example") == ("all@far.example",)
    path.write_bytes(cdb(many)[:3000])
    assert code_of("user7@a.example")[0] in (451, 550)
    path.write_bytes(b"short")
    assert code_of("user7@a.example")[0] == 451


def test_a_flat_file_is_found_by_its_keys(queues: Path) -> None:
    path = queues.with_name("flat")
    path.write_text("# names\nAna: ana@far.example\nben ben@far.example cleo\n")
    use(map=Lookup(kind="file", path=str(path), keys=[":address", ":name"]))
    assert addresses_of("ana+shop@a.example") == ("ana@far.example",)
    path.write_text("ana@a.example: other@far.example\n")
    assert addresses_of("ana@a.example") == ("other@far.example",)
    path.unlink()
    assert code_of("ana@a.example")[0] == 451


@pytest.mark.parametrize(
    ("table", "rule"),
    [
        ('kind = "oracle"', "must be one of"), ('kind = "mysql"', "must name a server"),
        ('kind = "sqlite"\npath = "x"\nquery = "DELETE FROM t WHERE a = :address"', "must be one SELECT"),
        ('kind = "sqlite"\npath = "x"\nquery = "SELECT 1 FROM t WHERE a = :address; DROP TABLE t"', "semicolon"),
        ('kind = "sqlite"\npath = "x"\nquery = "SELECT 1"', "must ask for"),
        ('kind = "cdb"', "must name the file"),
        ('kind = "ldap"\nservers = ["x"]\nquery = "mail=:address"', "parenthes"),
        ('kind = "mysql"\nservers = ["a:b:c"]\nquery = "SELECT 1 FROM t WHERE a=:address"', "ADDRESS:PORT"),
    ],
)  # fmt: skip
def test_a_lookup_that_could_never_be_asked_is_refused_at_the_start(tmp_path: Path, table: str, rule: str) -> None:
    path = tmp_path / "posthouse.toml"
    path.write_text(f"[lookups.tickets]\n{table}\n")
    with pytest.raises(ConfigurationError, match=r"lookups\.tickets") as refused:
        load(path)
    assert rule in str(refused.value)


@pytest.mark.parametrize(
    ("table", "rule"),
    [
        ('[routing]\nlegacy_domains = ["old.example"]', "needs legacy_lists"),
        ('[routing]\nlocal_domains_file = "missing"', "does not exist"),
        ('[routing]\nsystem_users = "a b@c@d"', "must be an address"), ('[pipes]\nuser = "root"', "must not be root"),
        ('[pipes]\nbecome = ["sudo"]', "whole path"), ("[pipes]\nseconds = 0", "more than 0"),
        ('[routing]\nlocal_domains = ["@nobody"]', "which is not in [domains]"),
    ],
)  # fmt: skip
def test_what_could_never_lead_anywhere_is_refused_at_the_start(tmp_path: Path, table: str, rule: str) -> None:
    path = tmp_path / "posthouse.toml"
    path.write_text(f"{table}\n")
    with pytest.raises(ConfigurationError) as refused:
        load(path)
    assert rule in str(refused.value) and "line 2" in str(refused.value)


def test_folders_of_routing_are_beside_the_file_by_themselves(tmp_path: Path) -> None:
    path = tmp_path / "posthouse.toml"
    path.write_text('[web]\nbase_url = "https://lists.example"\n')
    chosen = load(path)
    assert chosen.routing.aliases == str(tmp_path / "aliases") and chosen.routing.includes == str(tmp_path)
    assert chosen.data == tmp_path / "var" and chosen.routing.local_domains_file == ""


def test_the_password_is_in_no_listing_of_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "posthouse.toml"
    path.write_text(
        '[lookups.tickets]\nkind = "mysql"\nservers = ["db1", "db2:3307"]\nuser = "mail"\npassword = "s3cret"\n'
        f'query = "{QUERY}"\n'
    )
    chosen = load(path)
    assert "s3cret" not in configuration.describe(chosen) and "db2:3307" in configuration.describe(chosen)
    assert chosen.lookups["tickets"].password == "s3cret"


def test_a_lookup_without_a_driver_or_server_says_so(sqlite: Configuration) -> None:
    chosen = dataclasses.replace(sqlite, lookups={
        "one": Lookup(kind="postgresql", servers=["127.0.0.1:1"], query=QUERY, deadline=2.0)})  # fmt: skip
    desk = Desk(chosen)
    with pytest.raises(LookupTrouble, match=r"127\.0\.0\.1:1"):
        desk.ask_here("one", Address("help", "a.example"))
    desk.close()
