"""The people, lists and letters that the site's tests share."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from django.test import Client

from posthouse import configuration
from posthouse.archive import filing
from posthouse.configuration import Configuration
from posthouse.content import keeping
from posthouse.content.spool import spooled_from
from posthouse.database import transaction
from posthouse.directory import accounts, domains
from posthouse.directory.models import Account
from posthouse.lists import creation, roster
from posthouse.message.dates import format_date
from posthouse.message.identity import message_id_hash
from posthouse.message.parsing import read
from tests.people import ANA, BEN, CLEO, DOMAIN, EVE, GARDEN, OWEN

BOARD = f"board@{DOMAIN}"  # private: Ana is a member, Owen owns it, Mona moderates it
DIARY = f"diary@{DOMAIN}"  # keeps no archive
MONA = "mona@far.example"
ROOT = "root@lists.example"
NOON = 1_780_000_000  # seconds since 1970: when the first letter was sent

PEOPLE = {"eve": EVE, "ana": ANA, "mona": MONA, "owen": OWEN, "root": ROOT}


class Neighbourhood:
    """Three lists, five accounts; letters are filed by `letter`."""

    def __init__(self, chosen: Configuration) -> None:
        self.configuration = chosen
        domains.add(DOMAIN)
        creation.create(GARDEN, [OWEN], display_name="Garden")
        creation.set_settings(GARDEN, {"description": "Growing food together"})
        creation.create(BOARD, [OWEN], style="private", display_name="Board")
        creation.set_settings(BOARD, {"advertised": "false", "archive_policy": "private"})
        creation.create(DIARY, [OWEN], display_name="Diary")
        creation.set_settings(DIARY, {"archive_policy": "never"})
        for name, address in PEOPLE.items():
            accounts.create(address, name.title(), superuser=name == "root")
        for address in (ANA, BEN, CLEO):
            roster.add(GARDEN, address)
        roster.add(BOARD, ANA)
        roster.add(BOARD, MONA, role="moderator")

    def as_(self, who: str, **extra: Any) -> Client:
        """A browser in which `who` is signed in; "stranger": nobody is."""
        client = Client(**extra)
        if who != "stranger":
            facts = accounts.find(PEOPLE[who])
            assert facts is not None
            client.force_login(Account.objects.get(pk=facts.id))
        return client

    def changes(self, **values: Any) -> None:
        """Run with other settings from now on (of the whole, or of [web] by `web_...`)."""
        web = {name.removeprefix("web_"): value for name, value in values.items() if name.startswith("web_")}
        rest = {name: value for name, value in values.items() if not name.startswith("web_")}
        self.configuration = dataclasses.replace(
            self.configuration, web=dataclasses.replace(self.configuration.web, **web), **rest
        )
        configuration.activate(self.configuration)

    def letter(
        self,
        number: int,
        text: str = "Ripe at last.\r\n",
        *,
        archive: str = GARDEN,
        answers: int | None = None,
        subject: str = "Tomatoes",
        author: str = "Ana Gärtner <ana@far.example>",
        raw: bytes | None = None,
        at: int | None = None,
    ) -> str:
        """File a letter and return its key."""
        sent = at if at is not None else NOON + 600 * number
        header = [
            f"From: {author}",
            f"To: {archive}",
            f"Subject: {subject}",
            f"Date: {format_date(sent, 120)}",
            f"Message-ID: <{number}@far.example>",
        ]
        if answers is not None:
            header.append(f"In-Reply-To: <{answers}@far.example>")
        plain = ["MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"]
        octets = raw if raw is not None else ("\r\n".join([*header, *plain]) + "\r\n\r\n" + text).encode()
        with transaction():
            content = keeping.keep(spooled_from(octets))
            filed = filing.file(archive, content, read(octets), max(sent, int(time.time())))
            keeping.release([content])
        return filed.key

    def key(self, number: int) -> str:
        """The key of a letter."""
        return message_id_hash(f"{number}@far.example")
