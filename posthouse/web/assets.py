"""The few files a page needs besides itself, named by their content so that browsers keep them for good."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "static"
TYPES: Final = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
ICON: Final = "favicon.ico"  # the one file that is asked for by a fixed name


@dataclass(frozen=True)
class Asset:
    """A file as it is served: its type, its bytes, and the same bytes packed."""

    media_type: str
    octets: bytes
    packed: bytes


@cache
def assets() -> dict[str, Asset]:
    """Every asset by the name it is served under: `site.1f0c9a….css`."""
    found = {}
    for path in sorted(FOLDER.iterdir()):
        if path.suffix in TYPES:
            octets = path.read_bytes()
            asset = Asset(TYPES[path.suffix], octets, gzip.compress(octets, 9, mtime=0))
            found[f"{path.stem}.{hashlib.sha256(octets).hexdigest()[:16]}{path.suffix}"] = asset
    return found


@cache
def asset_path(name: str) -> str:
    """The path of an asset by its plain name. Raises KeyError for a name that does not exist."""
    stem, suffix = name.rsplit(".", 1)
    for served in assets():
        if served.startswith(f"{stem}.") and served.endswith(f".{suffix}"):
            return f"/static/{served}"
    raise KeyError(name)


@cache
def icon() -> bytes:
    """The icon that browsers ask for by themselves, in 16, 32 and 48 pixels."""
    return (FOLDER / ICON).read_bytes()


@cache
def fingerprint() -> str:
    """A word that changes whenever templates or assets do: part of every page's ETag."""
    digest = hashlib.sha256()
    for folder in (FOLDER, FOLDER.parent / "templates", FOLDER.parent / "locale", FOLDER.parent):
        for path in sorted(folder.rglob("*") if folder.name in ("templates", "locale") else folder.glob("*")):
            if path.is_file():
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
