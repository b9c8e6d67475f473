"""Real scanners in folders of their own, on loopback: spamd, rspamd, clamd; opendkim and spamass-milter as milters."""

from __future__ import annotations

import base64
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from posthouse.reception.content_checks.looking import EICAR
from tests.interop.peers import require
from tests.ports import free_port
from tests.serving import answers, until

RSPAMD = """\
options {{
  pidfile = "{folder}/rspamd.pid";
  dns {{ nameserver = ["127.0.0.1:{nowhere}"]; timeout = 0.2s; retransmits = 1; }}
  tempdir = "{folder}";
  filters = "";
}}
logging {{ type = "file"; filename = "{folder}/log"; level = "warning"; }}
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; enabled = true; }}
actions {{ reject = 15; add_header = 6; }}
group "ours" {{
  symbols = {{ "TOMATOES" {{ weight = 7.5; description = "it is about tomatoes"; }} }}
}}
lua = "{folder}/rules.lua";
"""
RSPAMD_RULES = """\
rspamd_config.TOMATOES = {
  callback = function(task)
    local subject = task:get_subject() or ''
    if subject:find('Tomatoes') then
      task:set_milter_reply({
        add_headers = { ['X-Vegetable'] = { value = 'tomato', order = 1 } },
        remove_headers = { ['X-Fruit'] = 0 },
      })
      return true, 1.0, task:get_from('smtp')[1].addr .. ' ' .. tostring(task:get_from_ip())
    end
  end,
  score = 7.5,
}
"""
CLAMD = """\
LogFile {folder}/log
DatabaseDirectory {folder}/db
TCPSocket {port}
TCPAddr 127.0.0.1
LocalSocket {folder}/socket
StreamMaxLength 1M
Foreground yes
MaxThreads 2
"""


class Daemon:
    """A program that runs until the end of the test. `port` is where it answers."""

    name = ""
    sentence = ""

    def __init__(self, port: int = 0) -> None:
        self.port = port or free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="posthouse-scanner-"))
        self.folder.chmod(0o755)
        self.process: subprocess.Popen[bytes] | None = None
        require(self.name, self.sentence or self.name)

    @property
    def server(self) -> str:
        """As the configuration names it."""
        return f"127.0.0.1:{self.port}"

    def words(self) -> Sequence[str]:
        """The command."""
        raise AssertionError("a daemon knows how it is started")

    def start(self) -> None:
        """Start it; it answers then."""
        output = (self.folder / "output").open("ab")
        with output:
            self.process = subprocess.Popen(
                list(self.words()), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        until(lambda: answers(self.port), 60, f"{self.name} answers; it said: {self.said()}")

    def stop(self) -> None:
        """End it and what it began: they are a session of their own."""
        if self.process is not None:
            group, self.process = self.process, None
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group.pid, signal.SIGKILL)
            group.wait(60)
            # Asking the port would not do: another test may have been given it meanwhile.
            until(lambda: not _alive(group.pid), 20, f"{self.name} ends")

    def processes(self) -> list[tuple[int, int, int]]:
        """(process, user, niceness) of all that it began: they are a session of their own."""
        assert self.process is not None
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                fields = (place / "stat").read_text(errors="replace").rpartition(")")[2].split()
                if int(fields[2]) == self.process.pid:
                    found.append((int(place.name), place.stat().st_uid, int(fields[16])))
        return found

    def said(self) -> str:
        """What it wrote."""
        return "\n".join(
            path.read_text(errors="replace")[-2000:] for path in (self.folder / "output", self.folder / "log")
            if path.exists()
        )  # fmt: skip

    def owned_by(self, user: str) -> None:
        """Give its folder to the user it runs as."""
        for path in (self.folder, *self.folder.rglob("*")):
            shutil.chown(path, user)


class Spamd(Daemon):
    """SpamAssassin as D6 asks: loopback, no privileges, 5 children at most, nice 10, no preferences of users. Of its
    rules those for the body, GTUBE among them, and some of our own.

    `wishes`: preferences by user, for those who have a file of their own all the same.
    """

    name, sentence = "spamd", "SpamAssassin (spamd)"

    def __init__(self, port: int = 0, wishes: Mapping[str, str] | None = None) -> None:
        super().__init__(port)
        self.wishes = dict(wishes or {})

    def words(self) -> Sequence[str]:
        """Local tests alone."""
        site, rules = self.folder / "site", self.folder / "rules"
        site.mkdir(exist_ok=True)
        rules.mkdir(exist_ok=True)
        for name in ("10_default_prefs.cf", "20_body_tests.cf", "50_scores.cf"):
            shutil.copy(Path("/usr/share/spamassassin") / name, rules)
        (site / "local.cf").write_text(
            "use_bayes 0\nreport_safe 0\n"
            "header TOMATOES Subject =~ /Tomatoes/\nscore TOMATOES 7.5\ndescribe TOMATOES About tomatoes\n"
            "header TURNIPS Subject =~ /Turnips/\nscore TURNIPS 20\ndescribe TURNIPS About turnips\n"
            "header CARROTS Subject =~ /Carrots/\nscore CARROTS 10\ndescribe CARROTS About carrots\n"
            "body TEST_STRING /GTUBE-STANDARD/\nscore TEST_STRING 1000\n"
        )
        for path in Path("/etc/spamassassin").glob("*.pre"):  # they load the plugin that runs the checks
            shutil.copy(path, site)
        for user, words in self.wishes.items():
            (self.folder / "wishes" / user).mkdir(parents=True, exist_ok=True)
            (self.folder / "wishes" / user / "user_prefs").write_text(words)
        self.owned_by("nobody")
        own = (f"--virtual-config-dir={self.folder}/wishes/%u",) if self.wishes else ()
        return (
            "nice", "-n", "10",  # D6
            "spamd", "--local", "--nouser-config", *own, "--max-children=5", "--username=nobody",
            f"--siteconfigpath={site}", f"--configpath={rules}", f"--helper-home-dir={self.folder}",
            f"--port={self.port}",
            "--listen-ip=127.0.0.1", f"--syslog={self.folder}/log",
        )  # fmt: skip


