"""What is sought in one part of a message, as its octets pass: GTUBE, EICAR, names in archives, messages inside."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable

from posthouse.reception.content_checks.names import Endings, Listing

# The two test strings are written in pieces, so that no scanner takes this file for what it looks for.
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN" + b"*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}" + b"$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
ENOUGH = 256  # octets that tell what a part is
OVERLAP = 512  # octets of one piece that are looked at again with the next one
MOST_LINE = 4096  # octets of an encoded line that wait for its end
_NOT_BASE64 = bytes(
    octet for octet in range(256) if octet not in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
)
_UU = re.compile(rb"(?:\A|\n)begin [0-7]{3,4} ([^\r\n]{1,300})\r?\n")

Tell = Callable[[str, str], None]
Decoder = Callable[[bytes, bool], bytes]  # (octets, whether these are the last) -> what they mean


def decoder(encoding: str) -> Decoder | None:
    """Undoes a transfer encoding (RFC 2045 §6) in pieces; None where there is nothing to undo."""
    if encoding == "base64":
        return Base64()
    if encoding == "quoted-printable":
        return QuotedPrintable()
    return None


class Base64:
    """base64 in pieces; what is no letter of it is passed over (RFC 2045 §6.8)."""

    def __init__(self) -> None:
        self._rest = b""

    def __call__(self, octets: bytes, last: bool) -> bytes:
        letters = self._rest + octets.translate(None, _NOT_BASE64)
        whole = len(letters) & ~3
        self._rest = letters[whole:]
        made = binascii.a2b_base64(letters[:whole])
        if last and len(self._rest) > 1:
            made += binascii.a2b_base64(self._rest + b"=" * (4 - len(self._rest)))
        return made


class QuotedPrintable:
    """quoted-printable in pieces, whole lines at a time."""

    def __init__(self) -> None:
        self._rest = b""

    def __call__(self, octets: bytes, last: bool) -> bytes:
        data = self._rest + octets
        end = len(data) if last else data.rfind(b"\n") + 1
        if not end and len(data) > MOST_LINE:  # such a line is not lawful: cut it where no code is cut
            end = len(data) - 2 if b"=" in data[-2:] else len(data)
        self._rest = data[end:]
        return binascii.a2b_qp(data[:end])


class Look:
    """Looks at one part, decoded. `text`: whether it is read as text, so that GTUBE counts."""

    def __init__(self, text: bool, archive: bool, endings: Endings, tell: Tell) -> None:
        self._text, self._archive, self._endings, self._tell = text, archive, endings, tell
        self._begin: bytes | None = b""  # what has come, until it is enough to see what it is
        self._overlap = b""
        self._listing: Listing | None = None

    @property
    def satisfied(self) -> bool:
        """Whether nothing that is still to come could matter: a picture need not be decoded to its end."""
        return self._begin is None and not self._text and self._listing is None

    def feed(self, octets: bytes) -> None:
        """The next octets of the part."""
        if self._begin is not None:
            octets = self._begin + octets
            if len(octets) < ENOUGH:
                self._begin = octets
                return
            self._start(octets)
        self._pass(octets)

    def close(self) -> None:
        """The part is over."""
        if self._begin:
            octets = self._begin
            self._start(octets)
            self._pass(octets)

    def _start(self, octets: bytes) -> None:
        """The EICAR file begins with its string (so says its definition); an archive with its mark."""
        self._begin = None
        if octets[:ENOUGH].lstrip(b" \t\r\n\xef\xbb\xbf").startswith(EICAR):
            self._tell("virus", "it holds the EICAR test file")
        if self._endings and (self._archive or octets.startswith(b"PK\x03\x04")):
            self._listing = Listing()

    def _pass(self, octets: bytes) -> None:
        if self._text:
            data = self._overlap + octets if self._overlap else octets
            if GTUBE in data:
                self._tell("spam", "it holds the test string GTUBE")
            if self._endings and b"begin " in data:
                for found in _UU.finditer(data):
                    self._name(found[1].decode("utf-8", "replace"), "a uuencoded file")
            self._overlap = data[-OVERLAP:]
        if self._listing is not None:
            for name in self._listing.feed(octets):
                self._name(name, "an archive lists")

    def _name(self, name: str, where: str) -> None:
        if self._endings.bad(name):
            self._tell("attachment", f"{where} {ascii(name[-80:])[1:-1]}")
