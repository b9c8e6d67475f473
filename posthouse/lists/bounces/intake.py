"""A message comes to -bounces: a probe's bounce, a failure to be counted, or something to be told to people."""

from __future__ import annotations

from posthouse import maillog
from posthouse.address import AddressError, key_of, verp_decode
from posthouse.lists.arrived import DELIVERED, Arrived, Taken
from posthouse.lists.bounces import probing, scoring, telling
from posthouse.lists.bounces.recognition import (
    MOST_READ,
    MOST_RECIPIENTS,
    REPORTED,
    UNKNOWN,
    Failure,
    Recognised,
    recognise,
)
from posthouse.lists.bounces.scoring import MOST_KEPT
from posthouse.lists.models import MailingList

OWN = "bounce"  # origin in the queue of what our own delivery saw of a copy

__all__ = ["MOST_KEPT", "take"]


def take(mailing_list: MailingList, arrived: Arrived, detail: str, now: int) -> Taken:
    """A message to the bounce address. `detail`: what stood behind the +: a VERP recipient or a probe's token.

    Whatever it is, its sender is not answered: errors about errors end here. `now` in milliseconds.
    """
    decoded = verp_decode(f"{mailing_list.list_name}+{detail}")
    named = decoded[1] if decoded else ""
    if not mailing_list.process_bounces:
        return _ignored(mailing_list, arrived, named, "the list does not process bounces", now)
    said = recognise(arrived.beginning(MOST_READ), arrived.fields, arrived.return_path, named)
    probed = probing.asked(mailing_list, detail, now) if detail and not named else None
    if probed is not None and said.kind == REPORTED:
        probing.failed(mailing_list, probed, said.failures[0], arrived, now)
        return Taken(DELIVERED, "the probe came back", "2.0.0")
    if said.kind == REPORTED:
        return _count(mailing_list, arrived, named, said, now)
    if said.kind == UNKNOWN and telling.unrecognised(mailing_list, arrived, named, now):
        to = mailing_list.forward_unrecognized_bounces_to.replace("_", " ")
        _judged(mailing_list, arrived, named, f"{said.why}; forwarded to the {to}", now)
        return Taken(DELIVERED, f"forwarded to the {to}: {said.why}", "2.0.0")
    return _ignored(mailing_list, arrived, named, said.why, now)


def _ignored(mailing_list: MailingList, arrived: Arrived, named: str, why: str, now: int) -> Taken:
    _judged(mailing_list, arrived, named, why, now)
    return Taken(DELIVERED, f"not counted: {why}", "2.0.0")


def _judged(mailing_list: MailingList, arrived: Arrived, named: str, why: str, now: int) -> None:
    text = f"Not counted for {named}: {why}." if named else f"Not counted: {why}."
    maillog.judged(now, arrived.item, mailing_list.address, "discard", "bounce", text)


def _count(mailing_list: MailingList, arrived: Arrived, named: str, said: Recognised, now: int) -> Taken:
    """Count the failures: the return path's (VERP) before those the message names."""
    own = bool(named) and arrived.origin == OWN
    failures: dict[str, Failure] = {}
    for one in said.failures[:MOST_RECIPIENTS]:
        try:
            key = key_of(named or one.address)
        except AddressError:
            continue
        if key not in failures or one.weight > failures[key].weight:
            failures[key] = one
    counted = 0
    for key, one in sorted(failures.items()):  # in order: two reports never wait for each other in a circle
        counted += scoring.record(mailing_list, key, one, arrived, own, now)
    return Taken(DELIVERED, f"recorded for {counted} members", "2.0.0")
