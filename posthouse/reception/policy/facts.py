"""Everything policy may look at: the client, the envelope and what was found out about them. Facts, never decisions.

`Visit` lasts as long as the connection, `Facts` as long as a transaction. What nobody asked for is None; what could
not be found out says so itself (`unknown`, `silent`, `failed`) and never counts against anybody.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import IO

from posthouse.authenticity.names import a_label
from posthouse.authenticity.spf import Spf
from posthouse.reception.evidence import Evidence
from posthouse.smtp.reply import Reply
from posthouse.smtp.session import ForwardPath, ReturnPath, TlsFacts


@dataclass(frozen=True, slots=True)
class Listed:
    """One answer of a DNS list: `weight` is positive for a list of bad ones, negative for a list of good ones."""

    zone: str
    code: str  # the address that the list answered, "127.0.0.2"
    weight: float
    text: str = ""  # what the list says about it (TXT), on one line


@dataclass(frozen=True, slots=True)
class Listing:
    """What all DNS lists together say about one address or domain (RFC 5782)."""

    hits: tuple[Listed, ...] = ()
    silent: tuple[str, ...] = ()  # zones that did not answer in time, or whose self-check says they are dead

    @property
    def weight(self) -> float:
        """All weights together."""
        return sum(hit.weight for hit in self.hits)


@dataclass(frozen=True, slots=True)
class Standing:
    """What was seen before of a network and of the domain that proved to have sent; counters that decay."""

    network_good: float = 0.0
    network_bad: float = 0.0
    domain: str = ""  # the domain that SPF or DKIM proves, "" for none
    domain_good: float = 0.0
    domain_bad: float = 0.0

    @property
    def badness(self) -> float:
        """0.0 (only good seen, or nothing) to 1.0 (only bad), weighed by how much was seen."""
        good, bad = self.network_good + self.domain_good, self.network_bad + self.domain_bad
        return bad / (good + bad + 5.0)  # a few bad ones alone prove nothing


@dataclass(frozen=True, slots=True)
class Verified:
    """What another host said of an address (a callout or a recipient verification)."""

    address: str
    answer: str  # "yes", "no", "unknown" (temporary failure, no host, not asked for reasons of courtesy)
    reply: str = ""  # its words
    cached: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """Greylisting of one recipient: `state` is "new", "early", "passed" or "exempt"."""

    recipient: str
    state: str
    seconds: int = 0  # still to wait
    why: str = ""  # a sentence


@dataclass(frozen=True, slots=True)
class Excess:
    """A rate that was exceeded: who (`of`), what is counted, how many in how long, and when it may go on."""

    of: str  # "client 192.0.2.1", "sender domain far.example"
    what: str  # "messages", "recipients", "connections", "refused recipients"
    limit: int
    window: int  # seconds
    retry: int  # seconds until it may be tried again


@dataclass(frozen=True, slots=True)
class FieldEdit:
    """One change of a header. `what`: "insert" before the field that has `place` others above it (ours count as one,
    0 is the top), "append" at the end, or "change" field number `place` of this name, counted from 1 (0: all of them;
    removed where `value` is None). `value` as it stands behind the colon."""

    what: str
    name: str
    value: str | None
    place: int = 0


@dataclass(frozen=True, slots=True)
class Edits:
    """What a scanner wants changed: fields, one change after the other; a new body; another envelope."""

    fields: tuple[FieldEdit, ...] = ()
    body: IO[bytes] | None = None  # to be read from its start; a large one lies in the scan spool without a name
    return_path: ReturnPath | None = None  # with the parameters that a milter gives it
    recipients_added: tuple[ForwardPath, ...] = ()
    recipients_removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any((self.fields, self.body is not None, self.return_path is not None, self.recipients_added,
                    self.recipients_removed))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scan:
    """What one scanner said of the content. `result` is one of

    "clean", "spam", "virus", "refuse" or "defer" (a milter's own word), "discard", "quarantine",
    "skipped" (too large, a domain that is not scanned) or "failed" (nobody answered; `words` says who and why).
    """

    scanner: str  # its name in the configuration
    result: str
    score: float | None = None
    required: float | None = None  # the scanner's own threshold
    symbols: tuple[str, ...] = ()
    report: str = ""  # the long report, several lines
    words: str = ""  # the name of the virus, the reason of the failure: one line
    reply: Reply | None = None  # what a milter wants said
    edits: Edits = Edits()


@dataclass(frozen=True, slots=True)
class Rights:
    """The names an account may send with (RFC 6409 §6.1): keys of addresses (`address.key_of`), and whole domains."""

    addresses: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()


@dataclass(slots=True)
class Visit:
    """One connection. `role`: "stranger", "relay" (a relay network, or an MTA in front by LMTP) or "account" (a
    submission listener, signed in or not yet)."""

    listener: str  # transfer, submission, submissions or lmtp
    address: str
    port: int = 0
    local_address: str = ""
    local_port: int = 0
    networks: frozenset[str] = frozenset()  # names of [networks] the client is in
    role: str = "stranger"
    trusted: bool = False  # in relay_networks, or signed in
    account: str = ""  # the identity that signed in
    mechanism: str = ""  # by which it signed in: PLAIN or LOGIN
    account_id: int | None = None
    rights: Rights | None = None  # of the account that signed in
    tls: TlsFacts | None = None
    early: bool = False  # it talked before the greeting
    verb: str = ""
    helo: str = ""
    helo_domain: str = ""  # of the name in HELO: "exists", "missing", "unknown", "" when not asked
    client_name: str | None = None  # confirmed by looking it up again; "" for none, None when not known
    listing: Listing | None = None
    standing: Standing | None = None


@dataclass(slots=True)
class Facts:
    """One transaction of a visit."""

    visit: Visit
    return_path: str = ""
    size: int = 0  # octets: what MAIL announced, then what came
    recipients: list[str] = field(default_factory=list)  # accepted so far
    sender_domain: str = ""  # "exists", "missing" (no MX, A, AAAA or a null MX), "unknown", "" when not asked
    domain_listing: Listing | None = None  # of the return path's domain
    spf: Spf | None = None  # of the return path, or of HELO where that is null, found out before the content came
    callout: Verified | None = None
    author_callouts: tuple[Verified, ...] = ()  # of the authors in From
    verified: dict[str, Verified] = field(default_factory=dict)  # of recipients, by address
    excess: tuple[Excess, ...] = ()
    crowded: bool = False  # others send so much of the same that it matters who this is
    known_as: str = ""  # then, who was here before them (see `acquaintance`): "network 192.0.2.0/24", ...; "" nobody
    waiting: dict[str, Waiting] = field(default_factory=dict)  # by recipient
    evidence: Evidence | None = None
    header: bytes = b""  # of the message, without the empty line; bounded
    findings: tuple[tuple[str, str], ...] = ()  # of the content checks that need no scanner: (check, reason)
    scans: tuple[Scan, ...] = ()
    item: int = 0  # the queue id it will have when it is accepted; 0 before its content has come
    standing: Standing | None = None  # of the network and of the domain that proved to have sent it

    @property
    def proven(self) -> str:
        """The domain one of whose own hosts brings it: SPF of the return path, of HELO where that is null; "" for none.

        A signature proves who wrote a message, not who brings it: whoever has one may bring it again, in any number.
        """
        found = self.evidence
        return "" if found is None else next(iter((found.sender or found.helo).domains), "")

    @property
    def is_its_domains(self) -> bool:
        """Whether one of the return path's domain's own hosts brings it."""
        return bool(self.return_path) and self.proven == a_label(self.return_path.rpartition("@")[2])
