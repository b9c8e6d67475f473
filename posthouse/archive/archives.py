"""The archives themselves: opened with their list, described, renamed, removed."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, connection
from django.db import transaction as django_transaction

from posthouse.archive.errors import ArchiveError, NoSuchArchive
from posthouse.archive.models import NEVER, PRIVATE, PUBLIC, Archive
from posthouse.content import keeping
from posthouse.database import transaction

POLICIES = (PUBLIC, PRIVATE, NEVER)
SLOTS = 1 << 10  # archives that number their postings of one second apart from each other
_BATCH = 1_000


def open_archive(
    address: str,
    display_name: str = "",
    description: str = "",
    policy: str = PUBLIC,
    obscure_addresses: bool = False,
    rendering: str = "text",
) -> bool:
    """Open an archive under a list's posting address; false when it was open already (then nothing changes)."""
    _check(policy)
    with transaction():
        _, made = Archive.objects.get_or_create(
            address=address,
            defaults={
                "display_name": display_name,
                "description": description,
                "policy": policy,
                "obscure_addresses": obscure_addresses,
                "rendering": rendering,
            },
        )
    return made


def update_archive(
    address: str,
    display_name: str | None = None,
    description: str | None = None,
    policy: str | None = None,
    obscure_addresses: bool | None = None,
    rendering: str | None = None,
) -> None:
    """Change what is said of an archive and who may read it; None leaves as it is. Raises NoSuchArchive."""
    if policy is not None:
        _check(policy)
    with transaction():
        archive = _find(address)
        archive.display_name = archive.display_name if display_name is None else display_name[:255]
        archive.description = archive.description if description is None else description
        archive.policy = archive.policy if policy is None else policy
        if obscure_addresses is not None:
            archive.obscure_addresses = obscure_addresses
        archive.rendering = archive.rendering if rendering is None else rendering
        archive.version += 1
        changed = ["display_name", "description", "policy", "obscure_addresses", "rendering", "version"]
        archive.save(update_fields=changed)


def rename_archive(address: str, new_address: str) -> None:
    """Give an archive another address. Raises NoSuchArchive, or ArchiveError when the new address has one."""
    with transaction():
        archive = _find(address)
        archive.address = new_address
        archive.version += 1
        try:
            with django_transaction.atomic():
                archive.save(update_fields=["address", "version"])
        except IntegrityError:
            raise ArchiveError(f"There is an archive for {new_address} already.") from None


def remove_archive(address: str) -> None:
    """Remove an archive with all that is in it; contents nobody else needs go too. Raises NoSuchArchive."""
    with transaction(), connection.cursor() as cursor:
        archive = lock(cursor, address)
        last = -1
        while True:
            cursor.execute(
                "SELECT id, content_id FROM archive_posting WHERE archive_id = %s AND id > %s ORDER BY id LIMIT %s",
                [archive, last, _BATCH],
            )
            rows = cursor.fetchall()
            if not rows:
                break
            cursor.execute(
                "DELETE FROM archive_text WHERE posting_id IN (SELECT id FROM archive_posting WHERE archive_id = %s "
                "AND id > %s AND id <= %s)",
                [archive, last, rows[-1][0]],
            )
            cursor.execute(
                "DELETE FROM archive_posting WHERE archive_id = %s AND id > %s AND id <= %s",
                [archive, last, rows[-1][0]],
            )
            keeping.release([content for _, content in rows])
            last = rows[-1][0]
        for table in ("knownid", "thread", "month", "tombstone", "importrun"):
            cursor.execute(f"DELETE FROM archive_{table} WHERE archive_id = %s", [archive])
        cursor.execute("DELETE FROM archive_archive WHERE id = %s", [archive])


def _find(address: str) -> Archive:
    archive = Archive.objects.filter(address=address).first()
    if archive is None:
        raise NoSuchArchive(address)
    return archive


def _check(policy: str) -> None:
    if policy not in POLICIES:
        raise ArchiveError(f"An archive is {', '.join(POLICIES[:-1])} or {POLICIES[-1]}, not {policy}.")


def lock(cursor: Any, address: str) -> int:
    """The archive's number; until the commit nobody else files or deletes in it. Raises NoSuchArchive.

    By slot on PostgreSQL, since archives of one slot share numbers; SQLite has one writer anyway.
    """
    cursor.execute("SELECT id FROM archive_archive WHERE address = %s", [address])
    row = cursor.fetchone()
    if row is None:
        raise NoSuchArchive(address)
    if connection.vendor == "postgresql":
        cursor.execute("SELECT pg_advisory_xact_lock(7263, %s)", [row[0] % SLOTS])
    return int(row[0])