class Rspamd(Daemon):
    """rspamd's normal worker alone, without redis, with one rule of our own."""

    name = "rspamd"

    def words(self) -> Sequence[str]:
        """Its own configuration file."""
        (self.folder / "rules.lua").write_text(RSPAMD_RULES)
        path = self.folder / "rspamd.conf"
        path.write_text(RSPAMD.format(folder=self.folder, port=self.port, nowhere=free_port()))
        self.owned_by("_rspamd")
        return ("rspamd", "--no-fork", "--config", str(path), "--user", "_rspamd", "--group", "_rspamd",
                "--var", f"DBDIR={self.folder}", "--var", f"RUNDIR={self.folder}")  # fmt: skip


class Clamd(Daemon):
    """clamd with a signature database of our own: one entry, the EICAR test file."""

    name, sentence = "clamd", "ClamAV (clamd)"

    def words(self) -> Sequence[str]:
        """Its own configuration file."""
        (self.folder / "db").mkdir(exist_ok=True)
        (self.folder / "db/ours.ndb").write_text(f"Ours.Eicar-Test:0:*:{EICAR.hex()}\n")
        path = self.folder / "clamd.conf"
        user = "clamav" if _exists("clamav") else "nobody"
        path.write_text(CLAMD.format(folder=self.folder, port=self.port) + f"User {user}\n")
        self.owned_by(user)
        return ("clamd", "--config-file", str(path))


class Opendkim(Daemon):
    """opendkim as a milter that signs what comes by submission (`mode` "s") or verifies ("v")."""

    name = "opendkim"

    def __init__(self, mode: str, domain: str, port: int = 0) -> None:
        super().__init__(port)
        self.mode, self.domain = mode, domain
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        (self.folder / "key.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        # What the DNS would say; a test may add to it before the start.
        self.known = {f"sel._domainkey.{domain}": f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"}

    def words(self) -> Sequence[str]:
        """Its own configuration file; keys come from a file, never from the DNS."""
        (self.folder / "public").write_text("".join(f"{name} {record}\n" for name, record in self.known.items()))
        path = self.folder / "opendkim.conf"
        inside = "127.0.0.1" if self.mode == "s" else "192.0.2.255"
        path.write_text(
            f"Mode {self.mode}\nDomain {self.domain}\nSelector sel\nKeyFile {self.folder}/key.pem\n"
            f"Socket inet:{self.port}@127.0.0.1\nSyslog no\nBackground no\nAuthservID dkim.{self.domain}\n"
            f"AlwaysAddARHeader yes\nInternalHosts {inside}\nTestPublicKeys {self.folder}/public\n"
            "Canonicalization simple/simple\nRequireSafeKeys no\n"
        )
        return ("opendkim", "-f", "-x", str(path), "-u", "nobody")


class SpamassMilter(Daemon):
    """spamass-milter: a milter in front of spamd, which changes fields of its own and refuses above a score."""

    name = "spamass-milter"

    def __init__(self, spamd: Spamd, port: int = 0) -> None:
        super().__init__(port)
        self.spamd = spamd

    def words(self) -> Sequence[str]:
        """It passes what stands behind -- to spamc."""
        return ("spamass-milter", "-p", f"inet:{self.port}@127.0.0.1", "-r", "100", "--", "-p", str(self.spamd.port))


def _exists(user: str) -> bool:
    with contextlib.suppress(KeyError):
        return bool(pwd.getpwnam(user))
    return False


@contextlib.contextmanager
def running(daemon: Daemon) -> Iterator[Daemon]:
    """A daemon that answers, gone at the end with its folder."""
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()
        shutil.rmtree(daemon.folder, ignore_errors=True)


def _alive(group: int) -> bool:
    """Whether a process of this group is left that has not ended."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = stat.read_text(errors="replace").rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                return True
    return False
