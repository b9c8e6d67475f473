"""Who leaves digests for single copies gets one last digest: the postings that were gathered until then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from posthouse.database import fetch, run, transaction
from posthouse.lists.preferences import ACCOUNTS, effective

_FROM = f"FROM lists_membership m JOIN directory_address a ON a.id = m.address_id {ACCOUNTS} "


@contextmanager
def noticed(condition: str, parameters: Sequence[str | int]) -> Iterator[None]:
    """Around a change of preferences: members whose digests end by it are remembered for the next one.

    `condition` is SQL about lists_membership m, directory_address a and directory_account c, part of the program.
    """
    mode = effective("delivery_mode")
    with transaction():
        before = fetch(
            f"SELECT m.id, {mode} {_FROM}WHERE {condition} AND m.role = 'member' AND {mode} <> 'regular' AND EXISTS "
            "(SELECT 1 FROM lists_digestposting p WHERE p.mailing_list_id = m.mailing_list_id)",
            tuple(parameters),
        )
        yield
        for pk, kind in before:
            run(
                f"INSERT INTO lists_lastdigest (membership_id, kind) SELECT m.id, %s {_FROM}"
                f"WHERE m.id = %s AND {mode} = 'regular' "
                "ON CONFLICT (membership_id) DO UPDATE SET kind = excluded.kind",
                (kind, pk),
            )
