"""Files that are made while they are sent: how many at a time, packed for whom takes it, given up with the client."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator
from itertools import chain
from typing import Final

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from posthouse.database import Unavailable
from posthouse.web.guard import busy, network_of
from posthouse.web.middleware import PACKING_EFFORT, takes_gzip
from posthouse.web.turns import turns

RETRY_AFTER: Final = 60  # seconds


class Stream:
    """The pieces of a file, packed or as they are; holds a turn until it is closed, however it ends."""

    def __init__(self, pieces: Iterator[bytes], packed: bool, network: str) -> None:
        self._pieces = self._packed(pieces) if packed else pieces
        self._network: str | None = network

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except (Unavailable, DatabaseError, InterfaceError, OSError) as error:
            # The server hangs up without the last chunk (RFC 9112 §8): the client knows that something is missing.
            logging.getLogger(__name__).error("a download was cut off: %s", error)
            raise

    def close(self) -> None:
        """Give the turn back; safe to repeat."""
        network, self._network = self._network, None
        if network is not None:
            turns.leave(network)

    @staticmethod
    def _packed(pieces: Iterator[bytes]) -> Iterator[bytes]:
        packer = zlib.compressobj(PACKING_EFFORT, zlib.DEFLATED, 31)
        for place, piece in enumerate(pieces):
            octets = packer.compress(piece)
            if not place:
                octets += packer.flush(zlib.Z_SYNC_FLUSH)  # the client sees at once that it begins
            if octets:
                yield octets
        yield packer.flush()


def answer(request: HttpRequest, pieces: Iterator[bytes], media_type: str) -> HttpResponseBase:
    """The file as an answer: with its length when it is one piece, else sent while it is made.

    429 or 503 when too many are sent already. HEAD has neither content nor length (RFC 9110 §9.3.2).
    """
    first = next(pieces, b"")
    second = next(pieces, None)
    if second is None:
        return HttpResponse(first, content_type=media_type)
    packed = takes_gzip(request)
    if request.method == "HEAD":
        response = StreamingHttpResponse(iter(()), content_type=media_type)
    else:
        network = network_of(request.META.get("REMOTE_ADDR", ""))
        status = turns.take(network)
        if status:
            return busy(request, status, RETRY_AFTER, _("Too many downloads are under way."))
        stream = Stream(chain((first, second), pieces), packed, network)
        response = StreamingHttpResponse(stream, content_type=media_type)
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Accept-Ranges"] = "none"  # it is made anew each time
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    return response
