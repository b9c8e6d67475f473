"""The reply to EHLO and LHLO with its keywords (RFC 5321 §4.1.1.1)."""

from __future__ import annotations

from functools import lru_cache

from posthouse.smtp.reply import Reply
from posthouse.smtp.session import Extensions


@lru_cache(maxsize=256)
def hello_reply(
    reply: Reply,
    extensions: Extensions,
    message_size: int,
    recipients: int,
    transactions: int,
    *,
    encrypted: bool,
    authenticated: bool,
) -> Reply:
    """``reply`` with what is offered on a connection in this state, one keyword with its parameters a line."""
    words = ["PIPELINING", f"SIZE {message_size}", "8BITMIME", "ENHANCEDSTATUSCODES", "HELP"]
    if extensions.smtputf8:
        words.append("SMTPUTF8")  # RFC 6531
    if extensions.chunking:
        words.append("CHUNKING")  # RFC 3030
    if extensions.dsn:
        words.append("DSN")  # RFC 3461
    if extensions.starttls is not None and not encrypted:
        words.append("STARTTLS")  # RFC 3207 §4: not once it is active
    if extensions.auth and encrypted and not authenticated:
        words.append("AUTH PLAIN LOGIN")  # RFC 4954 §4; in clear text never
    bounds = [f"RCPTMAX={recipients}"] if recipients else []
    bounds += [f"MAILMAX={transactions}"] if transactions else []
    if bounds:
        words.append("LIMITS " + " ".join(bounds))  # RFC 9422
    return Reply(reply.code, "", "\n".join((reply.text, *words)))
