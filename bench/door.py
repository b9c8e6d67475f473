"""The door: accepted messages a second from a stranger whose mail is signed, with every check on and with none; Exim
(SPF, DKIM, the client's name) on the same mail, with the same nameserver, in the same run.

Usage: python -m bench door [MESSAGES]
4 KB messages that all differ, each with a 2048-bit DKIM signature; SPF, DMARC, PTR and a DNS blocklist are published by
one nameserver on 127.0.0.53, whose answers our resolver remembers. 20 sessions, kept, and one connection for each
message. All systems stand side by side and take turns of a hundred messages. Everything is durable before its 250;
nothing leaves. Ours: `none` (every check off), `evidence` (SPF, DKIM, DMARC, ARC, names: written down), `checked` (the
same, SPF, DKIM and DMARC refuse, and greylisting), `all` (and flood control, DNS list, sender's domain, HELO, header,
attachments, spam and virus checks of our own). Needs root: the nameserver listens on port 53.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.evidence import letters, sends, zone
from bench.peers import ROOT, harness
from bench.system import Posthouse, version

COUNT = 3000
NAMESERVER = "127.0.0.53"
RECIPIENT = "garden@lists.example"
OFF = """
[evidence]
enabled = false
[policy]
{off}
"""
EVIDENCE = """
[policy]
{off}
[dns]
nameservers = ["127.0.0.53:53"]
"""
CHECKED = """
[policy]
{off}
[greylist]
wait = 1
[dns]
nameservers = ["127.0.0.53:53"]
"""
ALL = """
[policy]
dns_lists = "refuse"
helo_name = "refuse"
helo_unknown = "refuse"
sender_domain = "refuse"
spf = "refuse"
dkim = "refuse"
dmarc = "refuse"
header = "refuse"
attachment = "refuse"
greylist = "defer"
flood = "defer"
[greylist]
wait = 1
[flood]
{rates}
[dns_lists.block]
zone = "block.example"
[dns]
nameservers = ["127.0.0.53:53"]
"""
EXIM = """
host_lookup = *
queue_only = true
acl_smtp_dkim = acl_dkim
acl_smtp_data = acl_data
begin acl
acl_rcpt:
  warn spf = pass : fail : softfail : none : neutral : permerror : temperror
  accept
acl_dkim:
  accept
acl_data:
  warn add_header = :at_start:${authresults {$primary_hostname}}
  accept
