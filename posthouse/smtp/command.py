"""What clients say: MAIL and RCPT with their parameters, EHLO, BDAT (RFC 5321 §4.1, and one line per extension)."""

from __future__ import annotations

import re

from posthouse.smtp import catalogue
from posthouse.smtp.path import BadPath, decode_xtext, parse_mailbox
from posthouse.smtp.reply import Reply
from posthouse.smtp.session import ForwardPath, ReturnPath

# RFC 5321 §3.3 forbids spaces behind the colon, but they are common and harmless. A quoted local part may hold ">".
_PATH = re.compile(r' *<((?:[^<>"\\]|"(?:[^"\\]|\\.)*")*)>(?: +(\S.*))?', re.DOTALL)
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9\-]*)(?:=([^\x00-\x20=\x7f]+))?")  # RFC 5321 §4.1.2 esmtp-param
_BDAT = re.compile(rb"BDAT ([0-9]{1,18})( LAST)?", re.IGNORECASE)  # RFC 3030 §2
_NOTIFY = re.compile(r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2}")
_ORCPT = re.compile(r"([A-Za-z0-9][A-Za-z0-9\-]{0,63});(.+)")
_UTF8_ADDRESS = re.compile(r"[!-*,-<>-~\u00a0-\U0010ffff]+")
ENVID_LIMIT = 100  # RFC 3461 §4.4
ORCPT_LIMIT = 500  # RFC 3461 §4.2

_PLAIN_MAIL = re.compile(
    rb"MAIL FROM:<([A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]+)*"
    rb"@[A-Za-z0-9]+(?:[.\-][A-Za-z0-9]+)*|)>"
    rb"(?: SIZE=([0-9]{1,18}))?(?: BODY=(8BITMIME|7BIT))?",
    re.IGNORECASE,
)
_PLAIN_RCPT = re.compile(
    rb"RCPT TO:<([A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]+)*"
    rb"@[A-Za-z0-9]+(?:[.\-][A-Za-z0-9]+)*)>",
    re.IGNORECASE,
)
_PLAIN_LIMIT = 80  # a command this short cannot break a bound on domains or labels that matters
_EMPTY: dict[str, str] = {}


class BadCommand(Exception):
    """A command that is refused for its form; ``reply`` is what the client hears."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


def decode(line: bytes) -> str:
    """A command line as text. Raises BadCommand when it is not UTF-8 (RFC 6531 §3.1)."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise BadCommand(catalogue.NOT_UTF8) from None


def parse_mail(line: bytes, *, smtputf8: bool = True, dsn: bool = True) -> ReturnPath:
    """``MAIL FROM:<...> ...`` (RFC 5321 §4.1.1.2). The flags say what EHLO offered. Raises BadCommand."""
    if len(line) <= _PLAIN_LIMIT and (match := _PLAIN_MAIL.fullmatch(line)):
        address, size, body = match.groups()
        return ReturnPath(
            address.decode("ascii"), int(size) if size else None, body.decode("ascii").upper() if body else ""
        )
    text, parameters = _path(line, b"MAIL FROM:", catalogue.MAIL_SYNTAX)
    utf8 = _flag(parameters, "SMTPUTF8") if smtputf8 else False
    size_text = parameters.pop("SIZE", None)
    if size_text is not None and not (size_text.isascii() and size_text.isdigit() and len(size_text) <= 20):
        raise BadCommand(catalogue.BAD_PARAMETER.with_text("SIZE is a number of octets"))  # RFC 1870 §6
    body_text = parameters.pop("BODY", "").upper()
    if body_text not in ("", "7BIT", "8BITMIME"):
        # RFC 6152 §3; BINARYMIME (RFC 3030 §3) is not offered.
        raise BadCommand(catalogue.BAD_PARAMETER.with_text("BODY is 7BIT or 8BITMIME here"))
    ret = parameters.pop("RET", "").upper() if dsn else ""
    if ret not in ("", "FULL", "HDRS"):
        raise BadCommand(catalogue.BAD_PARAMETER.with_text("RET is FULL or HDRS"))
    envid = _xtext(parameters.pop("ENVID", ""), "ENVID", ENVID_LIMIT) if dsn else ""
    auth = _xtext(parameters.pop("AUTH", ""), "AUTH", ORCPT_LIMIT)
    _none_left(parameters)
    address_text = _mailbox(text, catalogue.BAD_RETURN_PATH, utf8) if text else ""
    return ReturnPath(address_text, int(size_text) if size_text else None, body_text, utf8, ret, envid, auth)


