"""What each check at the door leads to: off, tag, defer or refuse; for everybody, and differently for some."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, fields

from posthouse.address import AddressError, normal_domain, parse
from posthouse.configuration.declaring import setting

LISTENERS = ("transfer", "submission", "submissions", "lmtp")
AT_CONNECT = ("blocked", "inside_only", "early_talker")  # before there are recipients
_MODES = "Each table gives other modes for one "


@dataclass(frozen=True)
class Policy:
    """What strangers meet. `off`: not asked; `tag`: written into X-Posthouse-Tag for lists and filters; `defer`:
    4yz; `refuse`: 5yz. Relay networks and people who signed in meet the checks that say so alone."""

    blocked: str = setting("refuse", "At connect: the client is in `blocked_networks`.", "mode")
    inside_only: str = setting(
        "refuse", "At connect to one of `inside_addresses` from outside `inside_networks`.", "mode"
    )
    early_talker: str = setting("off", "The client talks before the greeting, which then waits `greet_delay`.", "mode")
    dns_lists: str = setting(
        "tag", "The weights of the [dns_lists] that know the client reach their threshold.", "mode"
    )
    client_name: str = setting("off", "The client's address has no name that leads back to it.", "mode")
    standing: str = setting("off", "What came before from this network and domain was nearly all bad.", "mode")
    helo_name: str = setting("off", "HELO is neither a full domain name nor an address literal.", "mode")
    helo_ours: str = setting("refuse", "HELO is our own name, said by somebody else.", "mode")
    helo_unknown: str = setting("off", "The name in HELO has no address and no MX in the DNS.", "mode")
    blocked_sender: str = setting("refuse", "The return path's address or domain is in `blocked_senders`.", "mode")
    sender_domain: str = setting(
        "tag", "The return path's domain does not exist, or says that it takes no mail.", "mode"
    )
    sender_rights: str = setting(
        "refuse", "Submission: the return path or an author is no address of the account.", "mode"
    )
    domain_lists: str = setting("tag", "The weights of the [dns_lists] that know the return path's domain.", "mode")
    spf: str = setting("tag", "SPF says fail.", "mode")
    callout: str = setting("off", "The return path's host says that this address does not exist.", "mode")
    author_callout: str = setting(
        "off", "The same for the authors in From, at the end of the content. Never asked where a report is written to.",
        "mode",
    )  # fmt: skip
    recipient: str = setting("refuse", "The host we pass mail on to says that the recipient does not exist.", "mode")
    flood: str = setting(
        "defer", "More than one of the rates of [flood]. Only temporary answers, whatever is set.", "mode"
    )
    greylist: str = setting("defer", "A stranger's first try, see [greylist]. Never a permanent refusal.", "mode")
    dkim: str = setting("off", "A DKIM signature is there and none is good.", "mode")
    dmarc: str = setting("tag", "DMARC fails and the author's domain asks for quarantine or reject.", "mode")
    header: str = setting(
        "tag", "The header is no good: no or several From, no Date, fields that must be alone twice.", "mode"
    )
    attachment: str = setting("tag", "An attachment of a type in `bad_attachments`.", "mode")
    spam: str = setting("refuse", "A scanner's score is above its `refuse_at`.", "mode")
    scanner: str = setting(
        "refuse", "A scanner's or milter's own 4yz or 5yz. `refuse` says it as it is, `defer` a 4yz for either.", "mode"
    )
    quarantine: str = setting(
        "tag", "A milter or rspamd wants the message kept aside. With the tag a list can hold it for its moderators.",
        "mode",
    )  # fmt: skip
    virus: str = setting("refuse", "A scanner found a virus; or the EICAR test file, with no scanner at all.", "mode")

    dns_lists_at: float = setting(1.0, "The weight of all lists together from which `dns_lists` applies.")
    domain_lists_at: float = setting(1.0, "The same for `domain_lists`.")
    blocked_networks: list[str] = setting([], "Networks that may not connect.", "networks")
    blocked_senders: list[str] = setting([], "Addresses, domains or `.domain` whose mail is not wanted.")
    inside_addresses: list[str] = setting([], "Local addresses of listeners for our own hosts alone (bulk injection).")
    inside_networks: list[str] = setting(
        [], "Who may connect to `inside_addresses`; relay networks always may.", "networks"
    )
    trusted_sealers: list[str] = setting(
        [],
        "Forwarders and lists whose ARC seal is believed: where such a one says that DMARC passed before it changed "
        "the message, `dmarc` does not hold.",
        "domains",
    )
    bad_standing: float = setting(
        0.9, "The part of what came from a network and domain that must have been bad for `standing` to hold."
    )
    greet_delay: float = setting(6.0, "Seconds the greeting waits while `early_talker` is on.")
    bad_attachments: list[str] = setting(
        ["exe", "com", "scr", "pif", "bat", "cmd", "vbs", "vbe", "js", "jse", "wsf", "wsh", "hta", "lnk", "cpl", "msi",
         "jar", "ps1", "reg", "chm", "iso", "img", "vhd"],
        "Endings of file names, also inside the names a ZIP archive lists.",
    )  # fmt: skip
    listener: dict[str, dict[str, str]] = setting({}, _MODES + "listener: `[policy.listener.submission]`.", "mode")
    network: dict[str, dict[str, str]] = setting({}, _MODES + "list of [networks]: `[policy.network.office]`.", "mode")
    domain: dict[str, dict[str, str]] = setting({}, _MODES + 'recipient domain: `[policy.domain."a.example"]`.', "mode")
    mailing_list: dict[str, dict[str, str]] = setting(
        {}, _MODES + 'list, all its addresses: `[policy.mailing_list."garden@a.example"]`.', "mode"
    )


def misnamed_modes(policy: Policy, networks: Collection[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """(setting, rule) for each table of other modes that speaks of nothing, and each check in one that is none."""
    checks = [item.name for item in fields(Policy) if item.metadata["kind"] == "mode" and item.type == "str"]
    for level in ("listener", "network", "domain", "mailing_list"):
        for name, modes in getattr(policy, level).items():
            keys = ("policy", level, name)
            if level == "listener" and name not in LISTENERS:
                yield keys, f"is no listener; there are {', '.join(LISTENERS)}"
            elif level == "network" and name not in networks:
                yield keys, f"is not in [networks]; known there: {', '.join(sorted(networks)) or '-'}"
            elif level == "mailing_list" and not _is(parse, name):
                yield keys, "must be the posting address of a list, like garden@lists.example"
            elif level == "domain" and not _is(normal_domain, name):
                yield keys, "must be a domain, like lists.example"
            for check in modes:
                if check not in checks:
                    yield (*keys, check), f"is no check; known: {', '.join(checks)}"
                elif check in AT_CONNECT and level in ("domain", "mailing_list"):
                    yield (
                        (*keys, check),
                        "is decided before there are recipients: set it in [policy] itself",
                    )


def _is(reads: Callable[[str], object], text: str) -> bool:
    try:
        reads(text)
    except AddressError:
        return False
    return True
