"""A news server on the far side, small and strict: not built from the product's parts."""

from __future__ import annotations

import re
import socket
import socketserver
import ssl
import threading
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Group:
    """A newsgroup: its articles by number."""

    articles: dict[int, bytes] = field(default_factory=dict)
    highest: int = 0

    def add(self, article: bytes) -> int:
        self.highest += 1
        self.articles[self.highest] = article
        return self.highest


class FarNews:
    """A news server on a free port, as a context. `refuses`: what POST is answered in place of being taken."""

    def __init__(
        self, *groups: str, password: str = "", tls: ssl.SSLContext | None = None, at_once: bool = False
    ) -> None:
        self.groups = {name: Group() for name in groups}
        self.password, self.refuses, self.greeting, self.tls = password, "", "200 far news", tls
        self.leaks = b""  # what is sent in clear behind the answer to STARTTLS
        self.secret = 0  # conversations over TLS
        self.commands: list[str] = []
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                talk = _Talk(outer, self.rfile, self.wfile, self.connection)
                if at_once:
                    talk.encrypt()
                talk.run()

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads = True, True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> FarNews:
        self._thread.start()
        return self

    def __exit__(self, *ignored: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def known(self) -> set[bytes]:
        """The Message-IDs of all articles."""
        return {found for group in self.groups.values() for one in group.articles.values() for found in _ids(one)}


def _ids(article: bytes) -> list[bytes]:
    return re.findall(rb"(?im)^message-id:\s*(<[^>]+>)", article.partition(b"\r\n\r\n")[0])


class _Talk:
    def __init__(self, far: FarNews, rfile: Any, wfile: Any, connection: socket.socket) -> None:
        self.far, self.rfile, self.wfile, self.connection = far, rfile, wfile, connection
        self.offers_tls = far.tls is not None
        self.signed_in = not far.password

    def say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")

    def block(self, lines: list[bytes]) -> None:
        for line in lines:
            self.wfile.write((b"." if line.startswith(b".") else b"") + line + b"\r\n")
        self.wfile.write(b".\r\n")

    def run(self) -> None:
        self.say(self.far.greeting)
        while line := self.rfile.readline(600):
            command = line.decode().strip()
            self.far.commands.append(command)
            word, _, rest = command.partition(" ")
            if word.upper() == "QUIT":
                self.say("205 bye")
                return
            if not self.signed_in and word.upper() not in ("AUTHINFO", "CAPABILITIES", "MODE", "STARTTLS"):
                self.say("480 sign in first")
                continue
            getattr(self, f"do_{word.lower()}", self.unknown)(rest)

    def unknown(self, rest: str) -> None:
        self.say("500 what?")

    def do_capabilities(self, rest: str) -> None:
        self.say("101 list")
        self.block([b"VERSION 2", b"READER", b"POST", *([b"STARTTLS"] if self.offers_tls else [])])

    def do_starttls(self, rest: str) -> None:
        self.wfile.write(b"382 go on\r\n" + self.far.leaks)
        self.encrypt()

    def encrypt(self) -> None:
        assert self.far.tls is not None
        secret = self.far.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile, self.offers_tls = secret.makefile("rb"), secret.makefile("wb", 0), False
        self.far.secret += 1

    def do_mode(self, rest: str) -> None:
        self.say("200 posting allowed")

    def do_authinfo(self, rest: str) -> None:
        kind, _, value = rest.partition(" ")
        if kind.upper() == "USER":
            self.say("381 and the password")
        else:
            self.signed_in = value == self.far.password
            self.say("281 welcome" if self.signed_in else "481 no")

    def do_group(self, rest: str) -> None:
        group = self.far.groups.get(rest)
        if group is None:
            self.say("411 no such group")
        else:
            self.group = group
            self.say(f"211 {len(group.articles)} {min(group.articles, default=1)} {group.highest} {rest}")

    def do_listgroup(self, rest: str) -> None:
        name, _, span = rest.partition(" ")
        first, _, last = span.partition("-")
        self.say("211 numbers follow")
        self.block([b"%d" % one for one in self.far.groups[name].articles if int(first) <= one <= int(last)])

    def do_article(self, rest: str) -> None:
        found = self.group.articles.get(int(rest))
        if found is None:
            self.say("423 no such article")
        else:
            self.say(f"220 {rest} <x@far>")
            self.block(found.removesuffix(b"\r\n").split(b"\r\n"))

    def do_post(self, rest: str) -> None:
        self.say("340 go on")
        lines: list[bytes] = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                return None
            assert line.endswith(b"\r\n"), line
            lines.append(line[1:] if line.startswith(b"..") else line)
        article = b"".join(lines)
        header = article.partition(b"\r\n\r\n")[0] + b"\r\n"
        for name in (b"From", b"Date", b"Subject", b"Message-ID", b"Newsgroups"):
            if len(re.findall(rb"(?im)^" + name + rb":", header)) != 1:
                return self.say(f"441 437 it has not one {name.decode()}")
        if re.search(rb"(?im)^(received|xref|control|path|return-path):", header):
            return self.say("441 437 a field that only servers write")
        if set(_ids(article)) & self.far.known:
            return self.say("441 435 Duplicate")
        if self.far.refuses:
            return self.say(self.far.refuses)
        found = re.search(rb"(?im)^newsgroups: *([^\r\n]+)", header)
        assert found
        self.far.groups[found[1].decode()].add(article)
        self.say("240 posted")
        return None
