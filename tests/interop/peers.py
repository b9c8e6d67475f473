"""Real Postfix and Exim in folders of their own, on loopback: mail for our domain goes to the house, the rest away."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.people import DOMAIN
from tests.ports import free_port
from tests.serving import answers, until

POSTFIX_PROGRAMS = Path("/usr/lib/postfix/sbin")
MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
EXIM = """\
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/log/exim.pid
primary_hostname = exim.relay.example
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
domainlist ours = {domain}
deliver_drop_privilege = true
exim_user = {user}
exim_group = {user}
never_users = root
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
keep_environment =
queue_run_in_order = false
{main}
begin acl
{acl}
begin routers
{routers}
away:
  driver = manualroute
{elsewhere}
  route_list = * 127.0.0.1
  self = send
  transport = away
begin transports
{transports}
away:
  driver = smtp
  port = {away}
  allow_localhost
  hosts_avoid_tls = *
begin retry
* * F,1h,1m
"""


USUAL = {  # Exim, when no page of ours says otherwise
    "main": "acl_smtp_rcpt = takes_all",
    "acl": "takes_all:\n  accept",
    "routers": (
        "to_the_house:\n  driver = manualroute\n  domains = +ours\n  route_list = * 127.0.0.1\n  self = send\n"
        "  transport = house"
    ),
    "transports": (
        "house:\n  driver = smtp\n  protocol = {protocol}\n  port = {house}\n  allow_localhost\n  hosts_avoid_tls = *"
    ),
}


def require(program: str, sentence: str) -> None:
    """Skip the test, or fail it with CI=true, where a program is missing or may not be started."""
    if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin") and os.geteuid() == 0:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"{sentence} is missing, or this is not root")
    pytest.skip(f"{sentence} is not installed, or may not be started: its tests are skipped")


class Peer:
    """A mail server beside the house. `house`: our port for its mail, `away`: where everything else goes.

    `chunking`: whether it offers BDAT. `documented`: configuration from a page of ours, by section, which says how the
    house is reached instead.
    """

    name = ""

    def __init__(
        self,
        house: int,
        away: int,
        port: int,
        lmtp: bool = False,
        documented: Mapping[str, str] | None = None,
        chunking: bool = True,
    ) -> None:
        self.chunking = chunking
        self.house, self.away, self.port, self.lmtp, self.documented = house, away, port, lmtp, documented
        self.folder = Path(tempfile.mkdtemp(prefix="posthouse-peer-"))
        self.folder.chmod(0o755)

    def start(self) -> None:
        """Start it; it answers then."""
        self.begin()
        until(lambda: answers(self.port), 30, f"{self.name} answers; its log: {self.log()}")

    def begin(self) -> None:
        """Start its processes."""
        raise AssertionError("a peer knows how it starts")

    def end(self) -> None:
        """End its processes."""
        raise AssertionError("a peer knows how it ends")

    def flush(self) -> None:
        """Let it try again now what it could not deliver."""
        raise AssertionError("a peer knows how it tries again")

    def log(self) -> str:
        """What it wrote down."""
        return ""

    def stop(self) -> None:
        """End it and remove its folder."""
        self.end()
        until(lambda: not answers(self.port), 20, f"{self.name} ends")
        shutil.rmtree(self.folder, ignore_errors=True)


class Postfix(Peer):
    """Postfix with the programs of Debian's package, its own queue and configuration."""

    name = "Postfix"

    def begin(self) -> None:
        """Write its configuration and start its master."""
        require("postfix", "Postfix")
        for name in ("etc", "queue", "data"):
            (self.folder / name).mkdir()
        shutil.chown(self.folder / "data", "postfix")
        how = "lmtp:inet" if self.lmtp else "smtp"
        place = f"127.0.0.1:{self.house}" if self.lmtp else f"[127.0.0.1]:{self.house}"
        (self.folder / "etc/transport").write_text(f"{DOMAIN} {how}:{place}\n* smtp:[127.0.0.1]:{self.away}\n")
        settings = {
            "compatibility_level": "3.6", "queue_directory": self.folder / "queue",
            "data_directory": self.folder / "data", "command_directory": "/usr/sbin",
            "daemon_directory": POSTFIX_PROGRAMS, "shlib_directory": "/usr/lib/postfix", "mail_owner": "postfix",
            "setgid_group": "postdrop", "meta_directory": "/etc/postfix", "myhostname": "postfix.relay.example",
            "inet_interfaces": "127.0.0.1", "inet_protocols": "ipv4", "mydestination": "", "mynetworks": "127.0.0.0/8",
            "alias_maps": "", "alias_database": "", "local_recipient_maps": "", "disable_dns_lookups": "yes",
            "smtp_host_lookup": "native", "transport_maps": f"texthash:{self.folder}/etc/transport",
            "smtpd_authorized_verp_clients": "", "maillog_file": self.folder / "queue/mail.log",
            "maillog_file_prefixes": self.folder, "default_process_limit": "20",
        }  # fmt: skip
        if not self.chunking:
            settings["smtpd_discard_ehlo_keywords"] = "chunking"
        page = ""
        if self.documented is not None:
            page = self.documented[""]
            settings = {name: value for name, value in settings.items() if not re.search(rf"(?m)^{name} *=", page)}
            settings["relayhost"] = f"[127.0.0.1]:{self.away}"
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        (self.folder / "etc/main.cf").write_text(f"{lines}\n{page}")
        (self.folder / "etc/master.cf").write_text(MASTER.format(port=self.port))
        for name in ("dynamicmaps.cf", "dynamicmaps.cf.d"):
            source = Path("/etc/postfix") / name
            if source.is_dir():
                shutil.copytree(source, self.folder / "etc" / name)
            elif source.exists():
                shutil.copy(source, self.folder / "etc")
        self._says("start")

    def end(self) -> None:
        """Stop its master."""
        self._says("stop")

    def flush(self) -> None:
        """Its own command for that."""
        self._says("flush")

    def _says(self, word: str) -> None:
        subprocess.run(
            ["/usr/sbin/postfix", "-c", str(self.folder / "etc"), word],
            check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def log(self) -> str:
        """Its mail log."""
        path = self.folder / "queue/mail.log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""


class Exim(Peer):
    """Exim 4 with its own spool and configuration."""

    name = "Exim"
    user = "Debian-exim"

    def begin(self) -> None:
        """Write its configuration and start its daemon."""
        require("exim4", "Exim")
        for name in ("spool", "log"):
            (self.folder / name).mkdir()
            shutil.chown(self.folder / name, self.user, self.user)
        path = self.folder / "exim.conf"
        facts = {"house": self.house, "protocol": "lmtp" if self.lmtp else "smtp"}
        usual = {name: text.format(**facts) for name, text in USUAL.items()}
        if not self.chunking:
            usual["main"] += "\nchunking_advertise_hosts ="
        elsewhere = "  domains = ! +posthouse_domains" if self.documented else ""
        path.write_text(
            EXIM.format(
                folder=self.folder, port=self.port, domain=DOMAIN, away=self.away, user=self.user,
                elsewhere=elsewhere, **(self.documented or usual),
            )
        )  # fmt: skip
        path.chmod(0o644)
        self.process = subprocess.Popen(
            ["/usr/sbin/exim4", "-C", str(path), "-bdf", "-q1m"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def end(self) -> None:
        """Stop its daemon and what it began: they are a session of their own."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(60)

    def flush(self) -> None:
        """A queue run that does not mind when the next try would be."""
        subprocess.run(
            ["/usr/sbin/exim4", "-C", str(self.folder / "exim.conf"), "-qff"],
            check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def log(self) -> str:
        """Its main log and its panic log."""
        found = [path.read_text(errors="replace")[-3000:] for path in sorted((self.folder / "log").glob("*log"))]
        return "\n".join(found)


KINDS: dict[str, type[Peer]] = {"postfix": Postfix, "exim": Exim}


@contextlib.contextmanager
def peer(
    kind: str, house: int, away: int, *, port: int | None = None, lmtp: bool = False,
    documented: Mapping[str, str] | None = None, chunking: bool = True,
) -> Iterator[Peer]:  # fmt: skip
    """A running peer, gone at the end."""
    made = KINDS[kind](house, away, port or free_port(), lmtp, documented, chunking)
    try:
        made.start()
        yield made
    finally:
        made.stop()
