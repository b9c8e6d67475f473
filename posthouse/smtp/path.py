"""Addresses as SMTP writes them: the path grammar of RFC 5321 §4.1.2 and RFC 6531 §3.3, and xtext (RFC 3461 §4)."""

from __future__ import annotations

import ipaddress
import re

ADDRESS_LIMIT = 320  # octets; RFC 5321 §4.5.3.1 has 64 + 1 + 255, but a VERP local part may need the domain's share
DOMAIN_LIMIT = 255  # RFC 5321 §4.5.3.1.2
LABEL_LIMIT = 63

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u00a0-\U0010ffff]"
_LETTER = r"[A-Za-z0-9\u00a0-\U0010ffff]"
_LABEL = rf"{_LETTER}(?:[A-Za-z0-9\-\u00a0-\U0010ffff]*{_LETTER})?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
_QUOTED = r'"(?:[ !#-\[\]-~\u00a0-\U0010ffff]|\\[ -~])*"'
_LITERAL = r"\[[A-Za-z0-9:.\-]{1,80}\]"
# Each piece is unambiguous in its first character, so these never backtrack further than one label.
_MAILBOX = re.compile(rf"(?:{_ATEXT}+(?:\.{_ATEXT}+)*|{_QUOTED})@(?:({_DOMAIN})|({_LITERAL}))")
_SOURCE_ROUTE = re.compile(rf"@{_DOMAIN}(?:,@{_DOMAIN})*:")
# The common address in one step: no quotes, no literal, ASCII, and short enough to need no further check.
_WORD = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]+"
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
_PLAIN = re.compile(rf"(?=.{{1,254}}\Z){_WORD}(?:\.{_WORD})*@{_NAME}(?:\.{_NAME})*")
_HELLO_NAME = re.compile(r"[A-Za-z0-9_\u00a0-\U0010ffff](?:[A-Za-z0-9_.\-\u00a0-\U0010ffff]{0,254})\.?")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_HEX = re.compile(r"\+([0-9A-F]{2})")
_NOT_XCHAR = re.compile(r"[^!-*,-<>-~]")


class BadPath(ValueError):
    """Not a path of RFC 5321 §4.1.2; the argument says which rule it breaks."""


def parse_mailbox(text: str) -> str:
    """The address within a path's angle brackets, any source route dropped (RFC 5321 §4.1.1.3). Raises BadPath."""
    if _PLAIN.fullmatch(text):
        return text
    if len(text.encode("utf-8", "surrogatepass")) > 2 * ADDRESS_LIMIT:
        raise BadPath("address is too long")
    if text.startswith("@"):
        # RFC 5321 Appendix C: source routes are accepted and ignored.
        route = _SOURCE_ROUTE.match(text)
        if route is None:
            raise BadPath("malformed source route")
        text = text[route.end() :]
    if len(text.encode("utf-8")) > ADDRESS_LIMIT:
        raise BadPath("address is too long")
    match = _MAILBOX.fullmatch(text)
    if match is None:
        raise BadPath("malformed address")
    domain, literal = match[1], match[2]
    if literal is not None:
        check_literal(literal)
    elif len(domain.encode("utf-8")) > DOMAIN_LIMIT or any(len(label) > LABEL_LIMIT for label in domain.split(".")):
        raise BadPath("domain is too long")
    return text


def check_literal(literal: str) -> None:
    """Check ``[192.0.2.1]`` or ``[IPv6:2001:db8::1]`` (RFC 5321 §4.1.3). Raises BadPath."""
    inner = literal[1:-1]
    try:
        if inner[:5].upper() == "IPV6:":
            ipaddress.IPv6Address(inner[5:])
        else:
            ipaddress.IPv4Address(inner)
    except ValueError:
        raise BadPath("malformed address literal") from None


def valid_hello(name: str) -> bool:
    """Is this a name for HELO: a domain or an address literal (RFC 5321 §4.1.1.1)? Underscores are let pass."""
    if name.startswith("["):
        try:
            check_literal(name)
        except BadPath:
            return False
        return name.endswith("]")
    return _HELLO_NAME.fullmatch(name) is not None


def encode_xtext(text: str) -> str:
    """Printable ASCII as xtext (RFC 3461 §4); other characters become the octets of their UTF-8."""
    return _NOT_XCHAR.sub(lambda match: "".join(f"+{octet:02X}" for octet in match[0].encode()), text)


def decode_xtext(text: str) -> str:
    """Undo xtext. Raises BadPath when it is malformed or hides anything but printable ASCII (so no CR, LF or NUL)."""
    if _XTEXT.fullmatch(text) is None:
        raise BadPath("malformed xtext")
    if "+" not in text:
        return text
    decoded = _HEX.sub(lambda match: chr(int(match[1], 16)), text)
    if not (decoded.isascii() and decoded.isprintable()):
        raise BadPath("xtext hides unprintable characters")
    return decoded
