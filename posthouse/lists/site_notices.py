"""What the site itself writes to a person, from no list: the link to sign in, the link that adds an address."""

from __future__ import annotations

from collections.abc import Mapping

from posthouse import configuration
from posthouse.content.spool import spooled_from
from posthouse.lists import languages, texts, wording
from posthouse.message.compose import notice
from posthouse.message.envelope import NULL_RETURN_PATH, Envelope, Recipient
from posthouse.queue.enqueue import Arrival, enqueue
from posthouse.queue.identity import name_of, new_queue_id


def send(kind: str, to: str, values: Mapping[str, str], now: int, language: str = "") -> int:
    """Put a message of the site for one address in the queue: its queue id. `now` in milliseconds.

    It is written in the language that the address or its account asked for, else in `language` (that of the page
    which it comes from), else in that of the site. Text and simple HTML.
    """
    chosen, seconds = configuration.active(), now // 1000
    row = wording.example_of(wording.WHOLE_SITE)
    asked, others = languages.spoken(row, [to])
    wanted = languages.chain(next(iter(asked.values()), ""), language, others)
    subject, text, used = texts.rendered(row, kind, {"site": chosen.web.base_url, **values}, wanted)
    item = new_queue_id(now * 1000)
    message_id = f"<{name_of(item).lower()}.{kind}@{chosen.host}>"
    content = notice(
        author=f"Posthouse <postmaster@{chosen.host}>",
        to=to,
        subject=subject,
        text=text,
        html=texts.as_html(text, used),
        message_id=message_id,
        date=seconds,
        extra_headers=[("Content-Language", used)],  # RFC 3282 §2
    )
    enqueue(
        Arrival(
            item=item,
            content=spooled_from(content),
            prefix=b"",
            envelope=Envelope(
                return_path=NULL_RETURN_PATH,
                recipients=(Recipient(to),),
                body="7BIT" if content.isascii() else "8BITMIME",
                smtputf8=not to.isascii(),
            ),
            origin="notice",
            received_at=now,
            message_id=message_id.strip("<>"),
        )
    )
    return item
