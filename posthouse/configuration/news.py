"""The news server that lists are linked with."""

from __future__ import annotations

from dataclasses import dataclass

from posthouse.configuration.declaring import setting


@dataclass(frozen=True)
class Nntp:
    """The news server of lists whose `linked_newsgroup` is set. Nothing is asked of it in the trial."""

    server: str = setting("", "HOST:PORT of the news server. Empty: there is no gateway to news.", "host-port")
    tls: bool = setting(False, "Speak TLS from the first byte (port 563). Else STARTTLS is used where it is offered.")
    user: str = setting("", "Name to sign in with (RFC 4643). Empty: none is asked for.")
    password: str = setting("", "Its password; sent over TLS alone, unless the server is on this machine.", "secret")
    timeout: float = setting(20.0, "Seconds the server may be silent.")
