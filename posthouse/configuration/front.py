"""What other mail servers on this network may ask us: which addresses exist, and where mail for them goes."""

from __future__ import annotations

from dataclasses import dataclass

from posthouse.configuration.declaring import endpoint, setting


@dataclass(frozen=True)
class Service:
    """Answers for a Postfix or an Exim in front, always current: Postfix's socketmap and policy protocols and a plain
    one with a line for a question, all on the same listeners. Or files for them, written anew at each change."""

    listen: list[str] = setting(
        [], "ADDRESS:PORT, or the /path of a UNIX socket. Empty: nobody is answered.", "service-listen"
    )
    networks: list[str] = setting(
        ["127.0.0.0/8", "::1/128"], "Who may ask over TCP; others are hung up on.", "networks"
    )
    socket_mode: str = setting("0660", "Mode of the UNIX socket, in octal.", "file-mode")
    socket_group: str = setting("", "Its group: that of the mail server in front. Empty: our own.")
    transport: str = setting(
        "", "What the map `transport` answers. Empty: `lmtp:inet:ADDRESS:PORT` of the first [reception] lmtp."
    )
    connections: int = setting(500, "Most connections of each reception process.")
    idle_seconds: float = setting(600.0, "Seconds a connection may be silent.")
    postfix_maps: str = setting("", "Folder where files for Postfix are kept current. Empty: none.", "path")
    exim_maps: str = setting("", "Folder where files for Exim are kept current. Empty: none.", "path")
    postmap: list[str] = setting(
        [], 'Command that makes a table of each file for Postfix: `["/usr/sbin/postmap", "lmdb:%s"]`. Empty: none.'
    )


def listening_place(text: str) -> str | tuple[str, int]:
    """The path of a UNIX socket, or (address, port). Raises ValueError naming the rule."""
    if text.startswith("/"):
        if len(text.encode()) > 107:
            raise ValueError("the path of a UNIX socket may have 107 bytes")
        return text
    return endpoint(text)


def check_service(kind: str, value: str) -> None:
    """Raise ValueError with the rule that a value of these kinds breaks."""
    if kind == "service-listen":
        try:
            listening_place(value)
        except ValueError as error:
            raise ValueError(f"{error}, or the /path of a UNIX socket") from None
    elif kind == "file-mode":
        try:
            fits = 0 <= int(value, 8) <= 0o777
        except ValueError:
            fits = False
        if not fits:
            raise ValueError('must be a mode in octal, like "0660"')
