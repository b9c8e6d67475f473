"""The keywords of EHLO and LHLO, as lines (RFC 5321 §4.1.1.1)."""

from __future__ import annotations

from functools import lru_cache

from posthouse.smtp.session import Extensions, Limits


@lru_cache(maxsize=64)
def keywords(extensions: Extensions, limits: Limits, *, encrypted: bool, authenticated: bool) -> tuple[str, ...]:
    """What is offered on a connection in this state, one keyword with its parameters each."""
    words = ["PIPELINING", f"SIZE {limits.message_size}", "8BITMIME", "ENHANCEDSTATUSCODES", "HELP"]
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
    bounds = [f"RCPTMAX={limits.recipients}"] if limits.recipients else []
    bounds += [f"MAILMAX={limits.transactions}"] if limits.transactions else []
    if bounds:
        words.append("LIMITS " + " ".join(bounds))  # RFC 9422
    return tuple(words)
