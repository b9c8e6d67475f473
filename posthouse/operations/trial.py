"""The trial system: a whole house on this machine, with a list, an archive and an owner; nothing leaves it."""

from __future__ import annotations

import dataclasses
import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from posthouse import configuration
from posthouse.configuration import Configuration

DOMAIN = "lists.localhost"
LIST = f"garden@{DOMAIN}"
OWNER = "owen@far.example"
MEMBERS = (("Ana Lima", "ana@far.example"), ("Ben Okafor", "ben@far.example"), ("Cleo Marchetti", "cleo@near.example"))

FILE = """# The trial system of Posthouse. Commands find this file by themselves in the directory above it.
data_directory = "."
hostname = "localhost"
trial = true
"""


def prepare(data: Path) -> Configuration:
    """Make the trial's directory, tables, list and archive where they are missing; returns its configuration."""
    data.mkdir(parents=True, exist_ok=True)
    path = data / configuration.FILE_NAME
    if not path.exists():
        path.write_text(FILE, encoding="utf-8")
    os.environ["POSTHOUSE_CONFIG"] = str(path.resolve())
    chosen = configuration.load(path)
    if not chosen.trial:
        raise configuration.ConfigurationError(f"{path}: is not a trial's; set trial = true or use posthouse serve")
    configuration.activate(chosen)
    from posthouse import database
    from posthouse.operations import schema

    database.setup()
    first = bool(schema.missing())
    if first:
        print("First start: setting up the trial ...", file=sys.stderr)
    schema.migrate()
    _furnish(chosen)
    database.close()
    return chosen


def _furnish(chosen: Configuration) -> None:
    """The domain, the owner, the list and its archive, each only where it is missing."""
    from posthouse import maillog
    from posthouse.archive import importing
    from posthouse.directory import accounts, domains
    from posthouse.lists import creation, roster

    maillog.quiet()
    if DOMAIN not in [one.name for one in domains.all_domains()]:
        domains.add(DOMAIN, "the trial's lists")
    if not accounts.superuser_addresses():
        accounts.create(OWNER, "Owen Reyes", superuser=True)
    if LIST not in [one.address for one in creation.all_lists()]:
        creation.create(LIST, [OWNER], "discussion", "Garden")
        creation.set_settings(LIST, {"description": "Talk about the shared garden", "subject_prefix": "[garden] "})
        roster.add(LIST, OWNER, "Owen Reyes")
        for name, address in MEMBERS:
            roster.add(LIST, address, name)
        with resources.as_file(resources.files("posthouse.operations") / "trial.mbox") as mbox:
            importing.import_mbox(LIST, mbox, now=int(time.time()), progress=lambda *_: None)
    maillog.flush()
    maillog.quiet(False)


def adopt(chosen: Configuration, sockets: Mapping[str, Sequence[socket.socket]]) -> Configuration:
    """The configuration with the ports that were really bound; the one this process and its children go on with."""
    port = sockets["web"][0].getsockname()[1]
    base_url = chosen.web.base_url
    if port != configuration.endpoint(chosen.web.listen[0])[1]:
        base_url = f"http://localhost:{port}"
    adopted = dataclasses.replace(chosen, web=dataclasses.replace(chosen.web, base_url=base_url))
    configuration.activate(adopted)
    return adopted


def welcome(chosen: Configuration, sockets: Mapping[str, Sequence[socket.socket]]) -> str:
    """What a person reads after the start: the site, a link that signs them in, a line that posts a message."""
    from posthouse import database
    from posthouse.directory import accounts

    token = accounts.sign_in_link(OWNER, time.time_ns() // 1_000_000, accounts.LINK_SECONDS_CLI)
    database.close()
    port = sockets["transfer"][0].getsockname()[1]
    submission = sockets["submission"][0].getsockname()[1]
    lmtp = sockets["lmtp"][0].getsockname()[1]
    base = chosen.web.base_url
    return f"""
Posthouse runs, on this machine only. Nothing leaves it.

  The site           {base}/
  Sign in as owner   {base}/sign-in/{token}/   (works once, for an hour)
  The outbox         {base}/trial/outbox       (mail that would have left)

Post to the list {LIST}:

  swaks --server 127.0.0.1:{port} --from ana@far.example --to {LIST} --header "Subject: Tomatoes" --body "Ripe at last."
  python3 -m posthouse.operations.post --port {port} --from ana@far.example --to {LIST} "Tomatoes" "Ripe at last."

Then see what happened:  {sys.prefix}/bin/posthouse trace ana@far.example
SMTP {port}, submission {submission}, LMTP {lmtp}. Stop with Ctrl-C; everything is kept in {chosen.data}.
"""
