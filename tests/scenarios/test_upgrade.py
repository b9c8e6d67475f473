"""A house of the first version comes to this one: people and lists are as they were, a second run changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from posthouse import database
from posthouse.configuration import Configuration
from posthouse.lists import creation, roster
from posthouse.operations import schema
from tests.databases import configured
from tests.people import ANA, BEN, GARDEN, OWEN
from tests.running_house import running

APPS = ("content", "directory", "queue", "archive", "lists")


def first_version() -> None:
    """The tables as the first version had them, with a list, an owner and two members."""
    executor = MigrationExecutor(connection)
    targets = [(app, "0001_first") for app in APPS]
    executor.migrate(targets)
    then = MigrationExecutor(connection).loader.project_state(targets).apps
    account = then.get_model("directory", "Account").objects.create(password="", is_superuser=True)
    domain = then.get_model("directory", "Domain").objects.create(name="lists.example")
    garden = then.get_model("lists", "MailingList").objects.create(
        list_name="garden", list_id="garden.lists.example", domain=domain, subject_prefix="[Plants] "
    )
    then.get_model("archive", "Archive").objects.create(address=GARDEN)
    for who, role in ((OWEN, "owner"), (ANA, "member"), (BEN, "member")):
        address = then.get_model("directory", "Address").objects.create(
            key=who, original=who.capitalize(), domain="far.example", account=account if who == OWEN else None
        )
        then.get_model("lists", "Membership").objects.create(mailing_list=garden, address=address, role=role)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Configuration]:
    """A database without any table, active in this process."""
    cluster = request.getfixturevalue("cluster") if request.param == "postgresql" else None
    request.getfixturevalue(request.param)  # what is active before and after
    folder = tmp_path / "old"
    folder.mkdir()
    url = cluster.create("template1") if cluster else ""
    chosen = configured(folder, url)
    database.use(chosen)
    try:
        yield chosen
    finally:
        database.close()
        if cluster:
            cluster.drop(url)


def test_a_house_of_the_first_version_is_upgraded_with_all_it_holds_and_a_second_run_changes_nothing(
    empty: Configuration,
) -> None:
    first_version()
    lacking = schema.missing()
    assert lacking and not any(name.endswith(".0001_first") and name.split(".")[0] in APPS for name in lacking)
    schema.migrate()
    assert schema.missing() == []
    facts = creation.show(GARDEN)
    assert (facts.owners, facts.list_id) == ((OWEN.capitalize(),), "garden.lists.example")
    assert [one.address for one in roster.members(GARDEN)] == [ANA.capitalize(), BEN.capitalize()]
    with running(empty) as house:
        again = house.runs("migrate", "--json")
        assert again.exit_code == 0 and json.loads(again.stdout) == {"applied": []}
        assert house.runs("migrate", "--check").exit_code == 0
        assert house.outside.posts(ANA, GARDEN, "Still here").startswith("250")
        house.settles()
        [(_, copy)] = house.outside.copies_for(BEN.capitalize())
        assert copy["Subject"] == "[Plants] Still here"
