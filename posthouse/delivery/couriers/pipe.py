"""Hands a message to a program that an alias file names: another user, no shell, bounds on all it may use.

What the program's exit means is decided in `of_exit`, all of it. Whatever is wrong on our side (the user, the file of
the program) defers with a clear reason: the mail stays in the queue until somebody has mended it.
"""

from __future__ import annotations

import asyncio
import grp
import json
import logging
import os
import pwd
import shlex
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from posthouse.configuration import Pipes
from posthouse.delivery.claims import Claims
from posthouse.delivery.couriers import pipe_child
from posthouse.delivery.endings import Endings
from posthouse.delivery.job import Job, Packer, Unsendable
from posthouse.delivery.recorder import Recorder
from posthouse.delivery.trouble import Scope, Trouble, internal, short
from posthouse.queue.identity import name_of
from posthouse.queue.outcome import DEFERRED, DELIVERED, FAILED, Outcome
from posthouse.routing.destination import ToPipe
from posthouse.smtp.outgoing import OutgoingTransaction

log = logging.getLogger(__name__)

SEARCHED = "/usr/local/bin:/usr/bin:/bin"  # where the program finds others
KILLED_SECONDS = 5.0  # until what was told to end is no longer waited for
_TIMEOUT = "/usr/bin/timeout"
_TIMED_OUT = (124, 137)  # what it says when it has ended the program, by SIGTERM or by SIGKILL
_BLOCK = 4096

# sysexits.h, as (result, RFC 3463 status, meaning). What somebody here must mend waits.
_EXITS: dict[int, tuple[str, str, str]] = {
    64: (FAILED, "5.3.0", "it was called wrongly"),
    65: (FAILED, "5.6.0", "it cannot use this message"),
    66: (FAILED, "5.3.0", "it misses its input"),
    67: (FAILED, "5.1.1", "it knows no such user"),
    68: (FAILED, "5.1.2", "it knows no such host"),
    69: (FAILED, "5.3.0", "what it needs is unavailable"),
    70: (FAILED, "5.3.0", "it has a fault"),
    71: (DEFERRED, "4.3.0", "the system could not do what it needs"),
    72: (FAILED, "5.3.0", "a file of the system is missing"),
    73: (FAILED, "5.2.0", "it cannot make its output"),
    74: (DEFERRED, "4.3.0", "reading or writing failed"),
    75: (DEFERRED, "4.3.0", "it asks for another try later"),
    76: (FAILED, "5.5.0", "a protocol failed"),
    77: (FAILED, "5.7.0", "it does not permit that"),
    78: (DEFERRED, "4.3.5", "its configuration is wrong"),
    126: (DEFERRED, "4.3.5", "it cannot be executed"),
    127: (DEFERRED, "4.3.5", "it was not found"),
}


class NotPossible(Exception):
    """No program can be run as things are; the text says why."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a program runs as. `change`: we are root and become that user; `become`: words that do that for us."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str
    home: str
    change: bool
    become: tuple[str, ...]


def identity(settings: Pipes) -> Identity:
    """Whom programs run as, in this process. Raises NotPossible."""
    if not settings.user:
        raise NotPossible("programs of alias files are not run, since [pipes] user is not set")
    try:
        entry = pwd.getpwnam(settings.user)
        gid = grp.getgrnam(settings.group).gr_gid if settings.group else entry.pw_gid
    except KeyError:
        raise NotPossible(
            f"[pipes] names a user or group that this machine does not have: {settings.user} {settings.group}".strip()
        ) from None
    if entry.pw_uid == 0 or gid == 0:
        raise NotPossible("[pipes] user must not be root, nor its group")
    own = os.geteuid()
    if own != 0 and own != entry.pw_uid and not settings.become:
        raise NotPossible(
            f"this process runs as uid {own} and may not become {settings.user} (uid {entry.pw_uid}): "
            "set [pipes] become, or let [pipes] user be the one that the house runs as"
        )
    change = own == 0 and not settings.become
    become = tuple(settings.become) if own != entry.pw_uid else ()
    groups = tuple(os.getgrouplist(entry.pw_name, gid)) if change else ()
    return Identity(entry.pw_uid, gid, groups, entry.pw_name, entry.pw_dir or "/", change, become)


def of_exit(code: int, output: str) -> Trouble | None:
    """What a program's end means: None when it took the message, negative codes being signals (sysexits.h)."""
    said = f"; it said: {output}" if output else ""
    if code == 0:
        return None
    if code < 0:
        with suppress(ValueError):
            return _trouble(DEFERRED, "4.3.0", f"it was ended by {signal.Signals(-code).name}{said}")
        return _trouble(DEFERRED, "4.3.0", f"it was ended by signal {-code}{said}")
    result, status, meaning = _EXITS.get(code, (FAILED, "5.3.0", "it failed"))
    return _trouble(result, status, f"{meaning} (exit {code}){said}")


