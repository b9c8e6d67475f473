"""A milter on Sendmail's own library (Debian's python3-milter) that notes every callback and uses every request."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest

from tests.interop.scanners import Daemon

SYSTEM_PYTHON = "/usr/bin/python3"  # Debian's package is for this one
PROGRAM = """\
import json, sys, threading
import Milter

STEPS = {steps}
SPACE = " " if STEPS & Milter.P_HDR_LEADSPC else ""  # who asks for the space behind the colon brings it, too
lock = threading.Lock()


class Noting(Milter.Base):
    def note(self, what, *words):
        names = ("i", "{{rcpt_mailer}}", "{{rcpt_host}}", "{{rcpt_addr}}", "{{mail_addr}}", "{{client_addr}}", "j")
        told = {{name: self.getsymval(name) for name in names}} if what not in ("negotiate", "close") else {{}}
        with lock, open({log!r}, "a") as log:
            log.write(json.dumps([what, [repr(one) if isinstance(one, bytes) else one for one in words],
                                  {{name: value for name, value in told.items() if value}}]) + "\\n")
        return Milter.CONTINUE

    def negotiate(self, options):
        self._actions, self._protocol = options[0], options[1] & STEPS
        self.note("negotiate", options[0], options[1])
        if {symbols}:
            self._ctx.setsymlist(Milter.M_ENVRCPT, "{{rcpt_mailer}} {{rcpt_host}} {{rcpt_addr}}")
            self._ctx.setsymlist(Milter.M_EOM, "i j {{client_addr}}")
        options[1], options[2], options[3] = self._protocol, 0, 0
        return Milter.CONTINUE

    def connect(self, name, family, address):
        return self.note("connect", name, list(address))

    def hello(self, name):
        return self.note("hello", name)

    def unknown(self, line):
        self.note("unknown", line)
        self.setreply("502", "5.5.1", "100%% unheard of")
        return Milter.REJECT

    def envfrom(self, path, *parameters):
        return self.note("envfrom", path, list(parameters))

    def envrcpt(self, path, *parameters):
        self.note("envrcpt", path, list(parameters))
        if "owner" in path:
            self.setreply("450", "4.7.1", "Later", "and in two lines")
            return Milter.TEMPFAIL
        return Milter.CONTINUE

    def data(self):
        return self.note("data")

    def header_bytes(self, name, value):
        return self.note("header", name, value)

    def eoh(self):
        return self.note("eoh")

    def body(self, block):
        self.note("body", len(block))
        return Milter.SKIP

    def eom(self):
        self.note("eom")
        self.progress()
        self.addheader("X-Added", SPACE + "at the end\\n\\tand folded")
        self.addheader("X-Top", SPACE + "above all", 0)
        self.addheader("X-Second", SPACE + "below Received", 2)
        self.chgheader("Subject", 1, SPACE + "Unripe")
        self.chgheader("X-Fruit", 2, "")
        self.chgheader("X-Fruit", 3, SPACE + "plum")
        self.chgfrom("<owen@far.example>", "RET=HDRS ENVID=e1")
        self.addrcpt("<garden-owner@lists.example>", "NOTIFY=NEVER")
        self.delrcpt("<roses@lists.example>")
        self.replacebody("New body.\\r\\n" * 10000)
        self.quarantine("looks odd")
        return Milter.CONTINUE

    def abort(self):
        return self.note("abort")

    def close(self):
        return self.note("close")


Milter.factory = Noting
Milter.set_flags(Milter.ADDHDRS + Milter.CHGHDRS + Milter.CHGBODY + Milter.ADDRCPT + Milter.DELRCPT
                 + Milter.QUARANTINE + Milter.CHGFROM + Milter.ADDRCPT_PAR + Milter.SETSYMLIST)
Milter.runmilter("noting", "inet:{port}@127.0.0.1", 60)
"""


class Noting(Daemon):
    """It negotiates `steps` of what is offered, and names its macros where `symbols` says so."""

    name = SYSTEM_PYTHON

    def __init__(self, steps: int, symbols: bool = True) -> None:
        found = subprocess.run([SYSTEM_PYTHON, "-c", "import Milter"], capture_output=True, check=False, timeout=60)
        if found.returncode:
            if os.environ.get("CI") == "true":
                pytest.fail("python3-milter is missing")
            pytest.skip("python3-milter is not installed: its tests are skipped")
        super().__init__()
        self.steps, self.symbols = steps, symbols

    def words(self) -> Sequence[str]:
        """The program, with its place and its port."""
        path = self.folder / "noting.py"
        path.write_text(
            PROGRAM.format(steps=self.steps, symbols=self.symbols, log=str(self.folder / "heard"), port=self.port)
        )
        return (SYSTEM_PYTHON, str(path))

    def heard(self) -> list[tuple[str, list[Any], dict[str, str]]]:
        """(callback, its arguments, the macros known then) of everything but what the wait for its port brought."""
        path = self.folder / "heard"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(what, words, macros) for what, words, macros in map(json.loads, lines)]