def parse_rcpt(line: bytes, *, smtputf8: bool = True, dsn: bool = True) -> ForwardPath:
    """``RCPT TO:<...> ...`` (RFC 5321 §4.1.1.3). ``smtputf8`` says whether this transaction asked for it."""
    if len(line) <= _PLAIN_LIMIT and (match := _PLAIN_RCPT.fullmatch(line)):
        return ForwardPath(match[1].decode("ascii"))
    text, parameters = _path(line, b"RCPT TO:", catalogue.RCPT_SYNTAX)
    notify = parameters.pop("NOTIFY", "").upper() if dsn else ""
    if notify and (_NOTIFY.fullmatch(notify) is None or len(set(words := notify.split(","))) != len(words)):
        raise BadCommand(catalogue.BAD_PARAMETER.with_text("NOTIFY is NEVER or some of SUCCESS,FAILURE,DELAY"))
    original = _original_recipient(parameters.pop("ORCPT", ""), smtputf8) if dsn else ""
    _none_left(parameters)
    if text.lower() == "postmaster":  # RFC 5321 §4.1.1.3: the one address without a domain
        return ForwardPath(text, notify, original)
    return ForwardPath(_mailbox(text, catalogue.BAD_RECIPIENT, smtputf8), notify, original)


def parse_bdat(line: bytes) -> tuple[int, bool]:
    """``BDAT size [LAST]``: the size in octets, and whether it is the last (RFC 3030 §2). Raises BadCommand."""
    match = _BDAT.fullmatch(line.rstrip(b" "))
    if match is None:
        raise BadCommand(catalogue.BDAT_SYNTAX)
    return int(match[1]), match[2] is not None


def _path(line: bytes, prefix: bytes, syntax: Reply) -> tuple[str, dict[str, str]]:
    text = decode(line)
    if line[: len(prefix)].upper() != prefix:
        raise BadCommand(syntax)
    match = _PATH.fullmatch(text.rstrip(" "), len(prefix))
    if match is None:
        raise BadCommand(syntax)
    return match[1], _parameters(match[2]) if match[2] else _EMPTY.copy()


def _parameters(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in text.split(" "):
        if not word:
            continue
        match = _PARAMETER.fullmatch(word)
        if match is None:
            raise BadCommand(catalogue.SYNTAX_ERROR)
        name = match[1].upper()
        if name in found:
            raise BadCommand(catalogue.REPEATED_PARAMETER.with_text(f"Parameter {name} given twice"))
        found[name] = match[2] or ""
    return found


def _mailbox(text: str, refusal: Reply, smtputf8: bool) -> str:
    if not text.isascii() and not smtputf8:
        raise BadCommand(catalogue.NEEDS_SMTPUTF8)  # RFC 6531 §3.5
    try:
        return parse_mailbox(text)
    except BadPath as why:
        raise BadCommand(refusal.with_text(f"{refusal.text}: {why}")) from None


def _flag(parameters: dict[str, str], name: str) -> bool:
    value = parameters.pop(name, None)
    if value:
        raise BadCommand(catalogue.BAD_PARAMETER.with_text(f"{name} takes no value"))
    return value is not None


def _xtext(value: str, name: str, limit: int) -> str:
    if len(value) > limit:
        raise BadCommand(catalogue.BAD_PARAMETER.with_text(f"{name} is too long"))
    try:
        return decode_xtext(value)
    except BadPath:
        raise BadCommand(catalogue.BAD_PARAMETER.with_text(f"{name} is not valid xtext")) from None


def _original_recipient(value: str, smtputf8: bool) -> str:
    if not value:
        return ""
    match = _ORCPT.fullmatch(value)
    if match is None or len(value) > ORCPT_LIMIT:
        raise BadCommand(catalogue.BAD_PARAMETER.with_text("ORCPT is type;address in at most 500 characters"))
    kind = match[1].lower()
    if kind == "utf-8":  # RFC 6533 §3: not xtext but an encoding of its own, passed on as it is
        if _UTF8_ADDRESS.fullmatch(match[2]) is None or not (smtputf8 or value.isascii()):
            raise BadCommand(catalogue.BAD_PARAMETER.with_text("ORCPT is not a valid utf-8 address"))
        return f"{kind};{match[2]}"
    return f"{kind};{_xtext(match[2], 'ORCPT', ORCPT_LIMIT)}"


def _none_left(parameters: dict[str, str]) -> None:
    for name in parameters:  # RFC 5321 §4.1.1.11
        raise BadCommand(catalogue.UNKNOWN_PARAMETER.with_text(f"Parameter {name[:40]} not recognised"))
