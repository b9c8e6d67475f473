"""Everything a list says by itself: texts in the language of who reads them, filled in and put in the queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from posthouse.address import AddressError, key_of
from posthouse.content.spool import spooled_from
from posthouse.directory import accounts
from posthouse.directory.moments import moment
from posthouse.lists import addresses, languages, texts
from posthouse.lists.languages import TEMPLATES
from posthouse.lists.models import MailingList, Notified
from posthouse.lists.texts import placeholders
from posthouse.message.compose import Attached, notice
from posthouse.message.envelope import NULL_RETURN_PATH, Envelope, Recipient
from posthouse.message.words import encode_phrase
from posthouse.queue.enqueue import Arrival, enqueue
from posthouse.queue.identity import name_of, new_queue_id

MOST_A_DAY = 10  # automatic answers that one address gets from one list
MOST_OF_ALL = 30  # and from all lists together: anybody can write in its name to as many lists as there are
MOST_PROVEN = 100  # from all lists together where it is proven that the address itself asked; not counted above
NO_MORE, PROVEN = "no-more-today", "proven"
_DAY = timedelta(days=1)


def send(
    row: MailingList,
    kind: str,
    to: Sequence[str],
    values: Mapping[str, str],
    *,
    now: int,
    because: int = 0,
    answers: str = "",
    bounded: bool = False,
    proven: bool = False,
    reply_to: str = "",
    attachments: Sequence[Attached] = (),
    return_path: str = NULL_RETURN_PATH,
    extra: Sequence[tuple[str, str]] = (),
) -> int:
    """Put the notice `kind` for these addresses in the queue: its queue id, 0 when none was sent. `now` in ms.

    Everybody gets it in their own language: one message for each language, text and simple HTML. It leaves with the
    null return path, so that nothing ever bounces back to it (RFC 3834 §3.3). Without addresses it goes to the site's
    administrators. `because`: the item it is about; `answers`: the bare Message-ID of what it answers; `bounded`: an
    address gets at most MOST_A_DAY of these from the list, and then is told, once, that there are no more today, and at
    most MOST_OF_ALL from all lists; `proven`: the address has shown that it asked itself, so that MOST_PROVEN of all
    lists is the only bound; `return_path`: of a probe alone, whose bounce is what it is sent for; `extra`: more fields.
    """
    reached = list(to) or accounts.superuser_addresses()
    if bounded:
        counts = allowed_proven if proven else allowed
        within = [address for address in reached if counts(row, address, kind, now)]
        _tell_of_the_end(row, [one for one in reached if one not in within], now, proven)
        reached = within
    if not reached:
        return 0
    asked, others = languages.spoken(row, reached)
    groups: dict[str, list[str]] = {}
    for address in reached:
        groups.setdefault(asked.get(_key(address), others), []).append(address)
    fields = [*_extra(reply_to, answers), *extra]
    if row.include_rfc2369_headers:
        fields.append(("List-Id", f"<{row.list_id}>"))  # so that people's filters find them; no List-Post, no answers
    sent = 0
    for language, people in groups.items():
        item = new_queue_id(now * 1000)
        message_id = f"<{name_of(item).lower()}.{kind}@{row.domain.name}>"
        subject, text, used = texts.rendered(row, kind, values, languages.chain(language, others))
        owner = addresses.of(row.address, addresses.OWNER)
        content = notice(
            author=f"{encode_phrase(row.display_name)} <{owner}>",
            to=f"<{people[0]}>" if len(people) == 1 else f"<{owner}>",
            subject=subject,
            text=text,
            html=texts.as_html(text, used),
            message_id=message_id,
            date=now // 1000,
            auto_submitted="auto-replied" if answers else "auto-generated",
            extra_headers=[*fields, ("Content-Language", used)],  # RFC 3282 §2
            attachments=attachments,
        )
        sent = _enqueue(item, message_id, content, people, return_path, because, now)
    return sent


def _enqueue(
    item: int, message_id: str, content: bytes, people: Sequence[str], return_path: str, because: int, now: int
) -> int:
    return enqueue(
        Arrival(
            item=item,
            content=spooled_from(content),
            prefix=b"",
            envelope=Envelope(
                return_path=return_path,
                recipients=tuple(Recipient(address) for address in people),
                body="7BIT" if content.isascii() else "8BITMIME",
                smtputf8=not all(address.isascii() for address in people),
            ),
            origin="notice",
            received_at=now,
            message_id=message_id.strip("<>"),
            because=because,
        )
    )


def _extra(reply_to: str, answers: str) -> list[tuple[str, str]]:
    fields = [("Precedence", "bulk")]
    if reply_to:
        fields.append(("Reply-To", f"<{reply_to}>"))
    if answers and answers.isascii() and len(answers) < 900:  # RFC 3834 §3.1.5
        fields += [("In-Reply-To", f"<{answers}>"), ("References", f"<{answers}>")]
    return fields


def allowed(row: MailingList, address: str, kind: str, now: int, most: int = MOST_A_DAY) -> bool:
    """Whether this address may get one more automatic message of the list today; counts it when it may."""
    try:
        key = key_of(address) if address else ""
    except AddressError:
        return False
    since = moment(now) - _DAY
    Notified.objects.filter(at__lt=since).delete()
    counted = Notified.objects.filter(mailing_list=row, address=key).exclude(kind=PROVEN)
    if (counted.filter(kind=kind) if not key else counted).count() >= most or _has_enough(key):
        return False
    Notified.objects.create(mailing_list=row, address=key, kind=kind, at=moment(now))
    return True


def allowed_proven(row: MailingList, address: str, kind: str, now: int) -> bool:
    """`allowed` for an address that has shown that it asked itself; what strangers ask for in its name is no matter."""
    key, at = _key(address), moment(now)
    if not key or Notified.objects.filter(address=key, kind=PROVEN, at__gte=at - _DAY).count() >= MOST_PROVEN:
        return False
    Notified.objects.create(mailing_list=row, address=key, kind=PROVEN, at=at)
    return True


def _has_enough(key: str) -> bool:
    """Whether this address got its automatic messages of today from all lists together."""
    return bool(key) and Notified.objects.filter(address=key).exclude(kind__in=(NO_MORE, PROVEN)).count() >= MOST_OF_ALL


def _tell_of_the_end(row: MailingList, addresses: Sequence[str], now: int, proven: bool) -> None:
    """Tell, once a day, who gets no further automatic messages of this list today; of all lists ends in silence."""
    since = moment(now) - _DAY
    for address in addresses:
        key = _key(address)
        told = Notified.objects.filter(mailing_list=row, address=key, kind=NO_MORE, at__gte=since)
        if not key or told.exists() or (not proven and _has_enough(key)):
            continue
        Notified.objects.create(mailing_list=row, address=key, kind=NO_MORE, at=moment(now))
        send(row, NO_MORE, [address], {"count": str(MOST_PROVEN if proven else MOST_A_DAY)}, now=now)


def render(row: MailingList, kind: str, values: Mapping[str, str], language: str = "") -> tuple[str, str]:
    """(subject, text) of a template, by itself in the language of the list.

    Raises KeyError when a built-in template names a placeholder that nothing fills.
    """
    subject, text, _ = texts.rendered(row, kind, values, languages.chain(language or languages.spoken(row, [])[1]))
    return subject, text


def _key(address: str) -> str:
    try:
        return key_of(address)
    except AddressError:
        return ""


__all__ = ["MOST_A_DAY", "MOST_OF_ALL", "MOST_PROVEN", "TEMPLATES", "allowed", "placeholders", "render", "send"]
