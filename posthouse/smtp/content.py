"""The content of one transaction on its way from the wire to its sink, under the CRLF law."""

from __future__ import annotations

from posthouse.smtp import catalogue
from posthouse.smtp.data import Inspector
from posthouse.smtp.reply import Reply
from posthouse.smtp.session import Limits, Sink, StorageError


class Content:
    """Gathers small content into a single write, spools large content as it comes, and drops what is unlawful."""

    __slots__ = ("_held", "_inspector", "_pieces", "_sink", "_spool_above", "_trouble", "finished")

    def __init__(self, sink: Sink, limits: Limits) -> None:
        self._sink = sink
        self._inspector = Inspector(limits)
        self._spool_above = limits.spool_above
        self._pieces: list[bytes] = []
        self._held = 0
        self._trouble: Reply | None = None
        self.finished = False

    @property
    def sink(self) -> Sink:
        """Where the content went."""
        return self._sink

    @property
    def size(self) -> int:
        """Octets of content so far, dots undone."""
        return self._inspector.size

    def take(self, piece: bytes) -> None:
        """The next octets of content. Unlawful content is still looked at, but no longer kept."""
        if not piece:
            return
        self._inspector.feed(piece)
        if self.finished:
            return
        if not self._inspector.lawful:
            self.drop()
            return
        self._pieces.append(piece)
        self._held += len(piece)
        if self._held > self._spool_above:
            self._spool()

    def refusal_so_far(self) -> Reply | None:
        """Between two chunks: what is already known to be wrong."""
        return self._trouble if self._inspector.lawful else self._inspector.verdict()

    def finish(self) -> Reply | None:
        """The content has ended: None when the sink holds all of it, else the refusal."""
        refusal = self._inspector.verdict()
        if refusal is None and self._trouble is None and not self.finished:
            self._spool()
        refusal = refusal or self._trouble
        if refusal is not None:
            self.drop()
        self.finished = True
        return refusal

    def drop(self) -> None:
        """Forget everything; safe to repeat."""
        self._pieces.clear()
        self._held = 0
        if not self.finished:
            self.finished = True
            self._sink.abort()

    def _spool(self) -> None:
        pieces = self._pieces
        chunk = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        try:
            self._sink.write(chunk)
        except (StorageError, OSError):
            self._trouble = catalogue.STORAGE_FULL
            self.drop()
            return
        pieces.clear()
        self._held = 0
