"""Aliases, legacy domains, site contacts, users of this machine: what each line of the switch does with them."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from posthouse import configuration
from posthouse.configuration import Configuration
from posthouse.database import Bridge
from posthouse.directory import accounts, aliases, domains
from posthouse.lists import addresses, creation
from posthouse.lists.errors import ListExists
from posthouse.routing import (
    Destination,
    Refused,
    Router,
    ToAddresses,
    ToList,
    ToNowhere,
    ToPipe,
    ToRelay,
    ToRemote,
    explain,
    route,
    ways,
)

GARDEN = "garden@lists.example"


@pytest.fixture
def files(sqlite: Configuration, tmp_path: Path) -> Path:
    """A house with lists.example (the list garden; owen is the superuser) and a.example; gives its alias folder."""
    folder = tmp_path / "aliases"
    folder.mkdir()
    routing = configuration.Routing(aliases=str(folder), includes=str(tmp_path))
    configuration.activate(dataclasses.replace(sqlite, routing=routing))
    domains.add("lists.example")
    domains.add("a.example")
    accounts.create("owen@far.example", "Owen", superuser=True)
    creation.create(GARDEN, ["owen@far.example"])
    return folder


def settings(**changed: object) -> None:
    """Change what [routing] says."""
    active = configuration.active()
    configuration.activate(dataclasses.replace(active, routing=dataclasses.replace(active.routing, **changed)))  # type: ignore[arg-type]


def leads_to(address: str) -> tuple[str, ...]:
    """The addresses that one stands for."""
    destination = route(address)
    assert isinstance(destination, ToAddresses), destination
    return destination.addresses


def refusal(address: str) -> str:
    """Code and text of a refusal."""
    destination = route(address)
    assert isinstance(destination, Refused), destination
    return f"{destination.reply.code} {destination.reply.enhanced} {destination.reply.text}"


def test_a_file_named_after_its_domain_says_where_its_names_lead(files: Path) -> None:
    assert refusal("info@a.example").startswith("550 5.1.1")
    (files / "a.example").write_text("info: ana@far.example, cleo\ncleo: cleo@far.example\n")
    assert leads_to("Info@A.example") == ("ana@far.example", "cleo@far.example")
    assert refusal("info@lists.example").startswith("550 5.1.1"), "the same name in another domain is another thing"
    (files / "a.example").write_text("info: ben@far.example\n")
    assert leads_to("info@a.example") == ("ben@far.example",), "an edit counts at the next lookup"
    (files / "a.example").unlink()
    assert refusal("info@a.example").startswith("550 5.1.1")


def test_a_target_without_domain_is_of_the_domain_at_hand_also_when_the_file_serves_several(files: Path) -> None:
    (files / "shared").write_text("info: office\nboth: office, ana@far.example\n")
    for name in ("a.example", "lists.example"):
        (files / name).symlink_to("shared")
    aliases.add("office@a.example", "ben@far.example")
    assert leads_to("info@a.example") == ("ben@far.example",)
    assert refusal("info@lists.example").startswith("550 5.1.1"), "there is no office in that domain"
    assert leads_to("both@lists.example") == ("ana@far.example",)


def test_fail_and_defer_say_their_text_at_rcpt(files: Path) -> None:
    (files / "a.example").write_text("old: :fail: He left, in May\nlater: :defer: We are moving\nnil: :blackhole:\n")
    assert refusal("old@a.example") == "550 5.2.1 He left, in May"
    assert refusal("later@a.example") == "451 4.2.1 We are moving"
    assert isinstance(route("nil@a.example"), ToNowhere)
    (files / "a.example").write_text("chain: old\nold: :fail: Gone\n")
    assert refusal("chain@a.example") == "550 5.2.1 Gone", "also when another alias leads there"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("info: /var/mail/info", "may not be written to files"), ("info: :include:/etc/passwd", "is not below"),
        ("info: :include:{folder}/missing", "No such file"), ("info: ana@far.example, b d@x@y", "no address"),
    ],
)  # fmt: skip
def test_what_is_written_wrongly_waits_and_the_log_knows_why(files: Path, line: str, why: str) -> None:
    (files / "a.example").write_text(line.format(folder=files) + "\n")
    destination = route("info@a.example")
    assert isinstance(destination, Refused) and destination.reply.temporary and why in destination.why


def test_an_include_gives_its_addresses_and_an_edit_of_it_counts(files: Path) -> None:
    included = files.parent / "team"
    included.write_text("ana@far.example\nben@far.example\n")
    (files / "a.example").write_text(f"team: :include:{included}, cleo@far.example\n")
    assert leads_to("team@a.example") == ("ana@far.example", "ben@far.example", "cleo@far.example")
    included.write_text("ben@far.example\n")
    assert leads_to("team@a.example") == ("ben@far.example", "cleo@far.example")


def test_circles_are_left_out_and_what_is_a_circle_alone_is_refused(files: Path) -> None:
    (files / "a.example").write_text("one: two\ntwo: one, ana@far.example\nalone: other\nother: alone\n")
    assert leads_to("one@a.example") == ("ana@far.example",)
    assert refusal("alone@a.example").startswith("550 5.4.6")


def test_a_bomb_of_aliases_is_bounded_and_quick(files: Path) -> None:
    lines = [f"a{depth}: b{depth}, c{depth}\nb{depth}: a{depth + 1}\nc{depth}: a{depth + 1}" for depth in range(60)]
    (files / "a.example").write_text("\n".join([*lines, "a60: ana@far.example"]) + "\n")
    started = time.thread_time()
    destination = route("a0@a.example")
    assert isinstance(destination, Refused) and destination.reply.temporary
    assert time.thread_time() - started < 20


def test_a_detail_finds_the_name_before_it_and_stays_within_the_domain(files: Path) -> None:
    (files / "a.example").write_text(
        "ana: ben, ana@far.example\nben: ben@far.example\nana+shop: shop@far.example\nbox: garden@lists.example\n"
    )
    assert leads_to("ana+x@a.example") == ("ben@far.example", "ana@far.example")
    assert leads_to("ana+shop@a.example") == ("shop@far.example",)
    (files / "a.example").write_text("ana: ben\nben+X: found@far.example\nben+x: found@far.example\n")
    assert leads_to("ana+X@a.example") == ("found@far.example",)


def test_a_catch_all_takes_what_nothing_else_knows_and_never_lists_or_the_postmaster(files: Path) -> None:
    (files / "lists.example").write_text("*: ana@far.example\nben: ben@far.example\n")
    aliases.add("*@a.example", "cleo@far.example")
    assert leads_to("whoever@lists.example") == ("ana@far.example",)
    assert leads_to("ben@lists.example") == ("ben@far.example",)
    assert leads_to("whoever@a.example") == ("cleo@far.example",)
    assert isinstance(route("garden-owner@lists.example"), ToList)
    assert leads_to("postmaster@lists.example") == leads_to("mailman@lists.example") == ("owen@far.example",)


def test_files_are_asked_before_the_database_and_both_before_lists(files: Path) -> None:
    aliases.add(GARDEN, "ben@far.example")
    assert leads_to(GARDEN) == ("ben@far.example",)
    (files / "lists.example").write_text("garden: ana@far.example\n")
    assert leads_to(GARDEN) == ("ana@far.example",)
    assert isinstance(route("garden-request@lists.example"), ToList)


def test_an_alias_that_is_only_itself_stands_in_nobodys_way(files: Path) -> None:
    (files / "lists.example").write_text("garden: garden\n")
    assert isinstance(route(GARDEN), ToList)


def test_an_alias_of_a_list_or_of_an_address_we_relay_for_leads_there(files: Path) -> None:
    active = configuration.active()
    reception = dataclasses.replace(active.reception, relay_domains=["@others", ".wide.example"])
    configuration.activate(dataclasses.replace(active, reception=reception, domains={"others": ["backup.example"]}))
    (files / "a.example").write_text("plants: garden@lists.example, x@backup.example\n")
    assert leads_to("plants@a.example") == (GARDEN, "x@backup.example")
    assert route("x@backup.example") == ToRelay("backup.example")
    assert route("x@deep.wide.example") == ToRelay("deep.wide.example")
    assert refusal("x@wide.example").startswith("550 5.7.1"), "a dot means the names below alone"


def test_a_closed_list_behind_an_alias_is_refused_at_rcpt_with_its_reason(files: Path) -> None:
    from posthouse.lists import changing

    (files / "a.example").write_text("plants: garden@lists.example\n")
    changing.set_state(GARDEN, "closed")
    assert "closed" in refusal("plants@a.example")


def test_the_postmaster_may_be_given_to_others_but_never_refused(files: Path) -> None:
    (files / "a.example").write_text("postmaster: ana@far.example\n")
    assert leads_to("postmaster@a.example") == ("ana@far.example",)
    (files / "a.example").write_text("postmaster: :fail: never\n")
    assert leads_to("postmaster@a.example") == ("owen@far.example",)


@pytest.mark.parametrize(
    "local", ["abuse", "mailman", "mailman-admin", "mailman-owner", "Mailman-Loop", "mailman-bounces+x=y"]
)
def test_the_contacts_of_a_site_reach_the_list_administrators(files: Path, local: str) -> None:
    assert leads_to(f"{local}@lists.example") == ("owen@far.example",)
    (files / "lists.example").write_text(f"{local.lower()}: ana@far.example\n")
    assert leads_to(f"{local}@lists.example") == ("ana@far.example",), "an alias wins"


def test_programs_are_named_by_files_alone_and_run_from_no_file_that_all_may_write(files: Path) -> None:
    path = files / "a.example"
    path.write_text("ticket: |/usr/bin/tool --new 'a b'\nmany: |/bin/cat, |/bin/dd, ana@far.example\n")
    path.chmod(0o644)
    destination = route("ticket+7@a.example")
    assert isinstance(destination, ToPipe)
    assert (destination.command, destination.detail) == ("/usr/bin/tool --new 'a b'", "7")
    assert destination.alias == "ticket+7@a.example"
    first, second, third = sorted(leads_to("many@a.example"))
    assert third == "ana@far.example"
    inner = [route(one, True) for one in (first, second)]
    assert {one.command for one in inner if isinstance(one, ToPipe)} == {"/bin/cat", "/bin/dd"}
    assert refusal(first).startswith("550 5.1.1"), "what the queue calls a program is nothing for strangers"
    path.write_text("many: |/bin/cat\n")
    gone = [route(one, True) for one in (first, second)]
    assert sorted(type(one).__name__ for one in gone) == ["Refused", "ToPipe"], (
        "a program that was taken out is unknown"
    )
    included = files.parent / "programs"
    included.write_text("|/bin/cat\n")
    path.write_text(f"many: :include:{included}\n")
    assert isinstance(route("many@a.example"), ToPipe)
    included.chmod(0o666)
    destination = route("many@a.example")
    assert isinstance(destination, Refused) and destination.reply.temporary and "chmod" in destination.why
    path.write_text("many: |/bin/cat\n")
    files.chmod(0o777)
    destination = route("many@a.example")
    assert isinstance(destination, Refused) and destination.reply.temporary
    files.chmod(0o755)
    assert isinstance(route("many@a.example"), ToPipe)
    path.chmod(0o646)
    destination = route("many@a.example")
    assert isinstance(destination, Refused) and destination.reply.temporary and "chmod" in destination.why


def test_a_user_of_this_machine_is_reached_at_the_hosts_own_name_where_that_is_wanted(files: Path) -> None:
    assert refusal("root@mx.lists.example").startswith("550 5.1.1")
    settings(system_users="postmaster")
    assert leads_to("root@mx.lists.example") == ("owen@far.example",)
    assert refusal("nosuchuser@mx.lists.example").startswith("550 5.1.1")
    assert refusal("root@lists.example").startswith("550 5.1.1"), "at the host's own name alone"
    settings(system_users="%u@far.example")
    assert leads_to("root@mx.lists.example") == ("root@far.example",)
    (files / "mx.lists.example").write_text("root: ana@far.example\n")
    assert leads_to("root@mx.lists.example") == ("ana@far.example",)


def test_domains_of_a_setting_and_of_a_file_are_ours_and_take_nothing_that_no_alias_names(files: Path) -> None:
    listed = files.parent / "domains"
    listed.write_text("# ours\nfiled.example: yes\n.wide.example\n")
    settings(local_domains=["set.example"], local_domains_file=str(listed))
    for name in ("set.example", "filed.example", "deep.wide.example"):
        (files / name).write_text("info: ana@far.example\n")
        assert leads_to(f"info@{name}") == ("ana@far.example",)
        assert refusal(f"who@{name}").startswith("550 5.1.1")
    listed.write_text("other.example\n")
    assert refusal("info@filed.example").startswith("550 5.7.1")
    listed.unlink()
    assert refusal("info@filed.example").startswith("451"), "a domain that may be ours waits"
    assert refusal("info@far.example").startswith("451")
    assert leads_to("postmaster@a.example") == ("owen@far.example",)


def test_names_of_legacy_lists_lead_to_the_list_domain_with_every_suffix(files: Path) -> None:
    names = files.parent / "names"
    names.write_text("garden\nelsewhere\n")
    settings(legacy_domains=["old.example", ".older.example"], legacy_lists=str(names), legacy_target="lists.example")
    for suffix, role in (("", "posting"), *((f"-{word}", role) for word, role in addresses.SUFFIXES.items())):
        for domain in ("old.example", "deep.older.example"):
            destination = route(f"Garden{suffix}@{domain}")
            assert isinstance(destination, ToList) and (destination.list_address, destination.role) == (GARDEN, role)
    destination = route("garden-bounces+ana=far.example@old.example")
    assert isinstance(destination, ToList) and destination.detail == "ana=far.example"
    assert refusal("garden-nosuch@old.example").startswith("550 5.1.1")
    assert refusal("seeds@old.example").startswith("550 5.1.1")
    assert refusal("elsewhere@old.example").startswith("550 5.1.1"), "named, but there is no such list"
    (files / "old.example").write_text("garden: ana@far.example\n")
    assert leads_to("garden@old.example") == ("ana@far.example",), "aliases come first"


def test_legacy_lists_whose_domain_is_elsewhere_go_on_by_its_mx(files: Path) -> None:
    names = files.parent / "names"
    names.write_text("garden\n")
    settings(legacy_domains=["old.example"], legacy_lists=str(names), legacy_target="lists.far.example")
    assert leads_to("garden-request@old.example") == ("garden-request@lists.far.example",)
    names.unlink()
    assert refusal("garden@old.example").startswith("451")


def remembered(scene: Callable[[Router], object]) -> None:
    bridge = Bridge()
    try:
        asyncio.run(scene(Router(bridge, lambda: 1_000_000.0)))  # type: ignore[arg-type]
    finally:
        bridge.close()


def test_a_remembered_list_gives_way_to_an_edited_file_at_the_next_lookup(files: Path) -> None:
    async def scene(roads: Router) -> None:
        assert isinstance(await roads.route(GARDEN), ToList)
        assert isinstance(roads.known(GARDEN), ToList)
        (files / "lists.example").write_text("garden: ana@far.example\n")
        assert roads.known(GARDEN) is None
        found: Destination = await roads.route(GARDEN)
        assert isinstance(found, ToAddresses)
        (files / "lists.example").unlink()
        assert isinstance(await roads.route(GARDEN), ToList)

    remembered(scene)


def test_the_router_agrees_with_the_switch_about_domains_of_files(files: Path) -> None:
    listed = files.parent / "domains"
    listed.write_text(".wide.example\n")
    settings(local_domains_file=str(listed))
    (files / "deep.wide.example").write_text("info: ana@far.example\n")

    async def scene(roads: Router) -> None:
        assert isinstance(await roads.route("info@deep.wide.example"), ToAddresses)
        assert await roads.route("ana@far.example", True) == ToRemote("far.example")
        listed.unlink()
        roads.forget()
        found = await roads.route("ana@far.example", True)
        assert isinstance(found, Refused) and found.reply.temporary

    remembered(scene)


def test_a_domain_whose_first_mx_is_this_host_is_asked_about_and_gains_nothing_by_itself(files: Path) -> None:
    class Primary:
        asked: list[str] = []

        def known(self, domain: str) -> bool | None:
            return None

        async def holds(self, domain: str) -> bool | None:
            self.asked.append(domain)
            return None if domain == "dark.example" else domain == "mine.example"

    (files / "mine.example").write_text("info: ana@far.example\n")
    bridge = Bridge()

    async def scene() -> None:
        roads = Router(bridge, lambda: 1_000_000.0, Primary())
        assert isinstance(await roads.route("info@mine.example"), ToAddresses)
        refused = await roads.route("who@mine.example")
        assert isinstance(refused, Refused) and refused.reply.enhanced == "5.1.1"
        denied = await roads.route("ana@far.example")
        assert isinstance(denied, Refused) and denied.reply.enhanced == "5.7.1"
        dark = await roads.route("ana@dark.example")
        assert isinstance(dark, Refused) and dark.reply.temporary, "nameservers fail: the client comes back"
        Primary.asked.clear()
        assert await roads.route("ana@far.example", True) == ToRemote("far.example")
        assert Primary.asked == [], "who may relay causes no lookup"

    try:
        asyncio.run(scene())
    finally:
        bridge.close()


def test_no_list_takes_the_name_of_an_alias(files: Path) -> None:
    aliases.add("seeds@lists.example", "ana@far.example")
    (files / "lists.example").write_text("tools: ana@far.example\n")
    for name in ("seeds", "tools"):
        with pytest.raises(ListExists, match="is an alias"):
            creation.create(f"{name}@lists.example", ["owen@far.example"])


def test_explain_tells_every_place_that_was_asked_and_what_it_said(files: Path) -> None:
    (files / "a.example").write_text("info: plants, ben@far.example\nplants: garden@lists.example\nx: |/bin/cat\n")
    told = " ".join(explain("info@a.example"))
    for words in ("Asked our domains: a.example is ours",
                  "info leads to plants, ben@far.example", "about plants@a.example",
                  "Courier: expansion", str(files / "a.example") + ":1"):  # fmt: skip
        assert words in told
    unknown = " ".join(explain("nobody@a.example"))
    for place in ("alias file", "aliases of the database", "mailing lists"):
        assert f"Asked {place}" in unknown
    assert "Courier: pipe" in " ".join(explain("x@a.example"))
    [way] = ways(GARDEN, "", True)
    assert (way.kind, way.courier) == ("refused", "mailing_list") and "550 5.7.1" in way.reply
    [way] = ways(GARDEN, "ana@far.example", False)
    assert (way.kind, way.decided_by, way.leads_to) == ("list", "mailing lists", (GARDEN, "posting"))
