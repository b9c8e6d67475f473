"""The house under test: real listeners on free ports, a delivery that runs when it is told, a clock the test owns."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
import re
import socket
import threading
import time
from collections.abc import Coroutine, Iterator, Sequence
from html import unescape
from typing import Any, TypeVar

from click.testing import CliRunner, Result

from posthouse import configuration, database, maillog
from posthouse.configuration import Configuration
from posthouse.delivery.runner import Runner
from posthouse.directory import domains
from posthouse.dns.zone import FixedZone
from posthouse.dns.zone_server import serve as serve_zone
from posthouse.lists import creation, roster
from posthouse.reception.station import Reception
from tests.outside import Outside

T = TypeVar("T")
BACKED_UP = "backup.example"  # a domain that the house takes mail for from anybody, to pass it on


class Clock:
    """A clock that stands still unless the test moves it. Seconds since 1970 UTC.

    It stands a minute ahead: web pages and commands read the real clock, and what they put in the queue is due.
    """

    def __init__(self) -> None:
        self.at = float(int(time.time())) + 60

    def __call__(self) -> float:
        return self.at

    def passes(self, *, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        """Let time pass."""
        self.at += minutes * 60 + hours * 3600 + days * 86400


class WallClock(Clock):
    """The real time, for what is measured."""

    def __call__(self) -> float:
        return time.time()


class House:
    """Reception and delivery in this process, in an event loop of their own; the web through `Browser`."""

    def __init__(
        self,
        chosen: Configuration,
        outside: Outside,
        clock: Clock | None = None,
        smarthost: str = "",
        policy: dict[str, Any] | None = None,
    ) -> None:
        self.smarthost = smarthost
        # Nobody waits for a second try, and no other host is asked about a recipient, unless that is the test.
        self.policy = {"greylist": "off", "recipient": "off"} | (policy or {})
        self.clock = clock or Clock()
        self.outside = outside
        outside.house = self
        self.zone = FixedZone()
        for name in ("far.example", "near.example", "elsewhere.example", BACKED_UP):
            self.zone.put(name, "MX", f"10 mx.{name}.")
            self.zone.put(f"mx.{name}", "A", "127.0.0.1")
        self.configuration = chosen
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._stack = contextlib.AsyncExitStack()
        self._held = False

    def call(self, coroutine: Coroutine[Any, Any, T], timeout: float = 60) -> T:
        """Run a coroutine in the house's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout)

    def open(self) -> None:
        """Start the stations."""
        self._thread.start()
        self.call(self._open())

    async def _open(self) -> None:
        address, port = await self._stack.enter_async_context(serve_zone(self.zone))
        chosen = dataclasses.replace(
            self.configuration,
            reception=dataclasses.replace(self.configuration.reception, relay_domains=[BACKED_UP]),
            dns=configuration.Dns(nameservers=[f"{address}:{port}"], timeout=20.0),
            delivery=dataclasses.replace(
                self.configuration.delivery, port=self.outside.port, ignore_targets=[], smarthost=self.smarthost
            ),
            policy=dataclasses.replace(self.configuration.policy, **self.policy),
            maillog=configuration.Maillog(stderr=False),
            web=dataclasses.replace(self.configuration.web, base_url="https://lists.example"),
        )
        self.configuration = chosen
        configuration.activate(chosen)
        self.bridge = database.Bridge()
        self.reception = Reception(chosen, self.bridge, self.clock, random.random)
        kinds = ["transfer", "submission", "lmtp", *(["service"] if chosen.service.listen else [])]
        await self.reception.start({name: [_socket()] for name in kinds})
        self.runner = Runner(chosen, self.bridge, self.clock, random.random)
        await self.runner.start()

    def close(self) -> None:
        """Stop the stations and end the loop."""
        with contextlib.suppress(AttributeError):
            self.call(self.reception.stop(5.0))
            self.call(self.runner.stop(5.0))
            self.bridge.close()
        self.call(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    @property
    def port(self) -> int:
        """Where the house takes mail from other hosts."""
        return self.reception.endpoints()["transfer"][0][1]

    @property
    def submission_port(self) -> int:
        """Where accounts hand mail in."""
        return self.reception.endpoints()["submission"][0][1]

    @property
    def lmtp_port(self) -> int:
        """Where an MTA in front hands mail in."""
        return self.reception.endpoints()["lmtp"][0][1]

    def holds(self) -> None:
        """Deliver nothing but when the house `settles`: what came stays in the queue to be looked at."""
        self.call(self.runner._turn.acquire())
        self._held = True

    def settles(self) -> None:
        """Run until nothing is due."""
        if self._held:
            self._loop.call_soon_threadsafe(self.runner._turn.release)
        self.call(self.runner.settle())
        if self._held:
            self.call(self.runner._turn.acquire())
        maillog.flush()

    def passes(self, **time_: float) -> None:
        """Let time pass, then run until nothing is due."""
        self.clock.passes(**time_)
        self.settles()

    def runs(self, *words: str, given: str = "") -> Result:
        """Run a command of ours with this house's configuration: its `exit_code`, `stdout` and `stderr`."""
        from posthouse.operations.cli import cli

        path = self.configuration.data / configuration.FILE_NAME
        path.write_text(configuration.describe(self.configuration, secrets=True), encoding="utf-8")
        try:
            return CliRunner().invoke(cli, ["--config", str(path), *words], input=given, prog_name="posthouse")
        finally:
            configuration.activate(self.configuration)

    def has_list(
        self, address: str, members: Sequence[str] = (), owner: str = "owen@far.example", **settings: str
    ) -> None:
        """Create a list with members (and its domain where it is missing)."""
        domain = address.rpartition("@")[2]
        if domain not in [one.name for one in domains.all_domains()]:
            domains.add(domain)
        creation.create(address, [owner], settings.pop("style", "discussion"))
        if settings:
            creation.set_settings(address, settings)
        for member in members:
            roster.add(address, member)


def _socket() -> socket.socket:
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen(200)
    made.setblocking(False)
    return made


@contextlib.contextmanager
def running(
    chosen: Configuration,
    outside: Outside | None = None,
    clock: Clock | None = None,
    smarthost: str = "",
    policy: dict[str, Any] | None = None,
) -> Iterator[House]:
    """A house that is open inside the block; `policy`: modes and settings of `[policy]` other than the defaults."""
    far = outside or Outside()
    far.start()
    house = House(chosen, far, clock, smarthost, policy)
    try:
        house.open()
        yield house
    finally:
        house.close()
        far.stop()


@dataclasses.dataclass
class Page:
    """What a visit gave."""

    status: int
    html: str
    headers: dict[str, str]
    content: bytes

    @property
    def text(self) -> str:
        """The page as a person reads it: no tags, white space folded."""
        without = re.sub(r"(?s)<(script|style)\b.*?</\1>|<[^>]+>", " ", self.html)
        return " ".join(unescape(without).split())

    def form(self, action: str) -> dict[str, str]:
        """The hidden fields of the form to be posted whose action contains `action`."""
        forms = re.findall(r"(?s)<form([^>]*)>(.*?)</form>", self.html)
        posted = [body for head, body in forms if 'method="post"' in head and action in (_attribute(head, "action"))]
        assert posted, f"no form {action!r} on the page: {self.text[:500]}"
        hidden = re.findall(r'<input[^>]*type="hidden"[^>]*>', posted[0])
        pairs = [(re.search(r'name="([^"]*)"', one), re.search(r'value="([^"]*)"', one)) for one in hidden]
        return {name[1]: unescape(value[1]) if value else "" for name, value in pairs if name}


class Browser:
    """Visits pages as a person without JavaScript does; keeps its cookies."""

    def __init__(self) -> None:
        from django.test import Client

        self._client = Client(enforce_csrf_checks=True)

    def visits(self, path: str, **headers: str) -> Page:
        """GET a page."""
        return self._page(self._client.get(_path(path), secure=True, headers=headers or None))

    def posts(self, path: str, values: dict[str, str], **headers: str) -> Page:
        """POST a form."""
        sent = {"referer": "https://testserver/", **headers}
        return self._page(self._client.post(_path(path), values, secure=True, headers=sent))

    def signs_in(self, address: str) -> None:
        """Follow a sign-in link."""
        from posthouse.directory import accounts

        path = f"/sign-in/{accounts.sign_in_link(address, time.time_ns() // 1_000_000)}/"
        page = self.visits(path)
        answer = self.posts(path, page.form(""))
        assert answer.status == 302, answer.text

    @staticmethod
    def _page(answer: Any) -> Page:
        content = answer.getvalue() if hasattr(answer, "getvalue") else answer.content
        if answer.headers.get("Content-Encoding") == "gzip":
            import gzip

            content = gzip.decompress(content)
        html = content.decode("utf-8", "replace")
        return Page(answer.status_code, html, dict(answer.headers.items()), content)


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf'{name}="([^"]*)"', tag)
    return unescape(found[1]) if found else ""


def _path(path: str) -> str:
    return re.sub(r"^https?://[^/]+", "", path)