begin routers
begin transports
begin retry
* * F,2h,15m
"""
OURS = ("none", "evidence", "checked", "all")
WARM, TURN = 20, 100  # messages


def main(arguments: list[str]) -> None:
    """Measure."""
    from tests.authenticity.letters import RSA, record

    lib = harness()
    count = int(arguments[0]) if arguments else COUNT
    contents = letters(WARM + count * lib.RUNS, RSA)
    with nameserver(lib, record(RSA)):
        for kept in (True, False):
            with contextlib.ExitStack() as stack:
                ports = {("ours", name): _ours(stack, name, kept) for name in OURS}
                exim = _exim(stack, lib)
                ports["exim", "evidence"] = exim.port
                for port in ports.values():
                    _warm_up(contents[:WARM], port, kept)
                _must_have_looked(Path(exim.spool))
                found = _turns(lib, ports, contents[WARM:], count, kept)
            _record(lib, found, kept, count)


def _turns(
    lib: Any, ports: dict[tuple[str, str], int], contents: list[bytes], count: int, kept: bool
) -> dict[tuple[str, str], list[dict[str, float]]]:
    """All systems stand side by side and take short turns: what else the host does slows all of them alike."""
    import uvloop

    found: dict[tuple[str, str], list[dict[str, float]]] = {one: [] for one in ports}
    for run in range(lib.RUNS):
        lib.quiet()
        sums = {one: [0.0, 0.0, 0.0] for one in ports}
        for turn, start in enumerate(range(run * count, (run + 1) * count, TURN)):
            part = contents[start : min(start + TURN, (run + 1) * count)]
            order = list(ports)
            for one in order[turn % len(order) :] + order[: turn % len(order)]:
                meter = lib.Meter()
                uvloop.run(sends(ports[one], part, 20, RECIPIENT, kept))
                meter.stop(time.time())
                for at, value in enumerate((meter.wall, meter.cpu, meter.others * meter.wall)):
                    sums[one][at] += value
        for (whose, name), (wall, cpu, others) in sums.items():
            row = {"accepted": count / wall, "cpu": cpu * 1000 / count, "others": others / wall}
            found[whose, name].append(row)
            print("   run:", whose, name, {key: round(value, 3) for key, value in row.items()}, flush=True)
    return found


def _record(lib: Any, found: dict[tuple[str, str], list[dict[str, float]]], kept: bool, count: int) -> None:
    how = "20 sessions kept" if kept else "20 sessions, one connection per message"
    for (whose, name), rows in found.items():
        peer = version() if whose == "ours" else "Exim " + lib.version("/usr/sbin/exim4 -bV").split()[2]
        figures = {
            to: [row[at] for row in rows]
            for to, at in {"accepted_per_s": "accepted", "cpu_ms_per_msg": "cpu", "others_share": "others"}.items()
        }
        lib.record("door", peer, f"checks: {name}; {how}", n=count, **figures)
    rate = {key: statistics.median(row["accepted"] for row in rows) for key, rows in found.items()}
    cpu = {key: statistics.median(row["cpu"] for row in rows) for key, rows in found.items()}
    for name in ("evidence", "checked", "all"):
        share, costs = rate["ours", name] / rate["ours", "none"], cpu["ours", name] / max(cpu["ours", "none"], 1e-9)
        print(f"{how}: {name} accepts {share:.0%} of none, and spends {costs:.1f} times its CPU (target: above 50%)")
    print(f"{how}: evidence, ours to Exim's: {rate['ours', 'evidence'] / rate['exim', 'evidence']:.1f} times the rate")


@contextlib.contextmanager
def nameserver(lib: Any, key: str):  # type: ignore[no-untyped-def]
    """The zone on port 53, in a process of its own that counts as load."""
    served = lib.spawn([sys.executable, "-m", "bench.door", key], cwd=str(ROOT), stdout=subprocess.PIPE)
    if served.stdout.readline().strip() != b"ready":
        raise SystemExit(
            f"the nameserver cannot listen on {NAMESERVER} port 53: only root may, and only when nobody else does"
        )
    try:
        yield
    finally:
        lib.end(served)


async def _serve_zone(key: str) -> None:
    from posthouse.dns.zone_server import serve

    async with serve(zone(key), NAMESERVER, 53):
        print("ready", flush=True)
        await asyncio.Event().wait()


def _ours(stack: contextlib.ExitStack, name: str, kept: bool) -> int:
    """Start ours with these checks; its port."""
    system = Posthouse(f"door-{name}-{kept}", more=_modes(name), relay_networks="[]", number=OURS.index(name))
    system.cli("domains", "add", "lists.example")
    system.cli("accounts", "create", "owner@far.example", "--superuser")
    system.cli("lists", "create", RECIPIENT, "--owner", "owner@far.example")
    stack.callback(system.stop)
    system.start("reception")
    return system.port


def _modes(name: str) -> str:
    from dataclasses import fields

    from posthouse.configuration import Flood, Policy

    off = "\n".join(
        f'{one.name} = "off"' for one in fields(Policy) if one.metadata.get("kind") == "mode" and one.type == "str"
    )
    rates = "\n".join(f"{one.name} = 1000000000" for one in fields(Flood) if "_per_" in one.name)
    if name == "checked":
        for check, mode in (("spf", "refuse"), ("dkim", "refuse"), ("dmarc", "refuse"), ("greylist", "defer")):
            off = off.replace(f'{check} = "off"', f'{check} = "{mode}"')
    return {"none": OFF, "evidence": EVIDENCE, "checked": CHECKED, "all": ALL}[name].format(off=off, rates=rates)


def _warm_up(contents: list[bytes], port: int, kept: bool) -> None:
    """A few messages: DNS is known then, and who was asked to come again did."""
    for _ in range(10):
        try:
            asyncio.run(sends(port, contents, 1, RECIPIENT, kept))
            return
        except AssertionError as error:
            if b"45" not in (error.args[0] or b"")[:3]:
                raise
            time.sleep(1.1)
    raise SystemExit("the stranger is asked to come again for ever")


def _exim(stack: contextlib.ExitStack, lib: Any) -> Any:
    """Start Exim, which looks at SPF, DKIM and the client's name."""
    exim = lib.Exim()
    text = Path(exim.conf).read_text()
    head = text[: text.index("begin acl")].replace("host_lookup =\n", "")
    Path(exim.conf).write_text(head + EXIM)
    resolver = Path(exim.d) / "resolv.conf"
    resolver.write_text(f"nameserver {NAMESERVER}\n")
    lib.free_port(exim.port)
    # In a mount namespace of its own, so that it alone asks the nameserver of this measure.
    lib.run(["unshare", "-m", "sh", "-c",
             f"mount --bind {resolver} /etc/resolv.conf && exec /usr/sbin/exim4 -C {exim.conf} -bd -q30m"],
            peer=True)  # fmt: skip
    stack.callback(subprocess.run, ["rm", "-rf", exim.spool], check=False)
    stack.callback(exim.stop)
    lib.wait_port(exim.port)
    written = Path(exim.d, "exim.pid")  # after the port is open
    while not written.exists():
        time.sleep(0.05)
    exim.pid = int(written.read_text())
    return exim


def _must_have_looked(spool: Path) -> None:
    """A measure of checks that were not made would flatter."""
    header = next(spool.rglob("*-H")).read_text(errors="replace")
    if "dkim=pass" not in header or "spf=pass" not in header:
        raise SystemExit(f"Exim did not check SPF and DKIM: {header[-1500:]}")


if __name__ == "__main__":
    os.chdir(ROOT)
    asyncio.run(_serve_zone(sys.argv[1]))
