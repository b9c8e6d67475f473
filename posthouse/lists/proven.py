"""What reception found out about the author of a message: forged, proven by their domain, or unknown."""

from __future__ import annotations

from posthouse import configuration
from posthouse.authenticity import results
from posthouse.authenticity.names import a_label
from posthouse.authenticity.results import Method
from posthouse.lists.arrived import Arrived
from posthouse.message.headers import Fields

SUBMISSION = "submission"  # origin in the queue of what an account of ours handed in


def is_doubted(arrived: Arrived) -> bool:
    """Whether DMARC fails for the author: anybody can write a moderator's name into From."""
    return any((one.name, one.result) == ("dmarc", "fail") for one in _found(arrived))


def is_proven(arrived: Arrived) -> bool:
    """Whether the author's domain answers for this message: DMARC passes, or SPF or DKIM names that very domain.

    Only a name that is the same counts where the domain has no DMARC record; what DMARC doubts is never proven. Who
    signed in to hand it in writes as one of their own addresses (RFC 6409 §6.1).
    """
    if arrived.origin == SUBMISSION:
        return True
    found, domain = _found(arrived), _domain(arrived.author[1])
    if not domain or any((one.name, one.result) == ("dmarc", "fail") for one in found):
        return False
    return any(one.result == "pass" and _domain(_named(one)) == domain for one in found)


def _found(arrived: Arrived) -> tuple[Method, ...]:
    """The results in our own name; the prefix is ours, so that nobody else can have written them.

    A milter may write some as well, and above ours: they add to what we found, and hide nothing of it.
    """
    host = a_label(configuration.active().host)
    fields = map(results.read, Fields(arrived.prefix).all(results.FIELD))
    return tuple(one for found in fields if found and a_label(found.authserv_id) == host for one in found.methods)


def _named(one: Method) -> str:
    """The domain, or an address in it, that a result is about; "" where it says nothing of authors."""
    names = {"dmarc": "header.from", "dkim": "header.d", "spf": "smtp.mailfrom"}
    return one.value(names[one.name]) if one.name in names else ""


def _domain(text: str) -> str:
    return a_label(text.rpartition("@")[2]) if text else ""
