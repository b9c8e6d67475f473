"""Encoded words (RFC 2047): reading whatever mailers wrote, writing what every mailer reads, folding lines."""

import base64
import binascii
import re

from posthouse.message.text import decode

LINE = 78  # RFC 5322 §2.1.1: SHOULD
HARD_LINE = 998  # RFC 5322 §2.1.1: MUST
_MAX_WORD = 75  # RFC 2047 §2
_TEXT_IN_WORD = _MAX_WORD - len("=?utf-8?q??=")

# Real mailers put spaces into the text and leave out the end; a charset may carry a language (RFC 2231 §5)
_WORD = re.compile(r"=\?([^?\s*]{1,60}+)(?:\*[^?\s]{0,30}+)?\?([bBqQ])\?([^?]*+|[^\s]*?)\?=")
_CONTROLS = re.compile(r"[\0-\x08\x0a-\x1f\x7f]")
_PLAIN_IN_PHRASE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")  # RFC 2047 §5 (3)
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ \t-]*\Z")
_ADDRESS_FIELDS = frozenset(
    b"from to cc bcc reply-to sender resent-from resent-to resent-cc mail-followup-to return-path".decode().split()
)
_FIELD_NAME = re.compile(r"[!-9;-~]{1,76}\Z")
_SPACED = re.compile(r"[ \t]+|[^ \t]+")


class HeaderError(ValueError):
    """A field that must not be written: a line break or NUL in the value, or no field name."""


def decode_words(value: str) -> str:
    """The text of an unstructured value: encoded words decoded, line breaks and controls as spaces. Never raises."""
    if "=?" in value:
        value = _decode_words(value)
    if _CONTROLS.search(value):
        value = _CONTROLS.sub(" ", value.replace("\0", ""))
    return value


def _decode_words(value: str) -> str:
    out: list[str] = []
    pending: list[bytes] = []  # neighbouring words of one charset: a letter may be cut in two between them
    pending_charset = ""
    end = 0
    for word in _WORD.finditer(value):
        between = value[end : word.start()]
        charset = word[1].lower()
        adjacent = bool(pending) and not between.strip()  # RFC 2047 §6.2: white space between words is not shown
        if pending and not (adjacent and charset == pending_charset):
            out.append(decode(b"".join(pending), pending_charset))
            pending = []
        if not adjacent:
            out.append(between)
        pending.append(_word_bytes(word[2], word[3]))
        pending_charset = charset
        end = word.end()
    if pending:
        out.append(decode(b"".join(pending), pending_charset))
    out.append(value[end:])
    return "".join(out)


def _word_bytes(encoding: str, text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    if encoding in "qQ":
        return binascii.a2b_qp(raw, header=True)
    raw = raw.translate(None, b"= \t\r\n")
    if len(raw) % 4 == 1:
        raw = raw[:-1]
    try:
        return binascii.a2b_base64(raw + b"=" * (-len(raw) % 4))
    except binascii.Error:
        return text.encode("utf-8", "replace")


def encode_words(text: str) -> list[str]:
    """The text as encoded words of at most 75 characters each, in UTF-8, Q or B, whichever is shorter."""
    raw = text.encode("utf-8", "replace")
    if sum(chr(octet) in _PLAIN_IN_PHRASE or octet == 32 for octet in raw) * 2 < len(raw):
        limit = _TEXT_IN_WORD // 4 * 3
        return [f"=?utf-8?b?{base64.b64encode(chunk).decode('ascii')}?=" for chunk in _letters(text, limit)]
    words: list[str] = []
    current = ""
    for letter in text:
        piece = _q(letter)
        if len(current) + len(piece) > _TEXT_IN_WORD:
            words.append(f"=?utf-8?q?{current}?=")
            current = ""
        current += piece
    return [*words, f"=?utf-8?q?{current}?="] if current else words


def _letters(text: str, limit: int) -> list[bytes]:
    """Whole letters, at most `limit` octets together: RFC 2047 §5 forbids cutting one in two."""
    chunks = [b""]
    for letter in text:
        raw = letter.encode("utf-8", "replace")
        if len(chunks[-1]) + len(raw) > limit:
            chunks.append(b"")
        chunks[-1] += raw
    return chunks


def _q(letter: str) -> str:
    if letter == " ":
        return "_"
    if letter in _PLAIN_IN_PHRASE:
        return letter
    return "".join(f"={octet:02X}" for octet in letter.encode("utf-8", "replace"))


def encode_phrase(name: str) -> str:
    """A display name for a From or To value: as it is, quoted, or in encoded words. Raises HeaderError."""
    refuse_breaks(name)
    if not name.isascii():
        return " ".join(encode_words(name))
    if _ATOMS.match(name) and "=?" not in name:
        return name
    if "=?" in name:
        return " ".join(encode_words(name))
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def refuse_breaks(text: str) -> None:
    """Raise HeaderError when the text would end its header line early (CR, LF) or holds a NUL."""
    if "\r" in text or "\n" in text or "\0" in text:
        raise HeaderError("a header value holds a line break or a NUL")


def encode_field(name: str, value: str, eol: bytes = b"\r\n") -> bytes:
    """One field as bytes, folded to 78 columns where there is a space, never beyond 998; raises HeaderError.

    Letters outside ASCII become encoded words; what is encoded already stays as it is. In address fields a word
    with an @ is an address and stays UTF-8 (RFC 6532).
    """
    if not _FIELD_NAME.match(name):
        raise HeaderError("a header field has a name of printable ASCII letters without a colon")
    refuse_breaks(value)
    words = _field_words(value.strip(" \t"), name.lower() in _ADDRESS_FIELDS)
    return _fold(f"{name}:", words).replace("\n", eol.decode("ascii")).encode("utf-8", "replace") + eol


def _field_words(value: str, addresses: bool) -> list[tuple[str, str]]:
    """(space before, word) pairs in which every word may be written as it stands."""
    pieces: list[tuple[str, str]] = []
    space = " "
    run: list[str] = []  # words that must be encoded, with the spaces between them
    run_space = " "
    for piece in _SPACED.findall(value):
        if piece[0] in " \t":
            space = piece
            continue
        if _must_encode(piece, addresses):
            if run:
                run.append(space)
            else:
                run_space = space
            run.append(piece)
        else:
            pieces += _encoded_run(run_space, run)
            run = []
            pieces.append((space, piece))
    return pieces + _encoded_run(run_space, run)


def _must_encode(word: str, addresses: bool) -> bool:
    if len(word) > HARD_LINE - 100:
        return True
    return not word.isascii() and not (addresses and "@" in word)


def _encoded_run(space: str, run: list[str]) -> list[tuple[str, str]]:
    words = encode_words("".join(run)) if run else []
    return [(space if position == 0 else " ", word) for position, word in enumerate(words)]


def _fold(start: str, words: list[tuple[str, str]]) -> str:
    lines = [start]
    for position, (space, word) in enumerate(words):
        if position == 0:
            space = " "
        if len(space) > HARD_LINE - 100 or (len(lines[-1]) + len(space) + len(word) > LINE and position > 0):
            lines.append(space[: HARD_LINE - 100] + word)  # RFC 5322 §2.2.3: the fold stands before white space
        else:
            lines[-1] += space + word
    return "\n".join(lines)
