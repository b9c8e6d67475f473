"""A small NNTP client: what a gateway asks of a news server, with every line, article and wait bounded (RFC 3977)."""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from posthouse.smtp.data import canonical, stuff

LONGEST_LINE = 16 * 1024  # octets of a reply, or of one line of a list of numbers
_PIECE = 64 * 1024


class NewsError(Exception):
    """The news server cannot be used now; later it may be."""


class NewsRefused(NewsError):
    """The server is there and does not want this: the text is what it said. `code`: its number (RFC 3977 §3.2)."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}".strip())
        self.code = code


class NewsServer:
    """One connection to a news server, as a context. Raises NewsError wherever the server or the way to it fails."""

    def __init__(
        self, host: str, port: int, *, tls: bool = False, timeout: float = 20.0, longest: float = 120.0
    ) -> None:
        """`timeout`: seconds the server may be silent; `longest`: seconds for all of the conversation."""
        self._host, self._port, self._tls, self._timeout = host, port, tls, timeout
        self._until = time.monotonic() + longest
        self._socket: socket.socket | None = None
        self._buffer = bytearray()
        self.is_secret = False

    def __enter__(self) -> Self:
        try:
            self._socket = socket.create_connection((self._host, self._port), self._timeout)
            if self._tls:
                self._wrap()
        except (OSError, ssl.SSLError) as error:
            self.close()
            raise NewsError(f"{self._host}:{self._port} cannot be reached: {error}") from error
        try:
            self._expect(200, 201)  # RFC 3977 §5.1
            if not self._tls and "STARTTLS" in self._capabilities():
                self.ask("STARTTLS", 382)  # RFC 4642 §2.2
                self._buffer.clear()  # what came before the handshake is nobody's word
                self._wrap()
            return self
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None:
                self.ask("QUIT", 205)
        except NewsError:
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def sign_in(self, user: str, password: str) -> None:
        """AUTHINFO USER and PASS (RFC 4643 §2.3); never in clear over a network."""
        if not self.is_secret and not self._is_near():
            raise NewsError("the server offers no TLS: the password is not sent")
        if self.ask(f"AUTHINFO USER {user}", 281, 381)[0] == 381:
            self.ask(f"AUTHINFO PASS {password}", 281)

    def mode_reader(self) -> None:
        """Ask to be served as a reader (RFC 3977 §5.3); servers that need no asking may not know the command."""
        try:
            self.ask("MODE READER", 200, 201)
        except NewsRefused as error:
            if error.code not in (500, 501):
                raise

    def group(self, name: str) -> tuple[int, int]:
        """Choose a newsgroup: its lowest and highest number (RFC 3977 §6.1.1)."""
        code, text = self.ask(f"GROUP {name}", 211)
        found = re.match(r"\d+ (\d{1,18}) (\d{1,18})", text)
        if not found:
            raise NewsRefused(code, text)
        return int(found[1]), int(found[2])

    def numbers(self, name: str, first: int, last: int) -> list[int]:
        """The articles that there are from `first` to `last`, in order (RFC 3977 §6.1.2)."""
        self.ask(f"LISTGROUP {name} {first}-{last}", 211)
        found = {int(line) for line in self._lines(len(str(last)) * (last - first + 2) * 40) if line.strip().isdigit()}
        return sorted(number for number in found if first <= number <= last)

    def article(self, number: int, most: int) -> bytes | None:
        """An article with CRLF line ends; None where it is gone, or larger than `most` octets (RFC 3977 §6.2.1)."""
        try:
            self.ask(f"ARTICLE {number}", 220)
        except NewsRefused as error:
            if error.code in (423, 430):
                return None
            raise
        kept, size = [], 0
        for line in self._lines(None):
            size += len(line) + 2
            if size <= most:
                kept.append(line)
        return b"\r\n".join([*kept, b""]) if size <= most else None

    def post(self, article: bytes) -> None:
        """Hand an article over (RFC 3977 §6.3.1); one the server has already counts as handed over."""
        self.ask("POST", 340)
        try:
            self._send(stuff(canonical(article)))
            code, text = self._reply()
        except OSError as error:
            raise NewsError(f"the connection broke: {error}") from error
        if code == 240 or (code == 441 and re.search(r"\b435\b|\bduplicate\b|already have", text, re.IGNORECASE)):
            return
        raise NewsRefused(code, text)

    def ask(self, command: str, *wanted: int) -> tuple[int, str]:
        """Send a command; its reply when it is one of `wanted`. Raises NewsRefused for another."""
        if re.search(r"[\r\n\0]", command) or len(command.encode("utf-8", "replace")) > 510:  # RFC 3977 §3.1
            raise NewsError("a command may hold neither line breaks nor more than 510 octets")
        try:
            self._send(command.encode("utf-8", "replace") + b"\r\n")
        except OSError as error:
            raise NewsError(f"the connection broke: {error}") from error
        return self._expect(*wanted)

    def _expect(self, *wanted: int) -> tuple[int, str]:
        code, text = self._reply()
        if code in wanted:
            return code, text
        if code in (400, 502) or code == 0:  # RFC 3977 §3.2.1: not now, or not for us
            raise NewsError(f"the news server says {code} {text}")
        raise NewsRefused(code, text)

    def _capabilities(self) -> set[str]:
        try:
            self.ask("CAPABILITIES", 101)
        except NewsRefused:
            return set()
        return {line.decode("ascii", "replace").split(" ")[0].upper() for line in self._lines(64 * 1024) if line}

    def _wrap(self) -> None:
        context = ssl.create_default_context()
        if self._is_near():
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        assert self._socket is not None
        try:
            self._socket = context.wrap_socket(self._socket, server_hostname=self._host)
        except (OSError, ssl.SSLError) as error:
            raise NewsError(f"TLS failed: {error}") from error
        self.is_secret = True

    def _is_near(self) -> bool:
        if self._host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self._host).is_loopback
        except ValueError:
            return False

    @property
    def seconds_left(self) -> float:
        """How long the conversation may last yet."""
        return self._until - time.monotonic()

    def _patient(self) -> socket.socket:
        """The socket, which waits no longer than there is time. Raises NewsError when there is none."""
        left = self.seconds_left
        if self._socket is None or left <= 0:
            raise NewsError("the conversation with the news server took too long")
        self._socket.settimeout(min(self._timeout, left))
        return self._socket

    def _send(self, octets: bytes) -> None:
        self._patient().sendall(octets)

    def _reply(self) -> tuple[int, str]:
        line = self._line(LONGEST_LINE).decode("utf-8", "replace")
        return (int(line[:3]), line[4:].strip()) if line[:3].isascii() and line[:3].isdigit() else (0, line[:200])

    def _lines(self, most: int | None) -> Iterator[bytes]:
        """The lines of a multi-line block, without its dots (RFC 3977 §3.1.1); at most `most` octets of them."""
        read = 0
        while (line := self._line(None)) != b".":
            read += len(line) + 2
            if most is not None and read > most:
                raise NewsError("the news server sends more than was asked for")
            yield line[1:] if line.startswith(b".") else line

    def _line(self, most: int | None) -> bytes:
        """One line without its end. `most`: octets; None: of a block, whose lines may be as long as messages' are."""
        longest = 1024 * 1024 if most is None else most
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > longest:
                raise NewsError("the news server sends a line without end")
            try:
                piece = self._patient().recv(_PIECE)
            except OSError as error:
                raise NewsError(f"the connection broke: {error}") from error
            if not piece:
                raise NewsError("the news server hung up")
            self._buffer += piece
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line.removesuffix(b"\r")
