"""What all tests share."""

from tests.databases import both_databases, cluster, postgresql, sqlite

__all__ = ["both_databases", "cluster", "postgresql", "sqlite"]
