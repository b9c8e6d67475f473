"""A process that stays root when the others become `user`: it reads the TLS key that only root may read, for them.

It knows two paths, fixed before it began, takes no words from anybody, and gives out nothing but the PEM blocks of a
certificate and of a private key. What it gives goes from memory to memory and never to a disk.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MOST_OCTETS = 1 << 20  # of one file
SECONDS = 5.0  # that an answer may take

_CERTIFICATES = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_KEYS = re.compile(rb"-----BEGIN ([A-Z]+ )?PRIVATE KEY-----.*?-----END ([A-Z]+ )?PRIVATE KEY-----", re.DOTALL)


@dataclass(frozen=True)
class KeyKeeper:
    """The roles' end of the wire; every process may ask at any time (reception.certificates.Keeper)."""

    wire: socket.socket
    pid: int

    def look(self) -> tuple[object, ...]:
        """What changes when a file changes. Raises OSError."""
        return tuple(tuple(one) if one is not None else None for one in json.loads(self._ask(b"look")))

    def read(self) -> tuple[bytes, bytes]:
        """The certificates and the key, in PEM. Raises OSError, its text without the reason's number."""
        answer = self._ask(b"read")
        if answer.startswith(b"!"):
            raise OSError(answer[1:].decode())
        certificate, _, key = answer.partition(b"\0")
        return certificate, key

    def _ask(self, word: bytes) -> bytes:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with ours:
            with theirs:
                socket.send_fds(self.wire, [word], [theirs.fileno()], socket.MSG_DONTWAIT)
            ours.settimeout(SECONDS)
            blocks = []
            while block := ours.recv(1 << 16):
                blocks.append(block)
        if not blocks:
            raise OSError("the process that reads the key (post:keys) is gone; restart posthouse")
        return b"".join(blocks)


def begin(certificate: Path, key: Path, forked: Callable[[], None]) -> KeyKeeper:
    """Fork the keeper, as the root that we still are. It runs `forked` first, and ends when nobody is left to ask."""
    wire, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if pid := os.fork():
        far.close()
        return KeyKeeper(wire, pid)
    try:
        wire.close()
        forked()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _serve(far, certificate, key)
    finally:
        os._exit(0)


def _serve(wire: socket.socket, certificate: Path, key: Path) -> None:
    while True:
        word, handles, _, _ = socket.recv_fds(wire, 16, 1)
        if not word and not handles:
            return
        for handle in handles:
            with contextlib.suppress(OSError), socket.socket(fileno=handle) as asker:  # or it was no socket
                asker.settimeout(SECONDS)  # who does not take its answer keeps nobody waiting for long
                asker.sendall(_signature(certificate, key) if word == b"look" else _pair(certificate, key))


def _signature(certificate: Path, key: Path) -> bytes:
    found: list[tuple[int, int, int] | None] = []
    for path in (certificate, key):
        try:
            facts = path.stat()  # follows the symbolic links of ACME clients
            found.append((facts.st_ino, facts.st_mtime_ns, facts.st_size))
        except OSError:
            found.append(None)
    return json.dumps(found).encode()


def _pair(certificate: Path, key: Path) -> bytes:
    """Both files' PEM blocks, or `!` and why not. Nothing else of them is told: a path may lead to another file."""
    try:
        certificates = b"\n".join(_CERTIFICATES.findall(_octets(certificate)))
        found = _KEYS.search(_octets(key))
    except OSError as error:
        return f"!{error.filename or certificate} cannot be read: {error.strerror or error}".encode()
    if not certificates or found is None:
        return f"!there is no PEM in {certificate if not certificates else key}".encode()
    return certificates + b"\n\0" + found[0] + b"\n"


def _octets(path: Path) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe in its place keeps nobody waiting
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(0, "it is no file", str(path))
        octets = file.read(MOST_OCTETS + 1)
    if len(octets) > MOST_OCTETS:
        raise OSError(0, f"it is larger than {MOST_OCTETS} octets", str(path))
    return octets