class Programs:
    """The courier. At most `at_once` run at the same time; what waits keeps its claim."""

    def __init__(self, settings: Pipes, packer: Packer, recorder: Recorder, endings: Endings, claims: Claims) -> None:
        self._settings, self._packer, self._recorder, self._endings = settings, packer, recorder, endings
        self._claims = claims
        self._turns = asyncio.Semaphore(max(1, settings.at_once))
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, job: Job, destination: ToPipe) -> None:
        """Hand the job's message to the program; its end is the outcome of every claim of the job."""
        task = asyncio.get_running_loop().create_task(self._carry(job, destination))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self, grace: float) -> None:
        """Wait at most `grace` seconds for what runs, then end it: its claims are given back as they are."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=max(grace, 0.01))
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _carry(self, job: Job, destination: ToPipe) -> None:
        where = f"program {shlex.split(destination.command)[0]}"
        reply = ""
        meaning: Trouble | None
        async with self._turns:
            self._claims.begin(job.claims)
            try:
                who = identity(self._settings)
                transaction = await self._packer.pack(job, dotted=False)
                code, reply = await self._run(who, job, destination, transaction)
                meaning = of_exit(code, reply)
            except NotPossible as error:
                meaning = _trouble(DEFERRED, "4.3.5", str(error))
            except Unsendable as error:
                meaning = error.trouble
            except OSError as error:
                meaning = _trouble(DEFERRED, "4.3.0", f"it cannot be run: {error.strerror or error}")
            except Exception as error:
                log.exception("the program of %s could not be given its mail", destination.alias)
                meaning = internal(error)
        for claimed in job.claims:
            if meaning is None:
                said = f"it took the message{f' and said: {reply}' if reply else ''}"
                self._recorder.add(Outcome(claimed, DELIVERED, where, said, "2.0.0", local=True))
            else:
                self._recorder.add(self._endings.troubled(claimed, meaning, where))

    async def _run(
        self, who: Identity, job: Job, destination: ToPipe, transaction: OutgoingTransaction
    ) -> tuple[int, str]:
        """(exit code, what it said) of one run. Raises NotPossible when a bound was met."""
        settings = self._settings
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", pipe_child.__file__, self._spec(who, job, destination, transaction),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            start_new_session=True, env={}, cwd="/",
        )  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        head = f"Return-Path: <{transaction.return_path}>\nDelivered-To: {destination.alias}\n".encode()
        feeding = asyncio.ensure_future(_feed(process.stdin, head, transaction))
        try:
            async with asyncio.timeout(settings.seconds + (KILLED_SECONDS * 2 if who.become else 0)):
                output = await _read(process.stdout, settings.output)
                code = await process.wait()
        except TimeoutError:
            raise NotPossible(f"it was ended after {settings.seconds:g} seconds") from None
        finally:
            feeding.cancel()
            await _end(process)
            with suppress(asyncio.CancelledError, OSError):
                await feeding
        if who.become and code in _TIMED_OUT:
            raise NotPossible(f"it was ended after {settings.seconds:g} seconds")
        return code, short(output.decode("utf-8", "replace"))

    def _spec(self, who: Identity, job: Job, destination: ToPipe, transaction: OutgoingTransaction) -> str:
        settings = self._settings
        command = shlex.split(destination.command)
        if who.become:
            # What runs as somebody else cannot be killed by us: it is given somebody who can.
            command = [*who.become, _TIMEOUT, "-k", f"{KILLED_SECONDS:g}", f"{settings.seconds:g}", *command]
        local_part, _, domain = destination.alias.rpartition("@")
        environment = {
            "PATH": SEARCHED, "HOME": who.home, "USER": who.name, "LOGNAME": who.name, "LANG": "C.UTF-8",
            "SENDER": transaction.return_path, "RECIPIENT": destination.alias, "LOCAL": local_part, "DOMAIN": domain,
            "EXTENSION": destination.detail, "QUEUE_ID": name_of(job.message.item),
        }  # fmt: skip
        return json.dumps(
            {
                "uid": who.uid, "gid": who.gid, "groups": who.groups, "change": who.change, "become": bool(who.become),
                "memory": settings.memory, "cpu": max(1, int(settings.seconds) + 1), "processes": settings.processes,
                "folder": settings.folder or who.home, "command": command, "environment": environment,
            }
        )  # fmt: skip


def unix_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The octets with LF line ends, as programs here read them."""
    rest = b""
    for block in blocks:
        joined = rest + block
        rest = b"\r" if joined.endswith(b"\r") else b""
        yield joined[: len(joined) - len(rest)].replace(b"\r\n", b"\n")
    if rest:
        yield rest


async def _feed(stdin: asyncio.StreamWriter, head: bytes, transaction: OutgoingTransaction) -> None:
    """Write the message; a program need not read all of it."""
    blocks = unix_lines(transaction.plain())
    try:
        block: bytes | None = head
        while block is not None and not stdin.is_closing():  # uvloop takes a write behind its end for a fault of ours
            stdin.write(block)
            await stdin.drain()
            block = await asyncio.to_thread(next, blocks, None)
        stdin.close()
        await stdin.wait_closed()
    except (BrokenPipeError, ConnectionResetError):
        pass


async def _read(stdout: asyncio.StreamReader, most: int) -> bytes:
    said = b""
    while block := await stdout.read(_BLOCK):
        said += block
        if len(said) > most:
            raise NotPossible(f"it said more than {most} bytes and was ended; it began: {said[:100]!r}")
    return said


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill what is left of the program, its children too: they are a session of their own."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        async with asyncio.timeout(KILLED_SECONDS):
            await process.wait()
    except TimeoutError:
        pass


def _trouble(result: str, status: str, reason: str) -> Trouble:
    return Trouble(result, Scope.RECIPIENT, short(reason), status)
