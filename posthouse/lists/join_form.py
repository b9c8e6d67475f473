"""The join form of the web, against those who would send mail to others with it: no third party, no script, no puzzle.

A form carries a signed token with its time and network. It is taken once, not before a person could have filled it
in, and not much later; requests are counted for the address, the network and the list; and an address gets one
confirmation of a list a day. What a visitor is shown does not depend on whether the address is known.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from datetime import timedelta

from django.conf import settings

from posthouse.address import AddressError, parse
from posthouse.database import fetch, is_sqlite, transaction
from posthouse.directory.moments import moment
from posthouse.lists import addresses, subscription
from posthouse.lists.errors import BadAddress, FormRefused
from posthouse.lists.people_models import JoinAttempt

FASTEST, LONGEST = 3_000, 2 * 3600_000  # milliseconds between the form and its answer
A_DAY = timedelta(days=1)
MOST_OF_ADDRESS = 5  # forms a day that name an address, on all lists
MOST_OF_NETWORK = 30  # forms a day from a network: an IPv4 address, an IPv6 /56
MOST_OF_LIST = 500  # forms a day for a list
_PURPOSE = b"posthouse-join"  # at most 16 octets: BLAKE2's person
_MAC = 16
_IPV6_CUSTOMER = 56  # bits that a provider gives one customer at least

ASKED = "asked"


def token(list_pk: int, client: str, now: int) -> str:
    """What a form for this list carries in a hidden field. `client`: the visitor's IP address; `now` in ms."""
    made = f"{now}-{secrets.token_hex(8)}"  # two people behind one address may open it in the same millisecond
    return f"{made}.{_mac(list_pk, network_of(client), made)}"


def ask(mailing_list: int | str, address: str, name: str, given: str, client: str, now: int) -> str:
    """Take a filled form: ASKED, whatever comes of it, which only the owner of the address is told, by mail.

    `given`: the form's token; `now` in milliseconds. Raises FormRefused (too fast, too late, twice, too often),
    JoiningClosed, BadAddress, NoSuchList.
    """
    with transaction():
        pk = addresses.list_pk(mailing_list)
        network = network_of(client)
        try:
            key = parse(address.strip()).key
        except AddressError as error:
            raise BadAddress(f"{address!r} is no address: {error.rule}") from error
        _check_time(pk, given, network, now)
        JoinAttempt.objects.filter(at__lt=moment(now) - A_DAY).delete()
        used = f"form:{hashlib.sha256(given.encode('utf-8', 'replace')).hexdigest()}"
        to, net, of_list, once = f"to:{key}", f"net:{network}", f"list:{pk}", f"once:{pk}:{key}"
        _one_at_a_time(used, to, net, of_list)
        if JoinAttempt.objects.filter(subject=used).exists():
            raise FormRefused("this form was sent already; reload the page to send it again")
        for subject, most, whom in (
            (net, MOST_OF_NETWORK, "from your network"),
            (of_list, MOST_OF_LIST, "to join this list"),
            (to, MOST_OF_ADDRESS, "for this address"),
        ):
            if JoinAttempt.objects.filter(subject=subject[:340]).count() >= most:
                raise FormRefused(f"too many requests came {whom} today; join by mail, or try again tomorrow")
        first_today = not JoinAttempt.objects.filter(subject=once[:340]).exists()
        counted = [used, to, net, of_list, *([once] if first_today else [])]
        JoinAttempt.objects.bulk_create(JoinAttempt(subject=one[:340], at=moment(now)) for one in counted)
        if first_today:
            subscription.request_join(pk, address, name, now, by="web form")
        else:
            subscription.refuse_closed(subscription.list_of(pk), key)
    return ASKED


def network_of(client: str) -> str:
    """The network that a client is counted with; "" counts all whose address is not known together."""
    try:
        found = ipaddress.ip_address(client.strip().strip("[]").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, _IPV6_CUSTOMER), strict=False))
    return str(found)


def _one_at_a_time(*subjects: str) -> None:
    """Nobody else counts for any of these until the transaction ends: what was counted still holds when it is written.

    SQLite has one writer anyway. The locks are taken in one order by everybody, so nobody waits in a circle.
    """
    if not is_sqlite():
        hashes = {hashlib.blake2b(one.encode(), digest_size=8, person=_PURPOSE).digest() for one in subjects}
        for number in sorted(int.from_bytes(one, "big", signed=True) for one in hashes):
            fetch("SELECT pg_advisory_xact_lock(%s)", (number,))


def _check_time(list_pk: int, given: str, network: str, now: int) -> None:
    made, _, mac = given.strip().partition(".")
    at = made.partition("-")[0]
    if not (len(made) < 40 and at.isascii() and at.isdecimal() and len(at) < 16):
        raise FormRefused("this form is not complete; reload the page")
    if not hmac.compare_digest(mac.encode("utf-8", "replace"), _mac(list_pk, network, made).encode()):
        raise FormRefused("this form is not complete, or your network address has changed; reload the page")
    if now - int(at) < FASTEST:
        raise FormRefused("that was faster than a person types; wait a moment and send the form again")
    if now - int(at) > LONGEST:
        raise FormRefused("this form is too old; reload the page")


def _mac(list_pk: int, network: str, made: str) -> str:
    key = hashlib.blake2b(str(settings.SECRET_KEY).encode(), digest_size=32, person=_PURPOSE).digest()
    payload = f"{list_pk}\n{network}\n{made}".encode("utf-8", "replace")
    return hashlib.blake2b(payload, digest_size=_MAC, key=key).hexdigest()
