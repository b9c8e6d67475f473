"""Files that root's commands make belong to whom their folder belongs to: the service must be able to use them."""

from __future__ import annotations

import os
from pathlib import Path


def hand_over(path: Path | str) -> None:
    """Give what was made right now to the owner of its folder, as SQLite does; only root can, others need not.

    Raises OSError when it is gone.
    """
    if os.geteuid() != 0:
        return
    owner = os.stat(os.path.dirname(path) or ".")
    if owner.st_uid:
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def make_folder(path: Path) -> None:
    """Make a folder and those above it that are missing, each its owner's who owns the one above. Raises OSError."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        if path.parent == path:
            break
        path = path.parent
    for folder in reversed(missing):
        try:
            folder.mkdir()
        except FileExistsError:  # another process was faster; a file there is told by the next step
            continue
        hand_over(folder)
