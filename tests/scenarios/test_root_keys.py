"""Started as root with `user`: the TLS key that only root may read serves mail, also after a renewal."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from posthouse.configuration import Configuration
from posthouse.operations import roles
from posthouse.operations.key_keeper import begin
from posthouse.reception.certificates import Certificates, make_own
from tests.databases import fresh_sqlite
from tests.ports import free_port
from tests.serving import ROOT, Program, environment, until

NOBODY = 65534
HOST = "mx.lists.example"


PYTHON = """#!/bin/sh
# Python, also where it or the program lies in a folder that is closed to others: there, for this process and its
# children alone, the folder shows nothing but them, and is open.
set -e
if [ "$1" = --inside ]; then
    shift
    for path in {needed}; do mkdir -p "{hidden}$path"; mount --bind "$path" "{hidden}$path"; done
    for closed in {closed}; do mount -t tmpfs -o mode=755 tmpfs "$closed"; done
    for path in {needed}; do mkdir -p "$path"; mount --bind "{hidden}$path" "$path"; done
    exec {python} "$@"
fi
exec unshare --mount "$0" --inside "$@"
"""


def _python(folder: Path) -> Path:
    """A Python that other users can run, or the test is skipped."""
    needed = list(dict.fromkeys([sys.base_prefix, sys.prefix, str(ROOT)]))
    above = {parent for one in needed for parent in Path(one).parents if not parent.stat().st_mode & 0o001}
    closed = [str(one) for one in above if not set(one.parents) & above]
    script = folder / "python"
    script.write_text(
        PYTHON.format(
            needed=" ".join(one for one in needed if any(one.startswith(f"{top}/") for top in closed)),
            closed=" ".join(closed), hidden=folder / "hidden", python=sys.executable,
        )
    )  # fmt: skip
    script.chmod(0o755)
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    code = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"
    tried = [str(script), "-c", code, *become, sys.executable, "-c", "import posthouse.operations.cli"]
    ran = subprocess.run(tried, env=environment(), cwd="/", capture_output=True, text=True, check=False)
    if ran.returncode:
        pytest.skip(f"this machine lets no other user run {sys.executable}: {ran.stderr[-300:]}")
    return script


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that the service's user can reach (those of pytest are root's alone)."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    made = Path(tempfile.mkdtemp(prefix="posthouse-root-keys-"))
    made.chmod(0o755)
    try:
        monkeypatch.setattr(sys, "executable", str(_python(made)))
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def prepared(folder: Path) -> tuple[Path, int]:
    """A house of `nobody` with its certificate in root's own folder, as certbot keeps it; its file and port."""
    data, live, archive = folder / "data", folder / "letsencrypt/live", folder / "letsencrypt/archive"
    fresh_sqlite(data)
    data.chmod(0o750)
    for one in (live, archive):
        one.mkdir(parents=True, mode=0o700)
    renewed(folder, 1)
    port = free_port()
    file = folder / "posthouse.toml"
    file.write_text(
        f'hostname = "{HOST}"\ndata_directory = "{data}"\nuser = "{pwd.getpwuid(NOBODY).pw_name}"\n'
        f'[reception]\ntransfer = ["127.0.0.1:{port}"]\nsubmission = []\nlmtp = []\n'
        '[policy]\nflood = "off"\n'  # the test connects again and again
        f'[tls]\ncertificate = "{live}/fullchain.pem"\nkey = "{live}/privkey.pem"\n'
    )
    for path in (data, *data.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    return file, port


def renewed(folder: Path, number: int) -> None:
    """What certbot does: new files, and the links led to them."""
    live, archive = folder / "letsencrypt/live", folder / "letsencrypt/archive"
    made = archive / f"fullchain{number}.pem", archive / f"privkey{number}.pem"
    make_own(*made, [HOST], time.time())
    for path in made:
        link = live / path.name.replace(str(number), "")
        with contextlib.suppress(FileNotFoundError):
            link.unlink()
        link.symlink_to(path)


def shown(port: int) -> bytes | None:
    """The certificate that STARTTLS shows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
        client.starttls(context=context)
        assert isinstance(client.sock, ssl.SSLSocket)
        return client.sock.getpeercert(binary_form=True)


def _der(path: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def _owners(program: Program) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for pid, name in program.children().items():
        with contextlib.suppress(OSError):
            found.setdefault(name, set()).add(Path(f"/proc/{pid}").stat().st_uid)
    return found


def test_a_key_that_only_root_may_read_serves_a_house_of_another_user_and_is_renewed(folder: Path) -> None:
    file, port = prepared(folder)
    live = folder / "letsencrypt/live/fullchain.pem"
    program = Program(folder, "serve", "--only", "reception", config=file)
    try:
        program.listens(port)
        until(lambda: {"post:keys", "post:reception"} == set(_owners(program)), 10, "both run")
        first = _der(live)
        assert shown(port) == first
        assert _owners(program)["post:reception"] == {NOBODY}
        renewed(folder, 2)
        until(lambda: shown(port) == _der(live) != first, 10, "the renewed certificate is shown")

        victim = next(pid for pid, name in program.children().items() if name == "post:reception")
        os.kill(victim, signal.SIGKILL)  # the next one asks the same keeper
        until(lambda: {pid for pid, name in program.children().items() if name == "post:reception"} - {victim},
              10, "it runs again")  # fmt: skip
        program.listens(port)
        assert shown(port) == _der(live)
        keeper = next(pid for pid, name in program.children().items() if name == "post:keys")
        holders = [os.readlink(one) for one in Path(f"/proc/{keeper}/fd").iterdir()]
        assert sum(one.startswith("socket:") for one in holders) == 1, "its wire, and no listener"
        program.stop()
        until(lambda: not Path(f"/proc/{keeper}").exists() or "zombie" in Path(f"/proc/{keeper}/status").read_text(),
              10, "the keeper goes with the rest")  # fmt: skip
    finally:
        program.kill()
    kept = [path for path in (folder / "data").rglob("*") if path.is_file()]
    assert not [path for path in kept if b"PRIVATE KEY" in path.read_bytes()], "never on a disk"


def test_the_keeper_gives_out_a_certificate_and_a_key_and_nothing_else_that_its_paths_may_lead_to(
    tmp_path: Path,
) -> None:
    pem, key, other = tmp_path / "c.pem", tmp_path / "c.key", tmp_path / "shadow"
    make_own(pem, key, [HOST], time.time())
    pem.write_bytes(b"Bag Attributes: secret words\n" + pem.read_bytes())
    keeper = begin(pem, key, lambda: None)
    before = keeper.look()
    given, secret = keeper.read()
    assert b"secret words" not in given and given.startswith(b"-----BEGIN CERTIFICATE-----")
    assert secret == key.read_bytes() and keeper.look() == before
    assert Certificates(pem, key, keeper).context
    with other.open("wb") as no_socket:  # an answer that goes nowhere ends nothing
        socket.send_fds(keeper.wire, [b"read"], [no_socket.fileno()])
    assert keeper.look() == before
    other.write_text("root:$6$secret:19000::::::\n")
    key.unlink()
    for target in (other, tmp_path, Path("/dev/zero"), tmp_path / "nowhere"):
        key.symlink_to(target)
        assert keeper.look() != before
        with pytest.raises(OSError, match=r"no PEM|no file|cannot be read") as caught:
            keeper.read()
        assert "secret" not in str(caught.value)
        key.unlink()
    keeper.wire.close()  # nobody is left to ask
    assert os.waitpid(keeper.pid, 0)[1] == 0


@pytest.mark.parametrize(("role", "asks"), [("reception", True), ("delivery", False), ("web", False)])
def test_only_reception_can_ask_for_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: str, asks: bool
) -> None:
    from posthouse.web import server

    monkeypatch.setattr(roles, "_loop", lambda main: None)
    monkeypatch.setattr(sys, "setswitchinterval", lambda seconds: None)
    monkeypatch.setattr(server, "serve", lambda chosen, sockets: None)
    keeper = begin(tmp_path / "c.pem", tmp_path / "c.key", lambda: None)
    alive, writer = os.pipe()  # open as long as this process is there: its end would be taken for the parent's
    roles.run(role, Configuration(), {}, alive, keeper)
    assert (keeper.wire.fileno() >= 0) is asks
    keeper.wire.close()
    assert os.waitpid(keeper.pid, 0)[1] == 0
    assert writer


def test_a_keeper_that_is_gone_leaves_the_certificate_in_use_with_one_word_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pem, key = tmp_path / "c.pem", tmp_path / "c.key"
    make_own(pem, key, [HOST], time.time())
    keeper = begin(pem, key, lambda: None)
    certificates = Certificates(pem, key, keeper)
    os.kill(keeper.pid, signal.SIGKILL)
    os.waitpid(keeper.pid, 0)
    assert certificates.changed() and not certificates.refresh() and not certificates.refresh()
    assert len(caplog.records) == 1


def test_who_is_not_root_is_told_what_to_do_about_a_key_of_root(folder: Path) -> None:
    file, _ = prepared(folder)
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    code = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"
    real = os.path.join(sys.prefix, "bin", "python")
    for command in (["serve", "--only", "reception"], ["check-config"]):
        ran = subprocess.run(
            [sys.executable, "-c", code, *become, real, "-m", "posthouse", "--config", str(file), *command],
            env=environment(PYTHONDONTWRITEBYTECODE="1"), capture_output=True, text=True, check=False, cwd="/",
        )  # fmt: skip
        assert "privkey.pem" in ran.stderr and "start posthouse as root with `user` set" in ran.stderr
        assert ran.returncode == (1 if command[0] == "serve" else 0), ran.stderr
