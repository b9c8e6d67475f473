"""Roles wake each other: on one host by datagrams, across hosts through PostgreSQL."""

from __future__ import annotations

import asyncio

from posthouse import database, wake
from posthouse.configuration import Configuration


def test_a_word_said_in_a_transaction_is_heard_once_it_is_committed(database: Configuration) -> None:
    async def work() -> None:
        heard = asyncio.Event()
        hearing = wake.hear(database, wake.QUEUE, heard.set)
        try:
            await asyncio.to_thread(_announce)
            await asyncio.wait_for(heard.wait(), 60)
        finally:
            hearing.close()

    asyncio.run(work())


def test_postgresql_carries_the_word_to_other_hosts(postgresql: Configuration) -> None:
    async def work() -> None:
        heard = asyncio.Event()
        far = wake.NotifyListener(postgresql.database_url, wake.DIRECTORY, heard.set)
        try:
            await asyncio.wait_for(heard.wait(), 60)  # connected: it calls once by itself
            heard.clear()
            await asyncio.to_thread(_announce, wake.DIRECTORY)
            await asyncio.wait_for(heard.wait(), 60)
        finally:
            far.close()

    asyncio.run(work())


def test_a_lost_connection_is_made_again_and_missed_words_are_assumed(postgresql: Configuration) -> None:
    async def work() -> None:
        heard = asyncio.Event()
        far = wake.NotifyListener(postgresql.database_url, wake.QUEUE, heard.set)
        try:
            await asyncio.wait_for(heard.wait(), 60)
            heard.clear()
            await asyncio.to_thread(_end_listeners)
            await asyncio.wait_for(heard.wait(), 60)
            heard.clear()
            await asyncio.to_thread(_announce)
            await asyncio.wait_for(heard.wait(), 60)
        finally:
            far.close()

    asyncio.run(work())


def _announce(channel: str = wake.QUEUE) -> None:
    try:
        with database.transaction():
            database.announce(channel)
    finally:
        database.close()


def _end_listeners() -> None:
    from django.db import connection

    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    finally:
        database.close()
