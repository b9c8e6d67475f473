"""Addresses: parse, normalise, compare, encode in a return path (VERP), and read the ones in a header field."""

import ipaddress
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header
from functools import lru_cache

MAX_LOCAL_PART = 255  # octets; more than the 64 of RFC 5321 §4.5.3.1.1, for a VERP return path holds a whole address
MAX_DOMAIN = 255  # octets, RFC 5321 §4.5.3.1.2
MAX_ADDRESS = MAX_LOCAL_PART + 1 + MAX_DOMAIN
MAX_MAILBOXES = 1_000
MAX_FIELD = 64 * 1024  # characters of a To: field that are read

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"
_DOT_ATOM = re.compile(rf"[{_ATEXT}]+(?:\.[{_ATEXT}]+)*\Z")
_PLAIN = re.compile(
    rf"[{_ATEXT}]{{1,64}}(?:\.[{_ATEXT}]{{1,64}}){{0,31}}"
    r"@(?!xn--)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?){0,31}\Z"
)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_DOTS = re.compile("[\u3002\uff0e\uff61]")


class AddressError(ValueError):
    """The text is no address; `rule` is the sentence that says which rule it breaks."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox: the local part without its quotes, the domain in lower-case ASCII (A-labels) or a literal."""

    local_part: str
    domain: str

    @property
    def key(self) -> str:
        """What two spellings of the same mailbox share: the whole address in lower case."""
        return str(self).lower()

    @property
    def domain_key(self) -> str:
        """The domain as it is compared: lower case, A-labels."""
        return self.domain.lower()

    def __str__(self) -> str:
        local = self.local_part
        if not _is_dot_atom(local):
            local = '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return f"{local}@{self.domain}"


def parse(text: str) -> Address:
    """Read an RFC 5321 §4.1.2 mailbox (RFC 6531 letters allowed); raises AddressError naming the broken rule."""
    if len(text) > MAX_ADDRESS:
        raise AddressError(f"an address has at most {MAX_ADDRESS} characters")
    if not text:
        raise AddressError("the address is empty")
    local, domain = _halves(text)
    if not local:
        raise AddressError("the part before the @ is empty")
    local = unicodedata.normalize("NFC", local)  # RFC 6532 §3.1
    try:
        octets = len(local.encode("utf-8"))
    except UnicodeEncodeError:
        raise AddressError("the address holds letters that are not Unicode") from None
    if octets > MAX_LOCAL_PART:
        raise AddressError(f"the part before the @ has at most {MAX_LOCAL_PART} octets")
    return Address(local, normal_domain(domain))


def key_of(text: str) -> str:
    """The key of an address as text: `parse(text).key`, but faster for plain ones. Raises AddressError."""
    if len(text) <= MAX_LOCAL_PART and _PLAIN.match(text) and ".xn--" not in text.lower():
        return text.lower()
    return parse(text).key


def _halves(text: str) -> tuple[str, str]:
    if not text.startswith('"'):
        local, at, domain = text.rpartition("@")
        if not at:
            raise AddressError("an address has an @ between name and domain")
        if local and not _is_dot_atom(local):
            raise AddressError("the part before the @ holds a letter that must be quoted, or a dot in the wrong place")
        return local, domain
    position = 1
    while position < len(text) and text[position] != '"':
        position += 2 if text[position] == "\\" else 1
    if position >= len(text):
        raise AddressError("the quoted part before the @ has no closing quote")
    if text[position + 1 : position + 2] != "@":
        raise AddressError("after the quoted part comes an @")
    quoted = text[1:position]
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in quoted):
        raise AddressError("the part before the @ holds a control character")
    return _QUOTED_PAIR.sub(r"\1", quoted), text[position + 2 :]


def _is_dot_atom(local: str) -> bool:
    if local.isascii():
        return _DOT_ATOM.match(local) is not None
    if any(unicodedata.category(letter)[0] in "CZ" for letter in local if letter > "\x7f"):
        return False
    return _DOT_ATOM.match("".join(letter if letter < "\x80" else "x" for letter in local)) is not None


