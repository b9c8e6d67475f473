"""Fixed next hops: which host gets the mail, how it is spoken to, what a failure there means; bulk mail by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from posthouse.configuration import Bulk, Configuration, ConfigurationError, NextHop, load
from posthouse.configuration.leaving import Place, next_hop_of, place
from posthouse.message.envelope import Recipient
from tests.delivery.far_host import ALL, FarHost, certificate
from tests.delivery.leaving import far, leaving, run

LMTP = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[192.0.2.1]", Place("192.0.2.1")),
        ("[2001:db8::1]:2525", Place("2001:db8::1", 2525)),
        ("[IPv6:2001:db8::1]", Place("2001:db8::1")),
        ("[Mail.A.Example.]:587", Place("mail.a.example", 587)),
        ("a.example", Place("a.example", 0, True)),
        ("a.example:26", Place("a.example", 26, True)),
        ("/run/dovecot/lmtp", Place("/run/dovecot/lmtp")),
    ],
)
def test_a_place_in_brackets_is_a_host_and_one_without_a_domain_with_mx(text: str, wanted: Place) -> None:
    assert place(text) == wanted


def test_the_longest_fit_among_the_next_hops_wins() -> None:
    hops = {name: NextHop() for name in ("a.example", ".a.example", ".deep.a.example", "*")}
    for domain, key in (
        ("a.example", "a.example"), ("x.a.example", ".a.example"), ("x.y.a.example", ".a.example"),
        ("x.deep.a.example", ".deep.a.example"), ("deep.a.example", ".a.example"), ("nota.example", "*"),
        ("[192.0.2.1]", "*"),
    ):  # fmt: skip
        found = next_hop_of(domain, hops)
        assert found is not None and found[0] == key, domain
    assert next_hop_of("b.example", {"a.example": NextHop()}) is None


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('[next_hops."a.example"]\nhosts = ["[a b]"]', "must be [ADDRESS], [HOST]:PORT"),
        ('[next_hops."a.example"]\nhosts = ["/run/lmtp"]', "must be true for a UNIX socket"),
        ('[next_hops."a.example"]\nhosts = ["[m.example]"]\nuser = "u"', 'needs tls = "verified"'),
        ('[next_hops."a.example"]\ntls = "maybe"', "must be one of offered, verified, never"),
        ('[next_hops."a.example"]\ntls = "never"\ntls_from_start = true', "contradict"),
        ('[next_hops."a.example"]\nsource = ["127.0.0.1", "127.0.0.2"]', "at most one address of each family"),
        ('[next_hops."a@b"]\nhosts = []', "must be a domain"),
        ('[next_hops."*"]\nhosts = ["[m.example]"]\n[delivery]\nsmarthost = "m.example:25"', "the same thing twice"),
        ('[next_hops."a.example"]\nauthorities = "none.pem"', "cannot be used"),
        ('[bulk.news]\nsource = ["here"]', "must be an IP address"),
        ('[bulk.news]\norigins = ["web"]', "must be some of"),
    ],
)
def test_what_a_next_hop_cannot_be_is_said_when_the_file_is_read(tmp_path: Path, text: str, rule: str) -> None:
    (tmp_path / "posthouse.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"line \d") as caught:
        load(tmp_path / "posthouse.toml")
    assert rule in str(caught.value)


def test_a_next_hop_is_asked_and_the_mx_is_not(sqlite: Configuration) -> None:
    async def work() -> None:
        usual, fixed = await far(), await far()
        hops = {"far.example": NextHop(hosts=[f"[127.0.0.1]:{fixed.port}"], hello="inside.example")}
        async with leaving(sqlite, usual.port, next_hops=hops) as house:
            await house.sends("ben@far.example", "ana@near.example")
            await house.runner.settle()
        assert [taken.recipients for taken in fixed.taken] == [["ben@far.example"]]
        assert fixed.taken[0].hello == "inside.example"
        assert [taken.recipients for taken in usual.taken] == [["ana@near.example"]]
        await usual.stop()
        await fixed.stop()

    run(work)


def test_domains_of_one_next_hop_share_its_connections(sqlite: Configuration) -> None:
    async def work() -> None:
        fixed = await far()
        async with leaving(sqlite, 1, next_hops={"*": NextHop(hosts=[f"[127.0.0.1]:{fixed.port}"])}) as house:
            await house.sends("ben@far.example", "ana@near.example", "x@nowhere.example")
            await house.runner.settle()
        assert [len(taken.recipients) for taken in fixed.taken] == [3] and fixed.connections == 1
        await fixed.stop()

    run(work)


def test_a_domain_without_brackets_means_its_mx_hosts(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far()
        async with leaving(sqlite, host.port, next_hops={"a.example": NextHop(hosts=["far.example"])}) as house:
            await house.sends("x@a.example")
            await house.runner.settle()
            [(_, detail)] = await house.events("delivered")
            assert detail["where"].startswith("mx.far.example[")
        await host.stop()

    run(work)


def test_the_fallback_gets_the_mail_while_nobody_else_answers(sqlite: Configuration) -> None:
    async def work() -> None:
        dead, second = await far(), await far()
        await dead.stop()
        hops = {
            "a.example": NextHop(hosts=[f"[127.0.0.1]:{dead.port}"], fallback=[f"[127.0.0.1]:{second.port}"]),
            "*": NextHop(fallback=[f"[127.0.0.1]:{second.port}"]),
        }
        async with leaving(sqlite, dead.port, next_hops=hops) as house:
            await house.sends("x@a.example", "ben@far.example", "gone@no-such.example")
            await house.runner.settle()
            got = [one for taken in second.taken if taken.return_path for one in taken.recipients]
            assert sorted(got) == ["ben@far.example", "x@a.example"]
            # What does not exist goes to no fallback: it failed, and the sender is told.
            assert [address for address, _ in await house.events("failed")] == ["gone@no-such.example"]
        await second.stop()

    run(work)


def test_a_next_hop_that_is_not_known_is_our_mistake_and_the_mail_waits(sqlite: Configuration) -> None:
    async def work() -> None:
        hops = {"a.example": NextHop(hosts=["[relay.nowhere.example]"]), "b.example": NextHop(hosts=["no.example"])}
        async with leaving(sqlite, 1, next_hops=hops) as house:
            await house.sends("x@a.example", "x@b.example")
            await house.runner.settle()
            first, second = await house.waiting()
            assert first[0] == "x@a.example" and "relay.nowhere.example" in first[2] and "internal" not in first[2]
            assert second[0] == "x@b.example" and "no.example" in second[2]
            assert await house.events("failed") == []

    run(work)


@pytest.mark.parametrize("way", ["tcp", "socket"])
def test_lmtp_answers_each_recipient_and_each_gets_its_own_outcome(
    sqlite: Configuration, way: str, tmp_path: Path
) -> None:
    async def work() -> None:
        host = FarHost(*LMTP)
        path = str(tmp_path / "lmtp")
        await host.start(path if way == "socket" else "127.0.0.1")
        host.replies |= {
            "ben@a.example": "550 5.1.1 no ben", "final full@a.example": "552 5.2.2 full",
            "final later@a.example": "452 4.2.2 later",
        }  # fmt: skip
        place_ = path if way == "socket" else f"[127.0.0.1]:{host.port}"
        async with leaving(sqlite, 1, next_hops={"a.example": NextHop(hosts=[place_], lmtp=True)}) as house:
            await house.sends(*(f"{name}@a.example" for name in ("ana", "ben", "full", "later", "cleo")))
            await house.runner.settle()
            assert [taken.recipients for taken in host.taken] == [["ana@a.example", "cleo@a.example"]]
            assert next(line for line in host.said if line.startswith(("LHLO", "EHLO"))).startswith("LHLO")
            assert sorted(one for one, _ in await house.events("delivered")) == ["ana@a.example", "cleo@a.example"]
            assert sorted(one for one, _ in await house.events("failed")) == ["ben@a.example", "full@a.example"]
            [(recipient, attempts, reply)] = [one for one in await house.waiting() if one[0] != "ana@near.example"]
            assert (recipient, attempts) == ("later@a.example", 1) and "452 4.2.2 later" in reply
            await house.runner.settle()
            assert len(host.taken) == 1  # nobody got it twice
            [(_, report), *_] = await house.reports()
            assert "552 5.2.2 full" in report and "550 5.1.1 no ben" in report
        await host.stop()

    run(work)


def test_what_lmtp_took_has_arrived_and_a_dsn_that_was_asked_for_says_so(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far(*LMTP)
        hops = {"a.example": NextHop(hosts=[f"[127.0.0.1]:{host.port}"], lmtp=True)}
        async with leaving(sqlite, 1, next_hops=hops) as house:
            await house.sends(Recipient("ana@a.example", "SUCCESS"))
            await host.took(1)
            await house.runner.settle()
            [(_, report)] = await house.reports()
            assert "Action: delivered" in report
        await host.stop()

    run(work)


def test_hosts_in_exempt_networks_get_their_mail_without_tls(sqlite: Configuration, tmp_path: Path) -> None:
    async def work() -> None:
        host = await far(tls=certificate(tmp_path))
        for exempt, encrypted in (([], True), (["127.0.0.0/8"], False)):
            async with leaving(sqlite, host.port, tls_exempt=exempt) as house:
                await house.sends("ben@far.example")
                await house.runner.settle()
            assert host.taken[-1].encrypted is encrypted
        await host.stop()

    run(work)


def test_a_password_goes_only_to_a_host_whose_certificate_is_good(sqlite: Configuration, tmp_path: Path) -> None:
    async def work() -> None:
        host = await far(*ALL, "AUTH LOGIN PLAIN", tls=certificate(tmp_path))
        host.replies["auth"] = "235 2.7.0 welcome"
        facts = {"hosts": [f"[127.0.0.1]:{host.port}"], "tls": "verified", "user": "ana", "password": "secret"}
        hops = {
            "good.example": NextHop(**facts, authorities=str(tmp_path / "far.pem")),  # type: ignore[arg-type]
            "bad.example": NextHop(**facts),  # type: ignore[arg-type]
        }
        async with leaving(sqlite, 1, next_hops=hops) as house:
            await house.sends("x@good.example", "x@bad.example")
            await house.runner.settle()
            assert [taken.recipients for taken in host.taken] == [["x@good.example"]] and host.taken[0].encrypted
            assert [line for line in host.said if line.startswith("AUTH")] == ["AUTH PLAIN AGFuYQBzZWNyZXQ="]
            [(recipient, _, reply)] = await house.waiting()
            assert recipient == "x@bad.example" and "is not verified" in reply
        await host.stop()

    run(work)


@pytest.mark.parametrize("trouble", ["no STARTTLS", "no AUTH", "wrong password", "wrong name"])
def test_a_next_hop_that_is_not_as_it_must_be_gets_nothing_and_the_mail_waits(
    sqlite: Configuration, tmp_path: Path, trouble: str
) -> None:
    async def work() -> None:
        offers = [*ALL, *([] if trouble == "no AUTH" else ["AUTH PLAIN"])]
        context = certificate(tmp_path)
        host = await far(*offers, tls=None if trouble == "no STARTTLS" else context)
        host.replies["auth"] = "535 5.7.8 no" if trouble == "wrong password" else "235 2.7.0 welcome"
        name = "other.far.example" if trouble == "wrong name" else "mx.far.example"
        hop = NextHop(
            hosts=[f"[{name}]:{host.port}"], tls="verified", user="ana", password="secret",
            authorities=str(tmp_path / "far.pem"),
        )  # fmt: skip
        async with leaving(sqlite, 1, next_hops={"a.example": hop}) as house:
            house.zone.put("other.far.example", "A", "127.0.0.1")
            await house.sends("x@a.example")
            await house.runner.settle()
            [(_, attempts, reply)] = await house.waiting()
            assert attempts == 1 and host.taken == [] and await house.events("failed") == []
            assert any(word in reply for word in ("not verified", "offers no AUTH", "535 5.7.8")), reply
            if trouble not in ("wrong password", "no AUTH"):
                assert not any(line.startswith("AUTH") for line in host.said)
        await host.stop()

    run(work)


def test_tls_from_the_first_octet_is_spoken_where_the_next_hop_wants_it(sqlite: Configuration, tmp_path: Path) -> None:
    async def work() -> None:
        host = await far()
        import asyncio

        server = await asyncio.start_server(host._accept, "127.0.0.1", 0, ssl=certificate(tmp_path))
        port = server.sockets[0].getsockname()[1]
        hop = NextHop(hosts=[f"[mx.far.example]:{port}"], tls_from_start=True, tls="verified",
                      authorities=str(tmp_path / "far.pem"))  # fmt: skip
        async with leaving(sqlite, 1, next_hops={"a.example": hop}) as house:
            await house.sends("x@a.example")
            await house.runner.settle()
        assert [taken.encrypted for taken in host.taken] == [True]
        server.close()
        await host.stop()

    run(work)


def test_bulk_leaves_by_its_own_address_and_a_block_of_it_leaves_other_mail_alone(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far()
        bulk = {"news": Bulk(origins=["list", "inside"], return_paths=["*-bounces@lists.example"],
                             source=["127.0.0.9"], hello="bulk.example")}  # fmt: skip
        async with leaving(sqlite, host.port, bulk=bulk) as house:
            await house.sends("ben@far.example", by="garden-bounces@lists.example", origin="list")
            await house.sends("ben@far.example", by="ana@near.example", origin="list")
            await house.sends("ben@far.example", by="garden-bounces@lists.example")
            await house.runner.settle()
            ways = {(taken.return_path, taken.client, taken.hello) for taken in host.taken}
            ours = house.configuration.host
            assert ways == {
                ("garden-bounces@lists.example", "127.0.0.9", "bulk.example"),
                ("ana@near.example", "127.0.0.1", ours),
                ("garden-bounces@lists.example", "127.0.0.1", ours),
            }
            await host.until(lambda: host.open == 0)  # idle connections have gone
            host.blocked.add("127.0.0.9")
            for number in range(5):
                await house.sends("ben@far.example", by="garden-bounces@lists.example", origin="inside")
                await house.sends(f"ana{number}@far.example")
                await house.runner.settle()
            assert sum(taken.recipients[0].startswith("ana") for taken in host.taken) == 5
            assert [one[0] for one in await house.waiting()] == ["ben@far.example"] * 5
            assert await house.events("suspended") == []
            host.blocked.clear()
            house.clock.at += 3600
            await house.runner.settle()
            assert await house.waiting() == []
        await host.stop()

    run(work)


def test_a_family_without_a_source_is_never_used(sqlite: Configuration) -> None:
    async def work() -> None:
        host = await far()
        hop = NextHop(hosts=[f"[127.0.0.1]:{host.port}"], source=["::1"])
        async with leaving(sqlite, 1, next_hops={"a.example": hop}) as house:
            await house.sends("x@a.example")
            await house.runner.settle()
            [(_, _, reply)] = await house.waiting()
            assert "no address of the family" in reply and host.connections == 0
        await host.stop()

    run(work)


def test_a_domain_we_are_backup_for_goes_to_its_fixed_primary(sqlite: Configuration) -> None:
    import dataclasses

    async def work() -> None:
        primary = await far()
        chosen = dataclasses.replace(
            sqlite, reception=dataclasses.replace(sqlite.reception, relay_domains=["backup.example"])
        )
        hops = {"backup.example": NextHop(hosts=[f"[127.0.0.1]:{primary.port}"])}
        async with leaving(chosen, 1, next_hops=hops) as house:
            await house.sends("dan@backup.example")
            await house.runner.settle()
        assert primary.taken[0].recipients == ["dan@backup.example"]
        await primary.stop()

    run(work)
