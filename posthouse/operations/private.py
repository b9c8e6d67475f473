"""Who else on this machine may read what is ours: the settings with their passwords, the mail in the data directory."""

from __future__ import annotations

import contextlib
import os
import pwd
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from posthouse import configuration
from posthouse.configuration import Configuration

EVERYBODY = 0o007
_MOST_LOOKED_AT = 200  # entries of the data directory


def keep_to_ourselves() -> None:
    """From now on files and folders of this process are for its user and group alone, or for fewer."""
    os.umask(os.umask(0o077) | 0o027)


def complaints(file: Path | None, chosen: Configuration) -> Iterator[str]:
    """A sentence for each file that others may read or change, and for a data directory of somebody else."""
    secret = configuration.describe(chosen, secrets=True) != configuration.describe(chosen)
    if file is not None:
        mode = file.stat().st_mode
        if mode & 0o002 or (secret and mode & EVERYBODY):
            yield f"{file} can be read or changed by everybody on this machine: chmod 640 {file}"
    try:
        owner = chosen.data.stat().st_uid
        inside = sorted(chosen.data.iterdir())[:_MOST_LOOKED_AT]
    except OSError:  # not made yet, or not ours to look at
        return
    wanted = _uid(chosen.user) if chosen.user else os.geteuid()
    if owner != wanted and wanted >= 0:
        yield (
            f"{chosen.data} belongs to {_name(owner)}, the service runs as {_name(wanted)}: "
            f"chown -R {_name(wanted)}: {chosen.data}"
        )
    maps = {Path(one) for one in (chosen.service.postfix_maps, chosen.service.exim_maps) if one}
    for path in inside:
        if path.is_symlink() or path in maps or path == file or not path.exists():
            continue
        bit, what = (0o004, "read") if path.is_file() else (0o002, "changed")
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mode & bit:
                yield f"{path} can be {what} by everybody on this machine: chmod o= {path}"


def hindrances(chosen: Configuration) -> Iterator[str]:
    """A sentence for each thing that this process, having become the user it runs as, may not use but must."""
    me = _name(os.geteuid())
    for folder in (sysconfig.get_path("platstdlib"), sysconfig.get_path("platlib"), str(Path(__file__).parents[1])):
        if not os.access(folder, os.R_OK | os.X_OK):
            yield f"the user {me} may not read {folder}, where Python or this program is; install them where it may"
            return
    if not chosen.data.is_dir():
        yield f"data_directory: the user {me} cannot reach {chosen.data}, or it is not there; run: posthouse migrate"
        return
    ours = [chosen.data, chosen.data / "secret", chosen.data / "run", chosen.data / "content"]
    if chosen.database_url.startswith("sqlite:///"):
        database = chosen.database_url.removeprefix("sqlite:///")
        ours += [Path(f"{database}{end}") for end in ("", "-wal", "-shm", ".writer")]
    for path in ours:
        wish = os.R_OK | os.W_OK | (os.X_OK if path.is_dir() else 0)
        if path.exists() and not os.access(path, wish):
            yield f"the user {me} may not change {path}; run: chown -R {me}: {chosen.data}"
            return


def doubts_about_users(chosen: Configuration) -> Iterator[str]:
    """A sentence for each user of the settings whom this machine does not know, or whom the service cannot become."""
    for setting, user in (("user", chosen.user), ("pipes.user", chosen.pipes.user)):
        if user and _uid(user) < 0:
            yield f"{setting}: there is no user {user!r} on this machine: useradd --system {user}"
    service = _uid(chosen.user) if chosen.user else os.geteuid()
    wanted = _uid(chosen.pipes.user) if chosen.pipes.user else -1
    if wanted >= 0 and service > 0 and service != wanted and not chosen.pipes.become:
        yield (
            f"pipes.user: the service runs as {_name(service)} and may not become {chosen.pipes.user}, so mail for "
            "programs waits: set pipes.become, or let pipes.user be the service's user"
        )


def give_to_service(path: Path, chosen: Configuration) -> None:
    """Let a folder that root made belong to the user that the service runs as, when there is one."""
    if os.geteuid() == 0 and chosen.user and _uid(chosen.user) >= 0:
        entry = pwd.getpwnam(chosen.user)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def _uid(user: str) -> int:
    """-1 for a user who is not there."""
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return -1


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
