"""The tables of the database: what is missing, and bringing them to this version."""

from __future__ import annotations

from pathlib import Path

from posthouse import belonging, configuration, database
from posthouse.operations import private


def missing() -> list[str]:
    """Names of the migrations that the database lacks, in order. Raises what the database raises."""
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    _make_room()
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def migrate() -> None:
    """Apply every missing migration. Raises what the database raises; each migration is one transaction."""
    from django.core.management import call_command

    _make_room()
    call_command("migrate", verbosity=0, interactive=False)
    database.close()


def _make_room() -> None:
    chosen = configuration.active()
    if not chosen.data.exists():
        chosen.data.mkdir(parents=True)
        chosen.data.chmod(0o751)  # a mail server in front finds its maps in it, and nothing else
        private.give_to_service(chosen.data, chosen)
    if chosen.database_url.startswith("sqlite:///"):
        path = Path(chosen.database_url.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():  # empty is a database: what SQLite puts beside it belongs to whom it belongs to
            path.touch(mode=0o640)
            belonging.hand_over(path)
