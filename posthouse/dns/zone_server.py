"""A small authoritative server for a FixedZone over UDP and TCP on loopback, with its faults."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from posthouse.dns.zone import FixedZone

MOST_OCTETS = 65_535  # of one message (RFC 1035 §4.2.2)
IDLE = 10.0  # seconds a TCP client may be silent
SMALLEST = 512  # octets of a datagram for a client without EDNS (RFC 1035 §4.2.1)


@contextlib.asynccontextmanager
async def serve(zone: FixedZone, address: str = "127.0.0.1", port: int = 0) -> AsyncIterator[tuple[str, int]]:
    """Answer from the zone while the block runs; gives the address and port, the same for UDP and TCP."""
    loop = asyncio.get_running_loop()
    tcp = await asyncio.start_server(lambda reader, writer: _converse(zone, reader, writer), address, port)
    chosen = tcp.sockets[0].getsockname()[1]
    try:
        udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(zone), local_addr=(address, chosen))
    except OSError:
        tcp.close()
        raise
    try:
        yield address, chosen
    finally:
        udp.close()
        tcp.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, zone: FixedZone) -> None:
        self._zone = zone
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
        answer = _answer(self._zone, data, datagram=True)
        if answer and self._transport is not None:
            self._transport.sendto(answer, peer)


async def _converse(zone: FixedZone, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(TimeoutError, OSError, asyncio.IncompleteReadError):
        while True:
            async with asyncio.timeout(IDLE):
                size = int.from_bytes(await reader.readexactly(2), "big")
                question = await reader.readexactly(size)
            answer = _answer(zone, question, datagram=False)
            if answer:
                writer.write(len(answer).to_bytes(2, "big") + answer)
                await writer.drain()
    writer.close()


def _answer(zone: FixedZone, octets: bytes, *, datagram: bool) -> bytes:
    """The answer to one message; empty where the zone's behaviour is silence or the message is no question."""
    try:
        query = dns.message.from_wire(octets)
        response = dns.message.make_response(query, our_payload=1232)
        asked = query.question[0]
    except (dns.exception.DNSException, IndexError):
        return b""
    kind = dns.rdatatype.to_text(asked.rdtype)
    zone.asked[asked.name.to_text(omit_final_dot=True).lower(), kind] += 1
    behaviour = zone.behaviour(asked.name)
    if behaviour == "timeout":
        return b""
    if behaviour == "garbage":
        return octets[:2] + b"\xff" * 20
    if behaviour in ("servfail", "refused"):
        response.set_rcode(dns.rcode.SERVFAIL if behaviour == "servfail" else dns.rcode.REFUSED)
        return response.to_wire()
    if query.flags & dns.flags.AD and zone.is_signed(asked.name):
        response.flags |= dns.flags.AD  # RFC 6840 §5.8: to those who asked for it
    _fill(zone, response, asked.name, kind)
    if behaviour == "truncate" and datagram:
        response.answer.clear()
        response.flags |= dns.flags.TC
        return response.to_wire()
    room = max(query.payload, SMALLEST) if datagram else MOST_OCTETS
    try:
        return response.to_wire(max_size=room)
    except dns.exception.TooBig:
        response.answer.clear()
        response.flags |= dns.flags.TC  # RFC 1035 §4.1.1: ask again by TCP
        return response.to_wire()


def _fill(zone: FixedZone, response: dns.message.Message, name: dns.name.Name, kind: str) -> None:
    """Put the records into a response, or what says that there are none."""
    response.flags |= dns.flags.AA | dns.flags.RA
    records = zone.find(name, kind)
    if records:
        response.answer.append(dns.rrset.from_rdata_list(name, int(zone.ttl), records))
        return
    if records is None:
        response.set_rcode(dns.rcode.NXDOMAIN)
    # RFC 2308 §2: the SOA says how long "there is none" may be believed.
    soa = f". hostmaster.{name.to_text()} 1 3600 600 86400 {int(zone.ttl)}"
    response.authority.append(dns.rrset.from_text(name, int(zone.ttl), "IN", "SOA", soa))
