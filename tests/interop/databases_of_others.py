"""Real MariaDB, PostgreSQL and OpenLDAP servers that know queues of a ticket system; stopped and started by tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from posthouse.configuration import Lookup
from tests import postgres
from tests.ports import free_port
from tests.serving import answers, until

QUERY = "SELECT target FROM queues WHERE address = :address"
TABLE = "CREATE TABLE queues (address VARCHAR(200) PRIMARY KEY, target VARCHAR(200))"
SLAPD = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
database mdb
maxsize 10485760
suffix "dc=parent,dc=example"
rootdn "cn=root,dc=parent,dc=example"
rootpw rootsecret
directory {folder}/data
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="cn=mail,dc=parent,dc=example" read by * none
"""
LDIF = """\
dn: dc=parent,dc=example
objectClass: domain
dc: parent

dn: cn=mail,dc=parent,dc=example
objectClass: person
cn: mail
sn: mail
userPassword: s3cret

"""


def require(program: str, package: str) -> None:
    """Skip, saying what to install."""
    if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
        pytest.skip(f"needs {program}: install {package} (tests/install-peers does)")
    if os.geteuid() != 0:
        pytest.skip(f"{program} needs root, to become its own user")


class Base:
    """One server. `knows` makes rows, `lookup` is how the house asks it, `rights` what its user may do besides."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """What starts it in the foreground."""
        return []

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.process = subprocess.Popen(
            self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
            preexec_fn=postgres._die_with_parent,
        )  # fmt: skip
        until(lambda: answers(self.port), 30, f"{self.command()[0]} answers")

    def stop(self) -> None:
        """End it in order: these keep nothing through a crash."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(60)
            self.process = None

    def hang(self) -> None:
        """Let it take connections and say nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it speak again."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def lookup(self, **changed: Any) -> Lookup:
        """How the house asks it: first a server that is not there."""
        settings = {"servers": ["127.0.0.1:1", f"127.0.0.1:{self.port}"], "user": "mail", "password": "s3cret",
                    "database": "tickets", "query": QUERY, "deadline": 2.0, **changed}  # fmt: skip
        return Lookup(**settings)

    def knows(self, address: str, target: str) -> None:
        """Make a row."""

    def forgets(self, address: str) -> None:
        """Remove a row."""


class MariaDB(Base):
    """MariaDB with a database `tickets`, whose user `mail` has SELECT on one table."""

    def command(self) -> list[str]:
        """The server, small and without care for its disk."""
        return [
            "/usr/sbin/mariadbd", "--no-defaults", f"--datadir={self.folder}/data", f"--port={self.port}",
            "--bind-address=127.0.0.1", f"--socket={self.folder}/s", f"--pid-file={self.folder}/pid", "--user=mysql",
            "--innodb-buffer-pool-size=16M", "--innodb-flush-log-at-trx-commit=0", "--skip-name-resolve",
        ]  # fmt: skip

    def prepare(self) -> None:
        """Make its files, its tables and its user."""
        require("mariadbd", "mariadb-server")
        shutil.chown(self.folder, "mysql", "mysql")
        kept = Path(tempfile.gettempdir()) / f"posthouse-templates-{os.getuid()}" / "mariadb"
        if not kept.exists():
            self._install(kept)
        subprocess.run(["cp", "-a", str(kept), f"{self.folder}/data"], check=True)
        self.start()
        self.run(
            "CREATE DATABASE tickets", f"USE tickets; {TABLE}", "CREATE USER mail@'127.0.0.1' IDENTIFIED BY 's3cret'",
            "GRANT SELECT ON tickets.queues TO mail@'127.0.0.1'",
        )  # fmt: skip

    def _install(self, kept: Path) -> None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix="mariadb-", dir=kept.parent))
        shutil.chown(made, "mysql", "mysql")
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={made}", "--user=mysql", "--skip-test-db",
             "--auth-root-authentication-method=normal"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
        )  # fmt: skip
        try:
            made.rename(kept)
        except OSError:  # another test run was first
            shutil.rmtree(made, ignore_errors=True)

    def run(self, *statements: str) -> None:
        """Run statements as its root."""
        import pymysql
        from pymysql.constants import CLIENT

        connection = pymysql.connect(
            unix_socket=f"{self.folder}/s", user="root", autocommit=True, client_flag=CLIENT.MULTI_STATEMENTS
        )
        with contextlib.closing(connection), connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def lookup(self, **changed: Any) -> Lookup:
        """Asked as MySQL."""
        return super().lookup(kind="mysql", **changed)

    def knows(self, address: str, target: str) -> None:
        """Insert a row."""
        self.run(f"INSERT INTO tickets.queues VALUES ('{address}', '{target}')")

    def forgets(self, address: str) -> None:
        """Delete a row."""
        self.run(f"DELETE FROM tickets.queues WHERE address = '{address}'")


class PostgreSQL(Base):
    """PostgreSQL with a database `tickets`, whose user `mail` has SELECT on one table."""

    cluster: postgres.Cluster

    def prepare(self) -> None:
        """Make its tables and its user."""
        self.port, self.process = self.cluster.port, self.cluster._process
        self.cluster.run("CREATE DATABASE tickets", "CREATE USER mail PASSWORD 's3cret'")
        self.run(TABLE, "GRANT SELECT ON queues TO mail")

    def run(self, *statements: str) -> None:
        """Run statements as the superuser."""
        with psycopg.connect(self.cluster.url("tickets"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.cluster.start()
        self.process = self.cluster._process

    def stop(self) -> None:
        """End it in order."""
        if self.process is not None:
            self.go_on()
            self.cluster.stop(signal.SIGINT)
            self.process = None

    def hang(self) -> None:
        """Stop the process that takes connections, and those that serve them."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let all of them speak again."""
        self._signal(signal.SIGCONT)

    def _signal(self, which: signal.Signals) -> None:
        assert self.process is not None
        top = self.process.pid
        below = Path(f"/proc/{top}/task/{top}/children").read_text().split()
        for pid in (top, *map(int, below)):
            os.kill(pid, which)

    def lookup(self, **changed: Any) -> Lookup:
        """Asked as PostgreSQL."""
        return super().lookup(kind="postgresql", **changed)

    def knows(self, address: str, target: str) -> None:
        """Insert a row."""
        self.run(f"INSERT INTO queues VALUES ('{address}', '{target}')")

    def forgets(self, address: str) -> None:
        """Delete a row."""
        self.run(f"DELETE FROM queues WHERE address = '{address}'")


