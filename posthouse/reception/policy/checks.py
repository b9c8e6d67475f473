"""Every question that policy asks: what it looks at, whom it concerns, and what it says."""

from __future__ import annotations

import re

from posthouse.address import mailboxes
from posthouse.authenticity import results
from posthouse.message.headers import Fields
from posthouse.reception.evidence import Evidence
from posthouse.reception.policy.facts import Facts, Listing, Rights, Scan
from posthouse.reception.policy.question import (
    ACCOUNT,
    CONNECT,
    CONTENT,
    RCPT,
    RELAY,
    STRANGER,
    Check,
    Judge,
    Rules,
    a_labels,
    address_key,
    names_above,
    takes_reports,
)
from posthouse.smtp import catalogue
from posthouse.smtp.reply import Reply

_FULL_NAME = re.compile(
    r"(?i)(?=.{4,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{0,61}[a-z][a-z0-9-]{0,61}\.?\Z"
)


def _check(name: str, stage: str, judge: Judge, refuse: Reply, **more: object) -> Check:
    defer = more.pop("defer", None) or Reply(451, f"4{refuse.enhanced[1:]}", refuse.text)
    return Check(name, stage, judge, refuse, defer, **more)  # type: ignore[arg-type]


# -- at connect ----------------------------------------------------------------------------------------------------


