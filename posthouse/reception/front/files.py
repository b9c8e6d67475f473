"""The same as files: what we take mail for, written for Postfix or Exim, each file replaced as a whole."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from posthouse.configuration import Configuration
from posthouse.database import Bridge
from posthouse.reception.front.answers import transport_of
from posthouse.routing.all_addresses import AllAddresses, all_addresses

GATHER_SECONDS = 0.1  # changes that come together are written together
APART_SECONDS = 1.05  # Postfix tells one state of a table from the next by whole seconds
LOOK_SECONDS = 20.0  # should a word be lost; alias files change without one
POSTMAP_SECONDS = 120.0
NOTE = "# Written by posthouse; changes here are lost.\n"

log = logging.getLogger(__name__)


def postfix_files(known: AllAddresses, transport: str) -> dict[str, str]:
    """Name -> text of the files for Postfix (texthash; or the source for postmap)."""
    recipients = [f"{address} OK" for address in known.addresses] + [f"@{domain} OK" for domain in known.catch_all]
    return {
        "domains": _file(f"{domain} OK" for domain in known.domains),
        "recipients": _file(recipients),
        "transport": _file(f"{domain} {transport}" for domain in known.domains),
    }


def exim_files(known: AllAddresses, transport: str) -> dict[str, str]:
    """Name -> text of the files for Exim (lsearch; catch-alls for lsearch*@)."""
    recipients = [f"{address}: OK" for address in known.addresses] + [f"*@{domain}: OK" for domain in known.catch_all]
    return {"domains": _file(known.domains), "recipients": _file(recipients)}


WRITERS: dict[str, Callable[[AllAddresses, str], dict[str, str]]] = {"postfix": postfix_files, "exim": exim_files}


def write(kind: str, folder: Path, known: AllAddresses, transport: str, postmap: Sequence[str] = ()) -> list[str]:
    """Write the files of a kind (postfix, exim) where they changed; returns the names of those. Raises OSError."""
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(0o755)
    changed = []
    for name, text in WRITERS[kind](known, transport).items():
        path, owed = folder / name, folder / f".{name}.postmap"  # `owed` is there until postmap has done its work
        if postmap and not (path.exists() and path.read_bytes() == text.encode("utf-8")):
            owed.touch()
        if _replace(path, text.encode("utf-8")):
            changed.append(name)
        if postmap and owed.exists():
            _run([word.replace("%s", str(path)) for word in postmap])
            owed.unlink()
    return changed


def _run(words: Sequence[str]) -> None:
    try:
        done = subprocess.run(words, check=False, timeout=POSTMAP_SECONDS, capture_output=True, text=True)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise OSError(f"{' '.join(words)}: not done within {POSTMAP_SECONDS:.0f} seconds") from None
    if done.returncode:
        raise OSError(f"{' '.join(words)}: {done.stderr.strip()[:300] or done.returncode}")


class Keeper:
    """Keeps the files of [service] current while the house runs."""

    def __init__(self, configuration: Configuration, bridge: Bridge) -> None:
        settings = configuration.service
        self._bridge, self._transport, self._postmap = bridge, transport_of(configuration), tuple(settings.postmap)
        self._folders = {"postfix": settings.postfix_maps, "exim": settings.exim_maps}
        self._stirred: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None
        self._said = ""

    @property
    def wanted(self) -> bool:
        """Whether any file is kept."""
        return any(self._folders.values())

    def start(self) -> None:
        """Begin, in the running loop."""
        self._stirred = asyncio.Event()
        self._stirred.set()
        self._task = asyncio.get_running_loop().create_task(self._keep(self._stirred))

    def stir(self) -> None:
        """Something changed."""
        if self._stirred is not None:
            self._stirred.set()

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _keep(self, stirred: asyncio.Event) -> None:
        loop, wrote = asyncio.get_running_loop(), float("-inf")
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await stirred.wait()
            await asyncio.sleep(max(GATHER_SECONDS, wrote + APART_SECONDS - loop.time()))
            stirred.clear()
            try:
                known = await self._bridge.read(all_addresses)
                if await asyncio.to_thread(self._write, known):
                    wrote = loop.time()
                self._said = ""
            except Exception as error:  # the files stay as they are until it can be done
                words = f"{type(error).__name__}: {error}"
                if words != self._said:
                    log.warning("the files for the mail server in front are not current: %s", words)
                self._said = words

    def _write(self, known: AllAddresses) -> bool:
        changed = False
        for kind, folder in self._folders.items():
            if folder:
                postmap = self._postmap if kind == "postfix" else ()
                changed |= bool(write(kind, Path(folder), known, self._transport, postmap))
        return changed


def _file(lines: Iterable[str]) -> str:
    return NOTE + "".join(f"{line}\n" for line in lines)


def _replace(path: Path, octets: bytes) -> bool:
    """Put a file in place as a whole, readable by all; False when it is the same already. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == octets:
            return False
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    return True
