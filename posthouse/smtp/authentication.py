"""The AUTH exchange: PLAIN (RFC 4616) and LOGIN, one line at a time (RFC 4954)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply

MECHANISMS = ("PLAIN", "LOGIN")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client offered to prove who it is."""

    mechanism: str
    identity: str
    password: str
    authorization: str = ""  # whom it wants to act as; empty: itself

    def __repr__(self) -> str:
        return f"Credentials({self.mechanism}, {self.identity!r})"  # a password never reaches a log


class Exchange:
    """One AUTH command until its credentials are complete."""

    __slots__ = ("_mechanism", "_username")

    def __init__(self, mechanism: str) -> None:
        self._mechanism = mechanism
        self._username: str | None = None

    def begin(self, initial: bytes | None) -> Reply | Credentials:
        """Start, with the initial response when the client sent one ("=" stands for an empty one)."""
        if initial is None:
            return catalogue.AUTH_CONTINUE if self._mechanism == "PLAIN" else catalogue.AUTH_USERNAME
        return self.answer(b"" if initial == b"=" else initial)

    def answer(self, line: bytes) -> Reply | Credentials:
        """The client's next line: a 334 to go on, credentials, or the refusal."""
        if line == b"*":
            return catalogue.AUTH_CANCELLED  # RFC 4954 §4
        try:
            text = base64.b64decode(line, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            return catalogue.AUTH_BAD_RESPONSE
        if self._mechanism == "PLAIN":
            fields = text.split("\0")
            if len(fields) != 3 or not fields[1]:
                return catalogue.AUTH_BAD_RESPONSE
            return Credentials("PLAIN", fields[1], fields[2], fields[0])
        if "\0" in text:
            return catalogue.AUTH_BAD_RESPONSE
        if self._username is None:
            if not text:
                return catalogue.AUTH_BAD_RESPONSE
            self._username = text
            return catalogue.AUTH_PASSWORD
        return Credentials("LOGIN", self._username, text)
