"""What the house remembers of those who knock: greylisting of strangers, and how much may come how fast."""

from __future__ import annotations

from dataclasses import dataclass

from posthouse.configuration.declaring import setting

DAY = 86400


@dataclass(frozen=True)
class Greylist:
    """Strangers are asked to come again; honest hosts do, in minutes. `policy.greylist` says whether and for whom.

    It never refuses for good: who comes again at the right time is let in, and remembered with network and domain."""

    wait: int = setting(60, "Seconds a stranger must let pass before the second try.")
    retry_within: int = setting(4 * DAY, "Seconds a first try is remembered; a second try behind that is a first one.")
    accept_for: int = setting(36 * DAY, "Seconds without mail after which who was let in is a stranger again.")
    anywhere_after: int = setting(
        3600,
        "Seconds after which the same return path gets through to the same recipient from any network: "
        "so pools of hosts without SPF and DKIM get through too. 0: never.",
    )
    network_after: int = setting(
        5,
        "Sending domains that came again from one network, after which all that comes from there is let in. 0: never.",
    )
    known_destinations: bool = setting(
        True, "Domains that mail of ours went to are no strangers, where SPF or DKIM proves that it is they who send."
    )
    exempt_networks: list[str] = setting([], "Networks whose mail never waits.", "networks")
    exempt_domains: list[str] = setting(
        [], "Domains whose mail never waits, where SPF or DKIM proves that it is they who send.", "domains"
    )
    remembered: int = setting(100_000, "Most of those who were let in that each process holds in memory.")


@dataclass(frozen=True)
class Flood:
    """How much may come how fast, before the answer is "later". `policy.flood` says whether and for whom.

    A rate is counted over a window that slides; 0: no bound. An IPv6 /64 is one client; a network is an IPv4 /24 or
    an IPv6 /48. Relay networks and LMTP are not counted; who signed in is counted by account alone. What is sent to
    one recipient, to one list or for one sending domain holds back the networks with more than a tenth of that rate,
    and behind four times the rate everybody who was not here before today. Who was here before (an account; a
    network, or a domain whose own hosts SPF names, of which good mail was taken: `posthouse standing list`) is held
    back only with more than half of that rate of its own."""

    window: int = setting(60, "Seconds of the window for clients, networks, sending domains, recipients and lists.")
    connections_per_client: int = setting(300, "Most connections of one client in a window.")
    connections_per_network: int = setting(900, "Most connections of one network in a window.")
    messages_per_client: int = setting(500, "Most messages of one client in a window.")
    messages_per_network: int = setting(1500, "Most messages of one network in a window.")
    recipients_per_client: int = setting(2000, "Most recipients of one client in a window.")
    recipients_per_network: int = setting(6000, "Most recipients of one network in a window.")
    refused_per_client: int = setting(60, "Most recipients of one client that do not exist, in a window.")
    refused_per_network: int = setting(300, "Most recipients of one network that do not exist, in a window.")
    messages_per_sender_domain: int = setting(
        2000,
        "Most messages in a window that the own hosts of one sending domain bring, as SPF says; without evidence "
        "nothing is counted, since anybody may name a domain.",
    )
    messages_per_recipient: int = setting(300, "Most messages to one recipient in a window.")
    messages_per_list: int = setting(600, "Most messages to one mailing list in a window.")
    account_window: int = setting(3600, "Seconds of the window for accounts.")
    messages_per_account: int = setting(600, "Most messages of one account in its window.")
    recipients_per_account: int = setting(5000, "Most recipients of one account in its window.")
    exempt_networks: list[str] = setting(
        [], "Networks that are not counted: your own hosts, big forwarders.", "networks"
    )
    remembered: int = setting(100_000, "Most counters that each process holds in memory.")
    behind: int = setting(
        200_000,
        "Deliveries that are overdue, beyond which strangers are asked to come later; relay networks at one and a "
        "half times as many, people who sign in at twice as many. 0: no bound.",
    )
    behind_seconds: int = setting(300, "Seconds after which a delivery that is due and not yet tried is overdue.")
