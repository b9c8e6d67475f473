"""Posthouse as the measures see it: its own data directory, served in the peers' CPU group."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.peers import ROOT, harness

TRANSFER, LMTP, WEB = 23725, 23724, 23780


class Posthouse:
    """One installation on SQLite (or `database`, a URL), relaying everything to a sink on this machine."""

    def __init__(
        self, name: str = "posthouse", sink: int = 23602, database: str = "", more: str = "",
        relay_networks: str = '["127.0.0.0/8"]', number: int = 0,
    ) -> None:  # fmt: skip
        """`number`: of those that stand side by side; each has ports of its own."""
        self.lib = harness()
        transfer, lmtp, self.web = TRANSFER + 100 * number, LMTP + 100 * number, WEB + 100 * number
        self.folder = Path(self.lib.tmp(name))
        self.port = transfer
        self.config = self.folder / "posthouse.toml"
        url = f'url = "{database}"' if database else ""
        self.config.write_text(
            f"""
data_directory = "data"
hostname = "relay.bench.invalid"
[database]
{url}
[reception]
transfer = ["127.0.0.1:{transfer}"]
submission = []
lmtp = ["127.0.0.1:{lmtp}"]
relay_networks = {relay_networks}
[delivery]
smarthost = "127.0.0.1:{sink}"
[web]
listen = ["127.0.0.1:{self.web}"]
base_url = "http://127.0.0.1:{self.web}"
costly_per_minute = 0
[limits]
connections_per_address = 1000
[maillog]
stderr = false
{more}
"""
        )
        self.process: subprocess.Popen[bytes] | None = None
        self.cli("migrate")

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    def cli(self, *words: str, **named: Any) -> None:
        """Run a command."""
        command = [sys.executable, "-m", "posthouse", "--config", str(self.config), *words]
        subprocess.run(command, check=True, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **named)

    def start(self, *only: str) -> Posthouse:
        """Serve; returns when the ports answer."""
        words = [item for role in only for item in ("--only", role)]
        self.log = (self.folder / "log").open("ab")
        self.process = self.lib.spawn(
            [sys.executable, "-m", "posthouse", "--config", str(self.config), "serve", *words],
            peer=True, cwd=str(ROOT), stdout=self.log, stderr=self.log,
        )  # fmt: skip
        for port in [self.port] * (not only or "reception" in only) + [self.web] * (not only or "web" in only):
            self.lib.wait_port(port)
        return self

    def stop(self) -> None:
        """Stop in order."""
        if self.process is not None:
            self.lib.end(self.process, signal.SIGTERM)
            self.process = None

    def busy(self) -> int:
        """Messages in the queue."""
        with sqlite3.connect(self.data / "posthouse.sqlite3", timeout=20) as connection:
            count: int = connection.execute("SELECT COUNT(*) FROM queue_message").fetchone()[0]
        return count

    def pids(self) -> list[int]:
        """The supervisor and its children."""
        assert self.process is not None
        found = [self.process.pid]
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    parent = int(Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[1])
                except OSError:
                    continue
                if parent == self.process.pid:
                    found.append(int(entry))
        return found


def version() -> str:
    """Ours, with what it runs on."""
    import sqlite3 as library

    from posthouse import __version__

    return f"Posthouse {__version__} (Python {sys.version.split()[0]}, SQLite {library.sqlite_version})"


def wait_idle(system: Posthouse, limit: float = 120) -> None:
    """Wait until the queue is empty."""
    end = time.time() + limit
    while system.busy():
        if time.time() > end:
            raise SystemExit("the queue did not become empty")
        time.sleep(0.2)


def smtp_post(port: int, return_path: str, recipient: str, message: str) -> None:
    """Send one message the plain way."""
    import smtplib

    with smtplib.SMTP("127.0.0.1", port) as server:
        server.sendmail(return_path, [recipient], message.replace("\n", "\r\n").encode())


def free(port: int) -> bool:
    """Whether nobody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
