"""The visit at the news server, every few minutes: what waits is posted, what is new there is taken."""

from __future__ import annotations

import logging

from django.db.models import Exists, OuterRef, Q

from posthouse import configuration
from posthouse.configuration import endpoint
from posthouse.lists.models import ACTIVE, MailingList
from posthouse.lists.news.client import NewsError, NewsRefused, NewsServer
from posthouse.lists.news.incoming import take_new
from posthouse.lists.news.outgoing import give_up_old, post_waiting
from posthouse.lists.news_models import NewsArticle

LONGEST = 120.0  # seconds of one visit; what is left waits for the next

log = logging.getLogger(__name__)


def visit(now: int) -> int:
    """One visit for all lists: how many articles went either way. `now` in milliseconds.

    A server that is away loses nothing: what waits goes on waiting, what is there stays there. Raises NewsError then.
    """
    chosen = configuration.active().nntp
    done = give_up_old(now)
    lists = _lists()
    if not lists or not chosen.server or configuration.active().trial:
        return done
    host, port = endpoint(chosen.server)
    with NewsServer(host, port, tls=chosen.tls, timeout=chosen.timeout, longest=LONGEST) as server:
        if chosen.user:
            server.sign_in(chosen.user, chosen.password)
        server.mode_reader()
        for row in lists:
            if server.seconds_left < LONGEST / 4:
                break
            try:
                done += post_waiting(server, row, now)
                if row.gateway_to_mail and row.linked_newsgroup and row.state == ACTIVE:
                    done += take_new(server, row, now)
            except NewsRefused as error:
                log.warning("the news server refuses %s of %s: %s", row.linked_newsgroup, row.address, error)
    return done


def _lists() -> list[MailingList]:
    """The lists that have something to do with the server."""
    waiting = Exists(NewsArticle.objects.filter(mailing_list=OuterRef("pk")))
    wanted = Q(gateway_to_mail=True, state=ACTIVE) & ~Q(linked_newsgroup="")
    return list(MailingList.objects.select_related("domain").filter(wanted | waiting).order_by("pk"))


__all__ = ["NewsError", "visit"]
