"""The one file, posthouse.toml: every setting typed, documented where it is declared, checked when it is read.

Read in this order: `declaring` (what a setting is), `sections` (the tables; larger ones in files of their own),
`whole` (all of them), `reading` (from the file, with complaints), `describing` (back to text).
"""

from __future__ import annotations

from posthouse.configuration.declaring import MIB, MODES, ConfigurationError, endpoint, expanded, setting
from posthouse.configuration.describing import describe, toml
from posthouse.configuration.door import Flood, Greylist
from posthouse.configuration.front import Service
from posthouse.configuration.leaving import Bulk, NextHop
from posthouse.configuration.lookups import Lookup
from posthouse.configuration.news import Nntp
from posthouse.configuration.outsiders import Callout, DnsList, Verification
from posthouse.configuration.policy import Policy
from posthouse.configuration.reading import FILE_NAME, find, load
from posthouse.configuration.routing import Pipes, Routing
from posthouse.configuration.scanning import Scanner, Scanning
from posthouse.configuration.sections import (
    Database,
    Delivery,
    Dns,
    Evidence,
    Limits,
    Maillog,
    Processes,
    Reception,
    Tls,
    Web,
)
from posthouse.configuration.whole import Configuration

__all__ = [
    "FILE_NAME",
    "MIB",
    "MODES",
    "Bulk",
    "Callout",
    "Configuration",
    "ConfigurationError",
    "Database",
    "Delivery",
    "Dns",
    "DnsList",
    "Evidence",
    "Flood",
    "Greylist",
    "Limits",
    "Lookup",
    "Maillog",
    "NextHop",
    "Nntp",
    "Pipes",
    "Policy",
    "Processes",
    "Reception",
    "Routing",
    "Scanner",
    "Scanning",
    "Service",
    "Tls",
    "Verification",
    "Web",
    "activate",
    "active",
    "describe",
    "endpoint",
    "expanded",
    "find",
    "load",
    "setting",
    "toml",
]

_active: Configuration | None = None


def activate(configuration: Configuration) -> None:
    """Make `configuration` the one this process runs with. Must happen before Django's settings are used."""
    global _active
    _active = configuration


def active() -> Configuration:
    """The configuration this process runs with; found and read when nobody activated one."""
    global _active
    if _active is None:
        _active = load(find())
    return _active
