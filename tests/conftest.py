"""What all tests share: the databases, the house, the far host and a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from posthouse.configuration import Configuration
from tests.databases import both_databases, cluster, postgresql, sqlite

__all__ = ["both_databases", "browser", "cluster", "house", "outside", "postgresql", "sqlite"]

# The same examples in every run, however busy the machine is; `--hypothesis-profile=default` tries others.
settings.register_profile(
    "posthouse", deadline=None, derandomize=True, database=None, print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
settings.load_profile("posthouse")


@pytest.fixture
def house(database: Configuration) -> Iterator[object]:
    """A house with real listeners, on SQLite and on PostgreSQL."""
    from tests.running_house import running

    with running(database) as opened:
        yield opened


@pytest.fixture
def outside(house: object) -> object:
    """The far host that the house delivers to and gets mail from."""
    return house.outside  # type: ignore[attr-defined]


@pytest.fixture
def browser(house: object) -> object:
    """A browser without JavaScript."""
    from tests.running_house import Browser

    return Browser()
