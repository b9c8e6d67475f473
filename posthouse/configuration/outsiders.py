"""Other people's word: DNS lists, and what other hosts say of addresses when they are asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from posthouse.configuration.declaring import setting
from posthouse.dns.codes import codes

_ZONE = re.compile(r"(?=.{3,200}\Z)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,62}\Z")
KINDS = ("address", "domain")
WHEN_DOWN = ("known", "accept", "defer")


@dataclass(frozen=True)
class DnsList:
    """A list of bad or good ones that is asked by DNS (RFC 5782). It must pass its self-check, over and over again, or
    nobody minds what it says. `posthouse dns-lists check` tells how each is."""

    zone: str = setting("", "The zone that is asked, like `bl.example.org`.")
    kind: str = setting("address", "What it lists: `address` (of clients) or `domain` (of return paths).")
    good: bool = setting(False, "It lists good ones: its weight speaks for whom it knows.")
    weight: float = setting(
        1.0, "What being listed weighs. `policy.dns_lists_at` and `policy.domain_lists_at` say how much is too much."
    )
    codes: dict[str, float] = setting(
        {},
        "Weights by the code that the list answers: `127.0.0.2`, `127.0.0.4-7`, `127.0.*.3`, `&8` (a bit of the last "
        "number). The heaviest that fits counts, once; codes not named here then weigh nothing. "
        "Empty: every code has `weight`.",
    )
    test: str = setting(
        "", "An address or name that it always lists, where it is not that of RFC 5782 (127.0.0.2, `TEST`)."
    )


@dataclass(frozen=True)
class Callout:
    """Asking a return path's host whether the address exists, where `policy.callout` is not `off`. It costs the other
    side work it did not ask for: use it for few, if at all."""

    step_seconds: float = setting(30.0, "Seconds that each step may take (connecting, greeting, EHLO, MAIL, RCPT).")
    total_seconds: float = setting(120.0, "Seconds for all steps and hosts together.")
    positive_seconds: int = setting(86400, "Seconds that a yes is remembered.")
    negative_seconds: int = setting(7200, "Seconds that a no is remembered.")
    anything_seconds: int = setting(7 * 86400, "Seconds it is remembered that a domain says yes to any address.")
    closed_seconds: int = setting(3 * 3600, "Seconds it is remembered that a domain's hosts do not talk to us.")
    random: bool = setting(False, "Ask for an address made up by chance too: a host that says yes to it says nothing.")
    per_minute: int = setting(6, "Most questions to one host in a minute; beyond it the address passes unasked.")
    connections: int = setting(20, "Most questions under way at the same time.")


@dataclass(frozen=True)
class Verification:
    """Asking the host that we pass mail on to (backup MX, fixed next hops) whether it knows the recipient."""

    step_seconds: float = setting(10.0, "Seconds that each step may take.")
    total_seconds: float = setting(20.0, "Seconds for all steps and hosts together; then the recipient is told later.")
    positive_seconds: int = setting(7200, "Seconds that a yes is believed without asking again.")
    known_seconds: int = setting(31 * 86400, "Seconds that a yes is good for while the host cannot be asked.")
    negative_seconds: int = setting(30, "Seconds that a no is believed: a new address works that soon.")
    when_down: str = setting(
        "known",
        "The host cannot be asked: `known` takes mail for recipients it said yes to before and defers the others, "
        "`accept` takes mail for all (unknown ones bounce later), `defer` for none but those still believed.",
    )
    return_path: str = setting("", "The return path of the question. Empty: postmaster at our `hostname`.")
    connections: int = setting(20, "Most questions under way at the same time.")


def misstated(lists: Mapping[str, DnsList], verification: Verification) -> Iterator[tuple[tuple[str, ...], str]]:
    """(setting, rule) for each value here that cannot be obeyed."""
    for name, one in lists.items():
        if not _ZONE.match(one.zone.rstrip(".")):
            yield ("dns_lists", name, "zone"), f"must be the domain that is asked, like bl.example.org: {one.zone!r}"
        if one.kind not in KINDS:
            yield ("dns_lists", name, "kind"), f"must be one of {', '.join(KINDS)}: {one.kind!r}"
        for code in one.codes:
            try:
                codes(code)
            except ValueError as error:
                yield ("dns_lists", name, "codes", code), str(error)
    if verification.when_down not in WHEN_DOWN:
        rule = f"must be one of {', '.join(WHEN_DOWN)}: {verification.when_down!r}"
        yield ("verification", "when_down"), rule