class Ldap(Base):
    """OpenLDAP with people below dc=parent,dc=example; `cn=mail` may read, strangers nothing."""

    def command(self) -> list[str]:
        """The server in the foreground."""
        return ["/usr/sbin/slapd", "-f", f"{self.folder}/slapd.conf", "-h", f"ldap://127.0.0.1:{self.port}", "-d", "0"]

    def prepare(self) -> None:
        """Make its files and start it."""
        require("slapd", "slapd")
        (self.folder / "data").mkdir()
        (self.folder / "slapd.conf").write_text(SLAPD.format(folder=self.folder))
        (self.folder / "first.ldif").write_text(LDIF)
        subprocess.run(
            ["/usr/sbin/slapadd", "-f", f"{self.folder}/slapd.conf", "-l", f"{self.folder}/first.ldif"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.start()

    def lookup(self, **changed: Any) -> Lookup:
        """Asked by a filter; the addresses are values of `mail`."""
        return super().lookup(
            kind="ldap", **{"query": "(&(objectClass=inetOrgPerson)(uid=:address))", "base": "dc=parent,dc=example",
                            "user": "cn=mail,dc=parent,dc=example", "attribute": "mail", **changed}
        )  # fmt: skip

    def _session(self) -> Any:
        import ldap3

        server = ldap3.Server("127.0.0.1", self.port, get_info=ldap3.NONE)
        return ldap3.Connection(server, "cn=root,dc=parent,dc=example", "rootsecret", auto_bind=True)

    def knows(self, address: str, target: str) -> None:
        """Add a person."""
        with self._session() as session:
            values = {"uid": address, "sn": "x", "mail": target.split(", ")}
            assert session.add(f"cn={address},dc=parent,dc=example", "inetOrgPerson", values), session.result

    def forgets(self, address: str) -> None:
        """Remove a person."""
        with self._session() as session:
            session.delete(f"cn={address},dc=parent,dc=example")


KINDS: dict[str, type[MariaDB | PostgreSQL | Ldap]] = {"mysql": MariaDB, "postgresql": PostgreSQL, "ldap": Ldap}


@contextlib.contextmanager
def base(kind: str) -> Iterator[MariaDB | PostgreSQL | Ldap]:
    """A running server, gone at the end."""
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="posthouse-base-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        made = KINDS[kind](folder)
        if isinstance(made, PostgreSQL):
            made.cluster = stack.enter_context(postgres.cluster())
        stack.callback(made.stop)
        made.prepare()
        yield made
