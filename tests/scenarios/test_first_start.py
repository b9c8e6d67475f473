"""The first start of the trial: what it prints works, mail stays on the machine, it stops in order and starts again."""

from __future__ import annotations

import http.cookiejar
import json
import os
import pwd
import re
import shlex
import shutil
import smtplib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from tests.serving import Program, environment, until

LIST = "garden@lists.localhost"


class Trial:
    """A trial system on ports of its own, and a visitor with a browser."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "trial"
        self.transfer, self.web = free_port(2), free_port()
        self.data.mkdir()
        (self.data / "posthouse.toml").write_text(
            f'data_directory = "."\nhostname = "localhost"\ntrial = true\n'
            f'[reception]\ntransfer = ["127.0.0.1:{self.transfer}"]\nsubmission = ["127.0.0.1:{free_port()}"]\n'
            f'lmtp = ["127.0.0.1:{free_port()}"]\n'
            f'[web]\nlisten = ["127.0.0.1:{self.web}"]\nbase_url = "http://127.0.0.1:{self.web}"\n'
        )
        self.visitor = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        self.program: Program | None = None

    def start(self) -> str:
        """Start it; what it printed."""
        self.program = Program(self.folder, "trial", "--data", str(self.data))
        said = self.program.says(60, "Stop with Ctrl-C")
        self.program.listens(self.transfer)
        self.program.listens(self.web)
        return said

    def visits(self, path: str, values: dict[str, str] | None = None) -> tuple[int, str]:
        """(status, text) of a page."""
        address = path if path.startswith("http") else f"http://127.0.0.1:{self.web}{path}"
        data = urllib.parse.urlencode(values).encode() if values is not None else None
        try:
            with self.visitor.open(urllib.request.Request(address, data), timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode("utf-8", "replace")

    def outbox(self) -> str:
        return unescape(self.visits("/trial/outbox")[1])

    def runs(self, *words: str) -> str:
        """A command, found by its configuration as a person in the folder above would have it."""
        ran = subprocess.run(
            [sys.executable, "-m", "posthouse", *words], cwd=self.folder, capture_output=True, text=True, check=False,
            env=environment(POSTHOUSE_CONFIG=str(self.data / "posthouse.toml")),
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def checks(self) -> str:
        """What `posthouse check-config` warns of."""
        asked = [sys.executable, "-m", "posthouse", "--config", str(self.data / "posthouse.toml"), "check-config"]
        ran = subprocess.run(asked, cwd=self.folder, capture_output=True, text=True, check=False, env=environment())
        assert ran.returncode == 0, ran.stderr
        return ran.stderr

    def says(self, line: str) -> str:
        """Type a line that was printed."""
        words = shlex.split(line)
        words[0] = sys.executable if words[0] == "python3" else words[0]
        ran = subprocess.run(words, cwd=self.folder, env=environment(), capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    made = Trial(tmp_path)
    yield made
    if made.program is not None:
        made.program.kill()


def line_of(said: str, word: str) -> str:
    [line] = [line.strip() for line in said.splitlines() if line.strip().startswith(word)]
    return line


def test_what_the_first_start_prints_works(trial: Trial) -> None:
    said = trial.start()

    status, front = trial.visits(line_of(said, "The site").split()[-1])
    assert status == 200 and LIST in front
    posted = trial.says(line_of(said, "python3 -m posthouse.operations.post"))
    assert posted.startswith("250 2.0.0")
    until(lambda: "[garden] Tomatoes" in trial.outbox(), 10, "the copy is in the outbox")
    for member in ("ana@far.example", "ben@far.example", "cleo@near.example", "owen@far.example"):
        assert member in trial.outbox()
    [number, *_] = re.findall(r'href="/trial/outbox/(\d+)"', trial.outbox())
    assert "Ripe at last." in trial.visits(f"/trial/outbox/{number}")[1]
    assert "Tomatoes" in trial.visits(f"/archives/{LIST}/")[1]

    link = re.search(r"http\S+/sign-in/\S+", line_of(said, "Sign in"))[0]
    _, page = trial.visits(link)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]
    assert trial.visits(link, {"csrfmiddlewaretoken": token})[0] == 200
    status, held = trial.visits("/held/")
    assert status == 200 and "Nothing waits" in held
    spent, _ = trial.visits(link, {"csrfmiddlewaretoken": token})
    assert spent in (403, 410), "the link signs in once"
    assert "delivered" in trial.runs("trace", "ana@far.example")


def test_swaks_posts_as_printed(trial: Trial) -> None:
    if not shutil.which("swaks"):
        if os.environ.get("CI") == "true":
            pytest.fail("swaks is not installed")
        pytest.skip("swaks is not installed: its line is not tried")
    said = trial.start()
    assert "250 2.0.0 Ok: queued as" in trial.says(line_of(said, "swaks"))
    until(lambda: "[garden] Tomatoes" in trial.outbox(), 10, "the copy is in the outbox")


def test_some_recipients_provoke_what_far_hosts_do(trial: Trial) -> None:
    said = trial.start()
    names = ("reject-550", "defer-451", "slow-5s", "drop")
    trial.runs("members", "add", LIST, *(f"{name}@far.example" for name in names))
    began = time.monotonic()
    trial.says(line_of(said, "python3 -m posthouse.operations.post"))

    def queue() -> dict[str, str]:
        found: dict[str, str] = {}
        for line in json.loads(trial.runs("queue", "list", "--json"))["messages"]:
            shown: Any = json.loads(trial.runs("queue", "show", line["name"], "--json"))
            found |= {one["recipient"].partition("@")[0]: one["last_reply"] for one in shown["deliveries"]}
        return found

    until(lambda: "slow-5s" in trial.outbox(), 20, "the slow one arrives")
    assert time.monotonic() - began >= 5
    waiting = queue()
    assert "451" in waiting["defer-451"] and "connection lost" in waiting["drop"]
    assert set(waiting) == {"defer-451", "drop"}
    [bounced] = [one for one in json.loads(trial.runs("members", "list", LIST, "--json")) if one["bounces"]]
    assert bounced["address"] == "reject-550@far.example" and "550 5.1.1" in bounced["last_bounce"]
    for name in ("reject-550", "defer-451", "drop"):
        assert name not in trial.outbox()


def test_it_stops_in_order_and_starts_again_with_everything(trial: Trial) -> None:
    said = trial.start()
    trial.says(line_of(said, "python3 -m posthouse.operations.post"))
    until(lambda: "[garden] Tomatoes" in trial.outbox(), 10, "the copy is in the outbox")
    assert trial.program is not None
    trial.program.stop()
    assert "Traceback" not in trial.program.complaints.read_text()

    again = trial.start()

    assert "First start" not in trial.program.complaints.read_text()
    assert "/sign-in/" in again and "Tomatoes" in trial.visits(f"/archives/{LIST}/")[1]
    trial.program.stop()


def test_a_taken_port_is_named_with_its_holder(trial: Trial) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", trial.transfer))
        holder.listen()
        taken, trial.transfer = trial.transfer, trial.transfer + 1
        ours = f"is taken by {Path('/proc/self/comm').read_text().strip()} (process {os.getpid()})"

        said = trial.start()

        assert trial.program is not None
        told = trial.program.complaints.read_text()
        assert f"Port {taken} on 127.0.0.1 {ours}; trying {taken + 1}." in told
        assert f"--port {taken + 1} " in said
        trial.program.stop()

        path = trial.data / "posthouse.toml"
        path.write_text(path.read_text().replace("trial = true", "trial = false"))
        ran = subprocess.run(
            [sys.executable, "-m", "posthouse", "serve"], cwd=trial.folder, capture_output=True, text=True, check=False,
            env=environment(POSTHOUSE_CONFIG=str(path)),
        )  # fmt: skip
        assert ran.returncode == 1
        assert f"transfer: port {taken} on 127.0.0.1 {ours}; stop that program or choose another port" in ran.stderr


def test_status_shows_what_is_bound_and_by_whom(trial: Trial) -> None:
    trial.start()
    assert trial.program is not None
    shown = json.loads(trial.runs("status", "--json"))["listeners"]
    said = {(one["listener"], one["address"]): one["held"] for one in shown}
    assert set(said) >= {("transfer", f"127.0.0.1:{trial.transfer}"), ("web", f"127.0.0.1:{trial.web}")}
    assert {name for name, _ in said} == {"transfer", "submission", "lmtp", "web"}
    assert all(held.endswith(f"(process {trial.program.process.pid})") for held in said.values()), said
    trial.program.stop()
    said = {one["listener"]: one["held"] for one in json.loads(trial.runs("status", "--json"))["listeners"]}
    assert set(said.values()) == {""}, "nobody holds them now"


def test_mail_and_pages_are_served_over_ipv6_too(trial: Trial) -> None:
    path = trial.data / "posthouse.toml"
    text = path.read_text()
    for port in (trial.transfer, trial.web):
        text = text.replace(f'["127.0.0.1:{port}"]', f'["127.0.0.1:{port}", "[::1]:{port}"]')
    path.write_text(text)
    trial.start()
    assert trial.program is not None
    with smtplib.SMTP("::1", trial.transfer, timeout=60) as client:
        assert client.ehlo("client.far.example")[0] == 250
    for host in ("127.0.0.1", "[::1]"):
        status, page = trial.visits(f"http://{host}:{trial.web}/lists/{LIST}/")
        assert status == 200 and LIST in page, host
    trial.program.stop()


def test_the_whole_house_fits_into_a_small_machine(trial: Trial) -> None:
    said = trial.start()
    trial.says(line_of(said, "python3 -m posthouse.operations.post"))
    until(lambda: "[garden] Tomatoes" in trial.outbox(), 10, "the copy is in the outbox")
    trial.visits(f"/archives/{LIST}/")
    assert trial.program is not None
    parent = trial.program.process.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    assert len(children) >= 3
    rollups = [Path(f"/proc/{one}/smaps_rollup").read_text() for one in (parent, *children)]
    used = sum(int(match[1]) for text in rollups if (match := re.search(r"(?m)^Pss:\s+(\d+) kB", text)))
    assert 0 < used < 256 * 1024, "half of a machine with 512 MiB"
    trial.program.stop()


def test_what_is_kept_is_for_nobody_else_on_this_machine(trial: Trial) -> None:
    said = trial.start()
    trial.says(line_of(said, "python3 -m posthouse.operations.post"))
    until(lambda: "[garden] Tomatoes" in trial.outbox(), 10, "the copy is in the outbox")
    kept = {path.name: path.stat().st_mode for path in trial.data.rglob("*") if not path.is_symlink()}
    assert "posthouse.sqlite3" in kept and "secret" in kept
    del kept["posthouse.toml"]  # the test wrote it
    assert {name: oct(mode) for name, mode in kept.items() if mode & 0o007} == {}
    assert "Warning" not in trial.checks()
    (trial.data / "posthouse.sqlite3").chmod(0o644)
    with (trial.data / "posthouse.toml").open("a") as file:
        file.write('[next_hops."a.example"]\nhosts = ["[b.example]"]\ntls = "verified"\nuser = "x"\npassword = "y"\n')
    path = trial.data / "posthouse.toml"
    path.write_text('user = "nobody"\n' + path.read_text())
    told = trial.checks()
    assert f"{trial.data} belongs to {pwd.getpwuid(os.getuid()).pw_name}, the service runs as nobody" in told
    assert "posthouse.sqlite3 can be read by everybody" in told and "posthouse.toml can be read or changed" in told
    assert trial.program is not None
    trial.program.stop()


def test_serving_without_tables_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "posthouse.toml").write_text('data_directory = "new"\n')
    ran = subprocess.run(
        [sys.executable, "-m", "posthouse", "serve"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env=environment(),
    )  # fmt: skip
    assert ran.returncode == 4 and "run: posthouse migrate" in ran.stderr and ran.stdout == ""


def test_whoever_has_read_enough_hears_no_complaint(tmp_path: Path) -> None:
    (tmp_path / "posthouse.toml").write_text('data_directory = "data"\n')
    start = [sys.executable, "-m", "posthouse", "--config", "posthouse.toml"]
    subprocess.run([*start, "migrate"], cwd=tmp_path, env=environment(), capture_output=True, check=True)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nobody_reads:
        ran = subprocess.run(
            [*start, "domains", "list"], cwd=tmp_path, env=environment(), stdout=nobody_reads, stderr=subprocess.PIPE,
            text=True, check=False,
        )  # fmt: skip
    assert ran.stderr == ""
