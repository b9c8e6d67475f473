"""A real Postfix or Exim as the primary of a domain we are a backup for: it is asked whom it knows (K1 to K4, E16)."""

from __future__ import annotations

import dataclasses
import smtplib

import pytest

from posthouse.configuration import Configuration, NextHop
from tests.interop.peers import peer
from tests.people import ANA
from tests.ports import free_port
from tests.running_house import BACKED_UP, House, WallClock, running

pytestmark = pytest.mark.interop
KNOWN, UNKNOWN, NEW = (f"{name}@{BACKED_UP}" for name in ("dan", "nobody", "new"))
LETTER = f"From: {ANA}\r\nTo: {KNOWN}\r\nSubject: Over the backup\r\nMessage-ID: <backup@far.example>\r\n\r\nHi.\r\n"
DOCUMENTED = {
    "postfix": {"": f"relay_domains = {BACKED_UP}\nrelay_recipient_maps = inline:{{ {KNOWN}=x }}\n"},
    "exim": {
        "main": f"acl_smtp_rcpt = known_here\ndomainlist posthouse_domains = {BACKED_UP}",
        "acl": "known_here:\n  accept local_parts = dan\n  deny message = no such mailbox",
        "routers": (
            f"kept:\n  driver = manualroute\n  domains = {BACKED_UP}\n  route_list = * 127.0.0.1\n  self = send\n"
            "  transport = away"
        ),
        "transports": "",
    },
}


def says(house: House, recipient: str) -> str:
    with smtplib.SMTP("127.0.0.1", house.port, timeout=40) as server:
        server.ehlo("client.far.example")
        server.mail(ANA)
        code, reply = server.rcpt(recipient)
    return f"{code} {reply.decode()}"


@pytest.mark.parametrize("kind", ["postfix", "exim"])
def test_whom_the_primary_does_not_know_we_refuse_and_what_it_knows_we_pass_on(
    sqlite: Configuration, kind: str
) -> None:
    port = free_port()
    chosen = dataclasses.replace(sqlite, next_hops={BACKED_UP: NextHop(hosts=[f"[127.0.0.1]:{port}"])})
    with running(chosen, clock=WallClock(), policy={"recipient": "refuse", "sender_domain": "off"}) as house:
        with peer(kind, house.port, house.outside.port, port=port, documented=DOCUMENTED[kind]) as primary:
            reply = says(house, UNKNOWN)
            assert reply.startswith("550 5.1.1") and "550" in reply[4:], (reply, primary.log())
            assert house.outside.sends(ANA, [KNOWN], LETTER.encode()).startswith("250"), primary.log()
            assert house.outside.waits_for(1), primary.log()
            [(return_path, copy)] = house.outside.copies_for(KNOWN)
            assert return_path == ANA and copy["Subject"] == "Over the backup"
        assert says(house, NEW).startswith("451"), "the primary is away: nobody is accepted and then bounced"
        assert says(house, KNOWN).startswith("250"), "it said yes to this one"