@lru_cache(maxsize=4096)
def normal_domain(domain: str) -> str:
    """The one spelling of a domain: lower case, A-labels (RFC 5890), or a literal in brackets. Raises AddressError."""
    if not domain:
        raise AddressError("the domain is empty")
    if len(domain) > MAX_DOMAIN:
        raise AddressError(f"a domain has at most {MAX_DOMAIN} octets")
    if domain.startswith("["):
        return _literal(domain)
    if not domain.isascii():
        domain = _DOTS.sub(".", domain)
    labels = [_label(label) for label in domain.split(".")]
    name = ".".join(labels)
    if len(name) > MAX_DOMAIN:
        raise AddressError(f"a domain has at most {MAX_DOMAIN} octets")
    return name


def _label(label: str) -> str:
    if not label.isascii():
        # RFC 5895 §2: the mapping of what people type, then the U-label as its A-label
        label = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", label).lower())
        if any(letter != "-" and unicodedata.category(letter)[0] not in "LMN" for letter in label):
            raise AddressError("the domain holds a letter that no domain has")
        if unicodedata.category(label[0])[0] == "M":
            raise AddressError("a part of the domain begins with a combining mark")  # RFC 5891 §4.2.3.2
        if not label.isascii():
            label = "xn--" + label.encode("punycode").decode("ascii")
    label = label.lower()
    if not label:
        raise AddressError("the domain has an empty part, or a dot in the wrong place")
    if not _LABEL.match(label):
        raise AddressError("a part of the domain is 1 to 63 letters, digits and inner hyphens")
    return label


def _literal(domain: str) -> str:
    """RFC 5321 §4.1.3: [192.0.2.1] and [IPv6:2001:db8::1]; no other kind of literal was ever registered."""
    if not domain.endswith("]"):
        raise AddressError("the address literal has no closing bracket")
    inner = domain[1:-1]
    try:
        if inner[:5].lower() == "ipv6:":
            if "%" in inner:
                raise ValueError("scoped")
            return f"[IPv6:{ipaddress.IPv6Address(inner[5:]).compressed}]"
        return f"[{ipaddress.IPv4Address(inner)}]"
    except ValueError:
        raise AddressError("the address literal is no IP address") from None


def verp_encode(base: str, recipient: str) -> str:
    """The return path that names its recipient: garden-bounces+ana=far.example@lists.example."""
    local, _, domain = base.rpartition("@")
    name, _, host = recipient.rpartition("@")
    return f"{local}+{name}={host}@{domain}"


def verp_decode(local_part: str) -> tuple[str, str] | None:
    """The base and the recipient in a VERP local part, or None. The first + ends the base, the last = splits.

    A base that itself holds a + cannot be told from the recipient's; see `verp_decode_for`.
    """
    base, plus, encoded = local_part.partition("+")
    return _verp_pair(base, encoded) if plus else None


def verp_decode_for(base: str, local_part: str) -> str | None:
    """The recipient in a VERP local part of the known base (exact even when the base holds a +), or None."""
    if local_part[: len(base) + 1].lower() != f"{base}+".lower():
        return None
    pair = _verp_pair(base, local_part[len(base) + 1 :])
    return pair[1] if pair else None


def _verp_pair(base: str, encoded: str) -> tuple[str, str] | None:
    name, equals, host = encoded.rpartition("=")
    if not (base and name and equals and host):
        return None
    return base, f"{name}@{host}"


# --- the mailboxes of a header field ------------------------------------------------------------------------------

_SIMPLE = re.compile(r'\s*"?([^"<>,;:()@\\]{0,500}+)"?\s*<([^<>\s,;:()"@\\]{1,255}+@[^<>\s,;()"@\\]{1,255}+)>\s*\Z')
_BARE = re.compile(r'\s*([^<>\s,;:()"@\\]{1,255}+@[^<>\s,;()"@\\]{1,255}+)\s*\Z')
_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*+)"?|<([^<>]*+)>?|([,;:()])|([^"<>,;:()]++)|(.)', re.DOTALL)
# Pipermail writes `ana at far.example` for ana@far.example
_OBSCURED = re.compile(r"\s*([^\s@<>,]{1,255}+)\s+at\s+((?:[\w-]{1,63}+\.)+[\w-]{1,63}+)\s*\Z")
_ENCODED_WORD_END = "=?"


