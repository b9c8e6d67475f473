"""A site for tests: lists of every kind, people of every role, letters in the archives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from posthouse.configuration import Configuration
from tests.web.neighbourhood import Neighbourhood


@pytest.fixture
def site(database: Configuration) -> Iterator[Neighbourhood]:
    """The neighbourhood on SQLite and on PostgreSQL."""
    yield Neighbourhood(database)


@pytest.fixture
def quick_site(sqlite: Configuration) -> Iterator[Neighbourhood]:
    """The neighbourhood on SQLite alone, for what does not depend on the database."""
    yield Neighbourhood(sqlite)
