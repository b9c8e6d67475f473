"""The whole program as a person starts it, in processes of its own, for what one process cannot show."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from posthouse.configuration import Configuration
from posthouse.dns.zone import FixedZone
from posthouse.dns.zone_server import serve as serve_zone
from tests.ports import free_port
from tests.running_house import BACKED_UP

ROOT = Path(__file__).resolve().parent.parent
DOMAINS = ("far.example", "near.example", "elsewhere.example", BACKED_UP)
PATIENCE = 60.0  # seconds that a test gives a machine that is busy with other things


def environment(**more: str) -> dict[str, str]:
    """This process's environment, able to import the program from anywhere."""
    kept = {name: value for name, value in os.environ.items() if name != "POSTHOUSE_CONFIG"}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **more}


def until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Ask again and again until a condition of another process holds; there is nobody who could tell us.

    `seconds` is what a machine that is at rest needs; one that is busy with other things gets `PATIENCE` more.
    """
    end = time.monotonic() + seconds + PATIENCE
    asked = threading.Event()
    while not condition():
        assert time.monotonic() < end, f"not within {seconds + PATIENCE:.0f} s: {what}"
        asked.wait(0.02)


def answers(port: int) -> bool:
    """Whether somebody listens on a port of ours."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), PATIENCE):
        return True
    return False


class Program:
    """A running `posthouse COMMAND`: what it says on its two outputs, its children, and its end."""

    def __init__(self, folder: Path, *words: str, config: Path | None = None) -> None:
        self.folder = folder
        self.output, self.complaints = folder / "stdout", folder / "stderr"
        more = {"POSTHOUSE_CONFIG": str(config)} if config else {}
        with self.output.open("wb") as out, self.complaints.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "posthouse", *words], cwd=folder, env=environment(**more),
                stdin=subprocess.DEVNULL, stdout=out, stderr=errors,
            )  # fmt: skip

    def says(self, seconds: float, word: str) -> str:
        """Wait until its output has a word in it; gives the output."""

        def said() -> bool:
            assert self.process.poll() is None, self.complaints.read_text()[-3000:]
            return word in self.output.read_text()

        until(said, seconds, f"{word!r} in the output; it said: {self.complaints.read_text()[-2000:]}")
        return self.output.read_text()

    def listens(self, port: int, seconds: float = PATIENCE) -> None:
        """Wait until it takes connections on a port."""

        def ready() -> bool:
            assert self.process.poll() is None, self.complaints.read_text()[-3000:]
            return answers(port)

        until(ready, seconds, f"port {port} answers")

    def children(self) -> dict[int, str]:
        """Its roles' processes: id and name."""
        found: dict[int, str] = {}
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{self.process.pid}/task").iterdir():
                for child in (task / "children").read_text().split():
                    with contextlib.suppress(OSError):
                        found[int(child)] = Path(f"/proc/{child}/comm").read_text().strip()
        return found

    def stop(self, seconds: float = PATIENCE) -> float:
        """SIGTERM; gives the seconds it took to end. Asserts that it ended in order."""
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it did not stop within {seconds} s: {self.complaints.read_text()[-2000:]}") from None
        assert status == 0, (status, self.complaints.read_text()[-3000:])
        return time.monotonic() - began

    def kill(self) -> None:
        """End it at once, with its children (they follow their parent)."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)


@contextlib.contextmanager
def nameserver(target: str = "127.0.0.1") -> Iterator[str]:
    """A nameserver that knows the far domains; gives its ADDRESS:PORT."""
    zone = FixedZone()
    for name in DOMAINS:
        zone.put(name, "MX", f"10 mx.{name}.")
        zone.put(f"mx.{name}", "A", target)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True, name="nameserver")
    thread.start()
    stack = contextlib.AsyncExitStack()
    try:
        address, port = asyncio.run_coroutine_threadsafe(stack.enter_async_context(serve_zone(zone)), loop).result(
            PATIENCE
        )
        yield f"{address}:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


def written(chosen: Configuration, nameserver: str, port: int, *more: str) -> tuple[Path, int]:
    """A posthouse.toml beside the database of `chosen` that delivers to `port`; with the port it takes mail on."""
    own = free_port()
    path = chosen.data / "posthouse.toml"
    path.write_text(
        f'hostname = "mx.lists.example"\ndata_directory = "."\n[database]\nurl = "{chosen.database_url}"\n'
        f'[reception]\ntransfer = ["127.0.0.1:{own}"]\nsubmission = []\nlmtp = []\nrelay_domains = ["{BACKED_UP}"]\n'
        '[policy]\ngreylist = "off"\nrecipient = "off"\n'
        f'[dns]\nnameservers = ["{nameserver}"]\n[maillog]\nstderr = false\n'
        f"[delivery]\nport = {port}\nignore_targets = []\n" + "\n".join(more) + "\n"
    )
    return path, own


class Sender(threading.Thread):
    """Posts one message after the other, `rest` seconds between them, whatever happens to the far side.

    `accepted` are the recipients that were taken of each message that got its 250, by subject; a message whose reply
    never came is neither accepted nor sent again.
    """

    def __init__(self, name: str, port: int, choose: Callable[[random.Random], list[str]], rest: float) -> None:
        super().__init__(name=name, daemon=True)
        self.port, self.choose, self.rest = port, choose, rest
        self.accepted: dict[str, list[str]] = {}
        self.refused: list[str] = []
        self.stopped = threading.Event()
        self.chance = random.Random(name)

    def run(self) -> None:
        number = 0
        server: smtplib.SMTP | None = None
        while not self.stopped.wait(self.rest):
            number += 1
            try:
                if server is None or number % 10 == 0:
                    server = smtplib.SMTP("127.0.0.1", self.port, timeout=30)
                    server.ehlo("sender.example")
                self._send(server, f"{self.name} {number}")
            except (OSError, smtplib.SMTPException):
                server = None

    def _send(self, server: smtplib.SMTP, subject: str) -> None:
        recipients = self.choose(self.chance)
        name = subject.replace(" ", ".")
        content = (
            f"From: ana@far.example\r\nTo: {recipients[0]}\r\nSubject: {subject}\r\n"
            f"Message-ID: <{name}@far.example>\r\n\r\n"
            f"{'Some words that fill a line of the message. ' * 20}\r\n"
        )
        server.mail("ana@far.example")
        replies = [(server.rcpt(recipient), recipient) for recipient in recipients]
        self.refused += [f"{code} {reply!r}" for (code, reply), _ in replies if code != 250]
        taken = [recipient for (code, _), recipient in replies if code == 250]
        if not taken:
            server.rset()
            return
        code, reply = server.data(content.encode())
        if code == 250:
            self.accepted[subject] = taken
        else:
            self.refused.append(f"{code} {reply!r}")
            server.rset()