def mailboxes(header_value: str, decode: Callable[[str], str] | None = None) -> list[tuple[str, str]]:
    """The (display name, address) pairs of a From, To or Cc value; tolerant, linear, at most 1,000; never raises.

    `header_value` is the raw unfolded value: encoded words are decoded after the splitting, so that a comma or an
    angle bracket inside one cannot forge a mailbox (RFC 2047 §6.2). `decode` replaces the plain decoder of names.
    Addresses come as written; pass them to `parse` before they are trusted.
    """
    decode = decode or _decode_words
    simple = _SIMPLE.match(header_value) if len(header_value) < 1_200 else None
    if simple:
        return [(_name([simple[1]], decode), simple[2])]
    bare = _BARE.match(header_value) if len(header_value) < 600 else None
    if bare:
        return [("", bare[1])]
    return _split_mailboxes(header_value[:MAX_FIELD], decode)


def _split_mailboxes(value: str, decode: Callable[[str], str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    words: list[str] = []
    comments: list[str] = []
    address: str | None = None
    depth = 0
    for token in _TOKEN.finditer(value):
        quoted, angle, mark, word, _ = token.groups()
        if depth and mark not in ("(", ")"):
            comments.append(token[0])
        elif mark == "(":
            depth += 1
        elif mark == ")":
            depth = max(0, depth - 1)
        elif mark in (",", ";"):
            _close(found, words, comments, address, decode)
            words, comments, address = [], [], None
        elif mark == ":":  # the name of a group, RFC 5322 §3.4
            words = []
        elif quoted is not None:
            words.append(_QUOTED_PAIR.sub(r"\1", quoted))
        elif angle is not None:
            address = angle if address is None else address
        elif word:
            words.append(word)
        if len(found) >= MAX_MAILBOXES:
            return found
    _close(found, words, comments, address, decode)
    return found


def _close(
    found: list[tuple[str, str]],
    words: list[str],
    comments: list[str],
    address: str | None,
    decode: Callable[[str], str],
) -> None:
    phrase = " ".join(word.strip() for word in words if word.strip())
    if address is not None:
        # `<@relay.example:ana@far.example>`: the source route is ignored, RFC 5321 §4.1.1.3
        if address.startswith("@"):
            address = address.partition(":")[2]
        obscured = _OBSCURED.match(address)
        address = f"{obscured[1]}@{obscured[2]}" if obscured else "".join(address.split())
        if address:
            found.append((_name([phrase], decode), address))
        return
    obscured = _OBSCURED.match(phrase)
    if obscured:
        found.append((_name(comments, decode), f"{obscured[1]}@{obscured[2]}"))
        return
    parts = phrase.split()
    at = [part for part in parts if "@" in part.strip("@")]
    if not at:
        return
    rest = [part for part in parts if part != at[-1]]
    found.append((_name(rest or comments, decode), at[-1]))


def _name(words: list[str], decode: Callable[[str], str]) -> str:
    text = " ".join(words)
    if _ENCODED_WORD_END in text:
        text = decode(text)
    return " ".join(text.split()).strip("\"'").replace("\0", "")[:1_000]


def _decode_words(text: str) -> str:
    try:
        pairs = decode_header(text)
    except (HeaderParseError, ValueError):
        return text
    return "".join(_decoded(piece, charset) for piece, charset in pairs)


def _decoded(piece: str | bytes, charset: str | None) -> str:
    if isinstance(piece, str):
        return piece
    try:
        return piece.decode(charset if charset in ("iso-8859-1", "iso-2022-jp", "koi8-r", "windows-1252") else "utf-8")
    except UnicodeDecodeError:
        return piece.decode("utf-8", "replace")
