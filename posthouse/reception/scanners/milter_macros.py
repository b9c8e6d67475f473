"""The macros of the milter protocol: what is known of client, envelope and message at each stage, as Postfix has it."""

from __future__ import annotations

from posthouse.reception.policy.facts import Visit
from posthouse.reception.scanners import milter_wire as say

# What a filter hears at each stage when it does not name the macros it wants. What its stage does not have yet is left
# out; nothing stands before fields, blocks of the body and unknown commands, since filters know no such stage.
_USUAL = {
    say.CONNECT: (
        "j", "v", "_", "{daemon_name}", "{daemon_addr}", "{daemon_port}", "{client_addr}", "{client_name}",
        "{client_port}",
    ),
    say.HELO: ("{tls_version}", "{cipher}", "{cipher_bits}"),
    say.MAIL: ("i", "{auth_type}", "{auth_authen}", "{auth_author}", "{mail_addr}", "{mail_host}"),
    say.RCPT: ("i", "{rcpt_addr}", "{rcpt_host}", "{rcpt_mailer}"),
    say.DATA: ("i",),
    say.END_OF_HEADER: ("i",),
    say.END_OF_BODY: ("i",),
}  # fmt: skip


class Macros:
    """What one filter is told on one connection. What became known at a stage stays known at those behind it."""

    def __init__(self, host: str, visit: Visit) -> None:
        self._host, self._visit = host, visit
        self.wanted: dict[bytes, list[str]] = {}  # by stage, where the filter named some
        self.queue_name = ""
        self._mail: dict[str, str] = {}
        self._recipient: dict[str, str] = {}

    def clear(self) -> None:
        """The transaction is over."""
        self.queue_name = ""
        self._mail, self._recipient = {}, {}

    def mail(self, return_path: str, author: str) -> None:
        """MAIL; `author` as its parameter AUTH says (RFC 4954 §5)."""
        self._mail = {
            "{mail_addr}": return_path,
            "{mail_host}": return_path.rpartition("@")[2],
            "{auth_author}": author,
        }

    def recipient(self, mailer: str, host: str, address: str) -> None:
        """RCPT: who will carry it to where; for one that was refused "error", the enhanced code and the words."""
        self._recipient = {"{rcpt_mailer}": mailer, "{rcpt_host}": host, "{rcpt_addr}": address}

    def before(self, stage: bytes) -> bytes:
        """The packet that goes before a command; b"" for none."""
        usual = _USUAL.get(stage)
        if usual is None:
            return b""
        known = self._known()
        wanted = self.wanted.get(stage, usual)
        return say.macros(stage, ((name, known.get(name) or known.get(f"{{{name}}}", "")) for name in wanted))

    def _known(self) -> dict[str, str]:
        visit, tls = self._visit, self._visit.tls
        address = visit.address.partition("%")[0]
        name = visit.client_name or ""
        known = {
            "i": self.queue_name, "j": self._host, "v": "Posthouse", "_": f"{name or f'[{address}]'} [{address}]",
            "{daemon_name}": visit.listener, "{daemon_addr}": visit.local_address,
            "{daemon_port}": str(visit.local_port or ""), "{client_addr}": address, "{client_name}": name,
            "{client_ptr}": name, "{client_port}": str(visit.port),
        }  # fmt: skip
        if tls is not None:
            known |= {"{tls_version}": tls.version, "{cipher}": tls.cipher, "{cipher_bits}": str(tls.bits)}
        if visit.account:
            known |= {"{auth_type}": visit.mechanism, "{auth_authen}": visit.account}
        return known | self._mail | self._recipient