def blocked(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """The client is in a blocked network."""
    return "the client is in blocked_networks" if facts.visit.address in rules.blocked else None


def inside_only(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """A listener for our own hosts, and somebody else."""
    visit = facts.visit
    if visit.local_address not in rules.inside_addresses or visit.trusted or visit.address in rules.inside:
        return None
    return f"{visit.local_address} is one of inside_addresses, the client is not in inside_networks"


def early_talker(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """It did not wait for the greeting (RFC 5321 §4.3.1)."""
    return "the client spoke before the greeting" if facts.visit.early else None


# -- about the client and its name ---------------------------------------------------------------------------------


def dns_lists(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """Lists know the address."""
    return _listed(facts.visit.listing, rules.client_listed_at)


def client_name(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """No confirmed name in the DNS."""
    visit = facts.visit
    return f"{visit.address} has no name that leads back to it" if visit.client_name == "" else None


def standing(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """Nearly all that came before was bad."""
    found = facts.visit.standing
    if found is None or found.badness < rules.bad_standing:
        return None
    about = f" and {found.domain}" if found.domain else ""
    return f"{found.badness:.0%} of what came from this network{about} was bad"


def proven_standing(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """Nearly all that came before in the name of the domain that SPF or DKIM proves was bad."""
    found = facts.standing
    if found is None or not found.domain or found.badness < rules.bad_standing:
        return None
    return f"{found.badness:.0%} of what came from {found.domain} and this network was bad"


def helo_name(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """Neither a full name nor an address literal (RFC 5321 §4.1.1.1)."""
    helo = facts.visit.helo
    if not helo or helo.startswith("[") or _FULL_NAME.match(a_labels(helo)):
        return None
    return f"{helo} is neither a full domain name nor an address literal"


def helo_ours(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """Our own name or address, said by somebody else."""
    visit = facts.visit
    said = visit.helo.lower().rstrip(".")
    if visit.address == visit.local_address or not said:
        return None
    ours = said == rules.host
    if not ours and said.startswith("["):
        ours = said.strip("[]").removeprefix("ipv6:") == visit.local_address.lower()
    return f"{visit.helo} is our own name" if ours else None


def helo_unknown(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """The name has no address and no MX."""
    visit = facts.visit
    return f"{visit.helo} has neither an address nor an MX" if visit.helo_domain == "missing" else None


# -- about the envelope --------------------------------------------------------------------------------------------


def blocked_sender(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """The return path is on our own list."""
    if not rules.senders or not facts.return_path:
        return None
    address = address_key(facts.return_path)
    name = address.rpartition("@")[2]
    if address in rules.senders or name in rules.senders:
        return f"{facts.return_path} is in blocked_senders"
    for above in names_above(name):
        if f".{above}" in rules.senders:
            return f"{facts.return_path} is in blocked_senders (.{above})"
    return None


def sender_domain(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """The domain does not exist, or takes no mail (RFC 7505)."""
    if facts.sender_domain != "missing":
        return None
    return f"{facts.return_path.rpartition('@')[2]} does not exist or takes no mail"


def return_path_rights(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """Submission: the return path is no address of the account (RFC 6409 §6.1); the null one may be used."""
    rights = facts.visit.rights
    if rights is None or not facts.return_path or may_use(rights, facts.return_path):
        return None
    return f"{facts.return_path} is no address of {facts.visit.account}"


def author_rights(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """Submission: an author is no address of the account (RFC 6409 §6.1)."""
    rights = facts.visit.rights
    if rights is None or not facts.header:
        return None
    for value in Fields(facts.header).all("from"):
        for _, address in mailboxes(value):
            if not may_use(rights, address):
                return f"the author {address} is no address of {facts.visit.account}"
    return None


def domain_lists(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """Lists know the return path's domain."""
    return _listed(facts.domain_listing, rules.domain_listed_at)


def spf(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """SPF fails (RFC 7208 §8.4)."""
    found = facts.spf
    if found is None or found.result != "fail":
        return None
    return f"{facts.visit.address} may not send for {found.domain}"


def callout(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """The return path's host knows no such address; never asked on behalf of those who take reports."""
    found = facts.callout
    if found is None or found.answer != "no" or takes_reports(recipient):
        return None
    return f"{found.address}: {found.reply}"


def author_callout(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """An author's host knows no such address; no report is refused for it."""
    if not facts.return_path or takes_reports(recipient):
        return None
    return next((f"{one.address}: {one.reply}" for one in facts.author_callouts if one.answer == "no"), None)


def recipient_there(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """The host we pass mail on to knows no such address, or cannot say so now."""
    found = facts.verified.get(recipient)
    if found is None or found.answer == "yes" or (found.answer == "unknown" and rules.unverified):
        return None
    return f"{recipient}: {found.reply}"


def _unverified(facts: Facts, recipient: str) -> Reply | None:
    found = facts.verified.get(recipient)
    return catalogue.RECIPIENT_UNVERIFIED if found is not None and found.answer == "unknown" else None


def flood(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """More than a rate allows."""
    if not facts.excess:
        return None
    one = max(facts.excess, key=lambda each: each.retry)
    return f"more than {one.limit} {one.what} of {one.of} in {one.window} seconds; try again in {one.retry} seconds"


# -- about the content ---------------------------------------------------------------------------------------------


def greylist(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """A stranger who has to come again."""
    found = facts.waiting.get(recipient)
    if found is None or found.state not in ("new", "early"):
        return None
    return found.why or f"in {found.seconds} seconds"


def dkim(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """Signed, and no signature is good; one that could not be checked now speaks for nobody and against nobody."""
    if facts.evidence is None or facts.evidence.dkim.result not in ("fail", "permerror", "policy", "neutral"):
        return None
    signatures = facts.evidence.dkim.signatures
    return "; ".join(f"{one.domain or 'unknown'}: {one.reason}" for one in signatures[:3])


def dmarc(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """It fails, and its domain asks for consequences."""
    if facts.evidence is None:
        return None
    found = facts.evidence.dmarc
    if found.result != "fail" or found.policy not in ("quarantine", "reject") or _vouched(facts.evidence, rules):
        return None
    return f"{found.domain} asks for {found.policy}"


def _vouched(evidence: Evidence, rules: Rules) -> bool:
    """Whether a sealer that we trust saw DMARC pass before the message was changed (RFC 8617 §7.2.1).

    From the newest seal back, as far as every seal is of somebody we trust.
    """
    if evidence.arc.result != "pass":
        return False
    for link in reversed(evidence.arc.links):
        if not rules.trusts_sealer(link.domain):
            return False
        reported = results.read(link.results)
        for method in reported.methods if reported is not None else ():
            author = a_labels(method.value("header.from"))
            if (method.name, method.result) == ("dmarc", "pass") and author == evidence.dmarc.domain:
                return True
    return False


def _found(name: str) -> Judge:
    """What the checks of content that need no scanner found under this name."""

    def judge(facts: Facts, rules: Rules, recipient: str) -> str | None:
        return next((reason for check, reason in facts.findings if check == name), None)

    return judge


def spam(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """A score that is too high."""
    for scan in facts.scans:
        if scan.result == "spam":
            return _scored(scan)
    return _found("spam")(facts, rules, recipient)


def virus(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """A virus."""
    for scan in facts.scans:
        if scan.result == "virus":
            return f"{scan.scanner} found {scan.words or 'a virus'}"
    return _found("virus")(facts, rules, recipient)


def scanner(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """A scanner's own word."""
    scan = _spoken(facts)
    return None if scan is None else f"{scan.scanner}: {scan.words or scan.reply or scan.result}"


def quarantine(facts: Facts, rules: Rules, recipient: str) -> str | None:
    """A scanner would keep it aside."""
    for scan in facts.scans:
        if scan.result == "quarantine":
            return f"{scan.scanner}: {scan.words or 'wants it kept aside'}"
    return None


def _scanners_reply(facts: Facts, recipient: str) -> Reply | None:
    scan = _spoken(facts)
    if scan is None:
        return None
    if scan.reply is not None and scan.reply.code >= 400:
        return scan.reply.softened() if scan.result == "defer" else scan.reply
    return catalogue.DEFERRED_BY_POLICY if scan.result == "defer" else catalogue.REFUSED_BY_POLICY


_ANYBODY = frozenset((STRANGER, RELAY, ACCOUNT))
_NOT_RELAY = frozenset((STRANGER, ACCOUNT))
_ACCOUNT = frozenset((ACCOUNT,))

# Read from the top: of several that hold, the first that refuses is the answer, else the first that defers.
CHECKS = (
    _check("blocked", CONNECT, blocked, catalogue.CLIENT_BLOCKED, defer=catalogue.CLIENT_BLOCKED_LATER,
           meets=_ANYBODY, told=False),
    _check("inside_only", CONNECT, inside_only, catalogue.INSIDE_ONLY, defer=catalogue.INSIDE_ONLY_LATER,
           meets=_NOT_RELAY, told=False),
    _check("early_talker", CONNECT, early_talker, catalogue.TALKED_EARLY, defer=catalogue.TALKED_EARLY_LATER,
           told=False),
    _check("helo_ours", RCPT, helo_ours, catalogue.HELLO_IS_OURS),
    _check("helo_name", RCPT, helo_name, catalogue.BAD_HELLO_NAME),
    _check("blocked_sender", RCPT, blocked_sender, catalogue.SENDER_BLOCKED, meets=_NOT_RELAY, told=False),
    _check("sender_rights", RCPT, return_path_rights, catalogue.NOT_YOUR_ADDRESS, meets=_ACCOUNT),
    _check("flood", RCPT, flood, catalogue.TOO_MUCH, defer=catalogue.TOO_MUCH, needs=("excess",), meets=_NOT_RELAY),
    _check("dns_lists", RCPT, dns_lists, catalogue.CLIENT_LISTED, needs=("listing",)),
    _check("client_name", RCPT, client_name, catalogue.CLIENT_WITHOUT_NAME, needs=("client_name",)),
    _check("standing", RCPT, standing, catalogue.BAD_STANDING, needs=("standing",)),
    _check("helo_unknown", RCPT, helo_unknown, catalogue.HELLO_UNKNOWN, needs=("helo_domain",)),
    _check("sender_domain", RCPT, sender_domain, catalogue.SENDER_DOMAIN_MISSING, needs=("sender_domain",)),
    _check("domain_lists", RCPT, domain_lists, catalogue.SENDER_DOMAIN_LISTED, needs=("domain_listing",)),
    _check("spf", RCPT, spf, catalogue.SPF_FAILED, needs=("spf",)),
    _check("callout", RCPT, callout, catalogue.SENDER_UNKNOWN, needs=("callout",)),
    _check("recipient", RCPT, recipient_there, catalogue.RECIPIENT_UNKNOWN_THERE, needs=("verified",), meets=_NOT_RELAY,
           words=_unverified),
    _check("sender_rights", CONTENT, author_rights, catalogue.NOT_YOUR_ADDRESS, meets=_ACCOUNT),
    _check("author_callout", CONTENT, author_callout, catalogue.AUTHOR_UNKNOWN, needs=("author_callouts",)),
    _check("dkim", CONTENT, dkim, catalogue.DKIM_FAILED, needs=("evidence",)),
    _check("standing", CONTENT, proven_standing, catalogue.BAD_STANDING, needs=("evidence", "proven_standing")),
    _check("dmarc", CONTENT, dmarc, catalogue.DMARC_FAILED, needs=("evidence",)),
    _check("header", CONTENT, _found("header"), catalogue.BAD_HEADER, needs=("findings",)),
    _check("attachment", CONTENT, _found("attachment"), catalogue.BAD_ATTACHMENT, needs=("findings",)),
    _check("greylist", CONTENT, greylist, catalogue.GREYLISTED, defer=catalogue.GREYLISTED, needs=("waiting",)),
    _check("virus", CONTENT, virus, catalogue.VIRUS, needs=("findings", "scans")),
    _check("spam", CONTENT, spam, catalogue.SPAM, needs=("findings", "scans")),
    _check("scanner", CONTENT, scanner, catalogue.REFUSED_BY_POLICY, needs=("scans",), words=_scanners_reply),
    _check("quarantine", CONTENT, quarantine, catalogue.REFUSED_BY_POLICY, needs=("scans",)),
)  # fmt: skip
NAMES = tuple(dict.fromkeys(check.name for check in CHECKS))


# -- what several look at ------------------------------------------------------------------------------------------


def may_use(rights: Rights, address: str) -> bool:
    """Whether an account with these rights may call itself so; what stands behind a `+` does not matter."""
    key = address_key(address)
    local, _, domain = key.rpartition("@")
    if key in rights.addresses or domain in rights.domains:
        return True
    base, plus, _ = local.partition("+")
    return bool(plus) and f"{base}@{domain}" in rights.addresses


def _listed(listing: Listing | None, at: float) -> str | None:
    if listing is None or not listing.hits or listing.weight < at:
        return None
    return ", ".join(f"{hit.zone} {hit.code}" + (f" ({hit.text})" if hit.text else "") for hit in listing.hits[:5])


def _scored(scan: Scan) -> str:
    if scan.score is None:
        return f"{scan.scanner}: {scan.words}"
    required = "" if scan.required is None else f" of {scan.required:.1f}"
    return f"score {scan.score:.1f}{required} ({scan.scanner})"


def _spoken(facts: Facts) -> Scan | None:
    for result in ("refuse", "defer"):
        for scan in facts.scans:
            if scan.result == result:
                return scan
    return None
