"""The roster of a list with N members (10,000): added, shown page by page, searched; beside Mailman's figures.

`python -m bench roster [N]`
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIST, OWNER = "garden@lists.example", "owen@far.example"
# Mailman 3.3.10 on SQLite with 5,000 members, over its REST interface: seconds.
MAILMAN = {
    "the whole roster": 5.9,
    "one page of the roster": 0.85,
    "members by delivery mode, a page": 3.9,
}
MAILMAN_ADDS = 430  # members a second, by its Python interface in transactions of 500; by REST 110
RUNS = 15
POSTING = b"From: Person 1 <person000001@h1.example>\r\nTo: garden@lists.example\r\nSubject: x\r\n\r\nx\r\n"


def main(arguments: list[str]) -> None:
    """Measure."""
    count = next((int(word) for word in arguments if word.isdigit()), 10_000)
    with tempfile.TemporaryDirectory(prefix="posthouse-roster-") as folder:
        _measure(count, Path(folder))


def _measure(count: int, folder: Path) -> None:
    from posthouse import configuration, database

    data = folder / "data"
    data.mkdir()
    configuration.activate(configuration.Configuration(data_directory=str(data), hostname="mail.example"))
    database.setup()
    os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    from django.core.management import call_command
    from django.test import Client

    call_command("migrate", verbosity=0)
    from posthouse.content import keeping
    from posthouse.content.spool import spooled_from
    from posthouse.directory import accounts, domains
    from posthouse.directory.models import Account
    from posthouse.lists import creation, looking, mass

    domains.add("lists.example")
    creation.create(LIST, [OWNER])
    account = accounts.create(OWNER)
    lines = [f"Person {n} <person{n:06}@h{n % 200}.example>" for n in range(count)]
    begun = time.perf_counter()
    report = mass.add(LIST, lines, time.time_ns() // 1_000_000, by="bench")
    _say(f"{report.added:,} members added, one transaction", time.perf_counter() - begun, count / MAILMAN_ADDS)

    pk = creation.show(LIST).pk
    with database.transaction():
        content_id = keeping.keep(spooled_from(POSTING))
    _say("recipients of a posting, counted", _median(lambda: _recipients(pk, content_id)), None)

    client = Client()
    client.force_login(Account.objects.get(pk=account.id))
    path = f"/lists/{LIST}/members/"

    def page(query: str = "") -> Any:
        answer = client.get(path + query)
        assert answer.status_code == 200
        return answer

    _say("the whole roster", _median(lambda: looking.page(pk, limit=count), 5), MAILMAN["the whole roster"])
    _say("one page of the roster", _median(lambda: looking.page(pk)), MAILMAN["one page of the roster"])
    _say("the web page of 100 members", _median(page), MAILMAN["one page of the roster"])
    middle = f"?after=person{count // 2:06}@h0.example"
    _say("the web page from the middle", _median(lambda: page(middle)), MAILMAN["one page of the roster"])
    _say("search of a member, web page", _median(lambda: page("?q=person0042")),
         MAILMAN["members by delivery mode, a page"])  # fmt: skip


def _recipients(pk: int, content_id: int) -> int:
    """How many get a posting by a member: the question that distribution asks, answered without being enqueued."""
    from posthouse import database
    from posthouse.lists.arrived import Arrived
    from posthouse.lists.models import MailingList
    from posthouse.lists.recipients import recipients

    arrived = Arrived(1, content_id, b"", "person000001@h1.example")
    select, parameters = recipients(MailingList.objects.select_related("domain").get(pk=pk), arrived)
    return int(database.fetch(f"SELECT count(*) FROM ({select}) AS chosen", parameters)[0][0])


def _median(act: Callable[[], Any], runs: int = RUNS) -> float:
    act()
    taken = []
    for _ in range(runs):
        begun = time.perf_counter()
        act()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def _say(what: str, seconds: float, theirs: float | None) -> None:
    beside = f"   Mailman {theirs:5.2f} s: {theirs / seconds:6.0f} times" if theirs else ""
    print(f"{what:42} {seconds * 1000:9.1f} ms{beside}", flush=True)
