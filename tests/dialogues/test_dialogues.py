"""Every transcript in smtp/ is spoken to the real engine over a real socket, on asyncio and on uvloop."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvloop

from posthouse.smtp.session import Extensions
from tests.smtp.recording import LIMITS, RecordingSession, client_context, listening, server_context

SCRIPTS = sorted((Path(__file__).parent / "smtp").glob("*.txt"))
RUNNERS: dict[str, Callable[[Awaitable[None]], None]] = {"asyncio": asyncio.run, "uvloop": uvloop.run}  # type: ignore[dict-item]


@dataclass
class Transcript:
    """``C:`` sends a line with CRLF, ``C|`` joins it to the same write, ``X:`` sends octets written as a Python bytes
    literal's inside; ``S:`` expects a line (``...`` matches anything); ``closed`` expects the end, ``tls`` starts it.

    The heading may say ``lmtp``, ``tls`` (offered), ``auth`` (offered), ``slow`` (every answer is awaited), ``soft``
    (refusals are temporary), ``held`` (the greeting waits a moment). Behind
    ``== messages`` stand the return path, recipients and content of what was accepted.
    """

    options: set[str] = field(default_factory=set)
    steps: list[tuple[str, str]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)


def read(path: Path) -> Transcript:
    transcript = Transcript()
    lines = iter(path.read_text("utf-8").splitlines())
    for line in lines:
        if line.startswith("options:"):
            transcript.options = set(line.partition(":")[2].split())
        elif line == "== messages":
            transcript.messages = [rest for rest in lines if rest]
        elif line and not line.startswith("#"):
            kind, rest = (line, "") if line in ("closed", "tls") else (line[:2], line[2:].removeprefix(" "))
            assert kind in ("C:", "C|", "X:", "S:", "closed", "tls"), line
            transcript.steps.append((kind, rest))
    return transcript


def octets(kind: str, text: str) -> bytes:
    if kind == "X:":
        return text.encode("utf-8").decode("unicode_escape").encode("latin-1")
    return text.encode("utf-8") + b"\r\n"


async def speak(transcript: Transcript, directory: str, *, bytewise: bool) -> None:
    options = transcript.options
    extensions = Extensions(starttls=server_context(directory) if "tls" in options else None, auth="auth" in options)

    def make() -> RecordingSession:
        return RecordingSession(
            lmtp="lmtp" in options,
            limits=dataclasses.replace(LIMITS, soft_refusals="soft" in options),
            extensions=extensions,
            greet_delay=0.05 if "held" in options else 0.0,
            slow="slow" in options,
        )

    async with listening(make) as (port, sessions, _), asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        steps = transcript.steps
        for number, (kind, text) in enumerate(steps):
            if kind in ("C:", "C|", "X:"):
                writer.write(octets(kind, text))
                joined = number + 1 < len(steps) and steps[number + 1][0] in ("C|", "X:")
                if bytewise or not joined:
                    await writer.drain()
            elif kind == "S:":
                line = await reader.readline()
                pattern = re.escape(text).replace(re.escape("..."), ".*")
                assert re.fullmatch(pattern, line.decode().removesuffix("\r\n")), f"step {number}: {line!r} != {text}"
                assert line.endswith(b"\r\n")
            elif kind == "tls":
                await writer.start_tls(client_context(directory), server_hostname="localhost")
            else:
                assert await reader.read() == b""
        writer.close()
        [session] = sessions
        await session.gone.wait()
        seen = [
            f"{return_path} -> {' '.join(recipients)}: {content!r}"
            for return_path, recipients, content in session.messages
        ]
        assert seen == transcript.messages
        assert len(session.closings) == 1


@pytest.mark.parametrize("loop", RUNNERS)
@pytest.mark.parametrize("bytewise", [False, True], ids=["together", "apart"])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_the_server_speaks_as_written(
    script: Path, bytewise: bool, loop: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    transcript = read(script)
    directory = tmp_path_factory.getbasetemp()
    RUNNERS[loop](speak(transcript, str(directory), bytewise=bytewise and "together" not in transcript.options))
