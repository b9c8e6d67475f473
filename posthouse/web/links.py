"""Where each page is: paths built by hand, since reversing routes in a loop costs more than the page."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote, urlencode

from posthouse.configuration import active

_SAFE = "@+=.-_~!$'*"  # characters of a list's address that may stand in a path as they are (RFC 3986 §3.3)


@lru_cache(maxsize=4096)
def archive(address: str) -> str:
    """The archive of a list."""
    return f"/archives/{quote(address, safe=_SAFE)}/"


def month(address: str, year: int, number: int) -> str:
    """A month of an archive."""
    return f"{archive(address)}{year:04d}/{number:02d}/"


def thread(address: str, key: str) -> str:
    """A thread, by its key or that of any of its messages."""
    return f"{archive(address)}thread/{key}/"


def message(address: str, key: str) -> str:
    """One message."""
    return f"{archive(address)}message/{key}/"


def attachment(address: str, key: str, number: int, name: str) -> str:
    """An attachment of a message; the name is for the reader, the number finds it."""
    return f"{archive(address)}message/{key}/attachment/{number}/{quote(name or 'attachment', safe='')[:600]}"


def mailing_list(address: str) -> str:
    """The page about a list."""
    return f"/lists/{quote(address, safe=_SAFE)}/"


def search(address: str = "", **query: object) -> str:
    """A search, in one archive or in all; empty parameters are left out."""
    words = urlencode({name: str(value) for name, value in query.items() if value})
    return f"{archive(address) if address else '/'}search{'?' + words if words else ''}"


def mailto(address: str, **fields: str) -> str:
    """A mailto: link (RFC 6068); underscores in field names stand for hyphens."""
    words = "&".join(f"{name.replace('_', '-')}={quote(value, safe='')}" for name, value in fields.items() if value)
    return f"mailto:{quote(address, safe='@')}{'?' + words if words else ''}"


def absolute(path: str) -> str:
    """A path of this site as people and feed readers use it from elsewhere."""
    return active().web.base_url + path
