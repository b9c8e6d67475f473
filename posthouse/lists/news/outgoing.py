"""Postings on their way to a newsgroup: kept in the transaction that publishes them, posted in order."""

from __future__ import annotations

from datetime import timedelta

from posthouse import configuration, maillog
from posthouse.content import keeping
from posthouse.database import transaction
from posthouse.directory.moments import moment
from posthouse.lists import notices, roster
from posthouse.lists.arrived import Arrived, joined, spooled
from posthouse.lists.models import MailingList
from posthouse.lists.news.article import article_of, is_from_news
from posthouse.lists.news.client import NewsRefused, NewsServer
from posthouse.lists.news_models import NewsArticle
from posthouse.lists.preparation.steps import Circumstances
from posthouse.message.compose import Attached
from posthouse.message.headers import Fields

MOST_AT_ONCE = 200  # articles of one list in one visit


def keep(row: MailingList, arrived: Arrived, kept: Arrived, circumstances: Circumstances, now: int) -> bool:
    """Let a posting wait for the news server, where the list wants it there; call it where it is published.

    `arrived`: as it came; `kept`: as the list keeps it; `now` in milliseconds.
    """
    if not row.gateway_to_news or not row.linked_newsgroup or is_from_news(arrived.fields, row.linked_newsgroup):
        return False
    content_id = keeping.keep(spooled(article_of(row, joined(kept.prefix, kept.content), circumstances, now)))
    NewsArticle.objects.create(
        mailing_list=row,
        content_id=content_id,
        item=arrived.item,
        newsgroup=row.linked_newsgroup,
        subject=arrived.subject,
        kept_at=moment(now),
    )
    return True


def post_waiting(server: NewsServer, row: MailingList, now: int) -> int:
    """Hand what waits to the server, the oldest first: how many articles. `now` in milliseconds. Raises NewsError.

    An article is forgotten when the server has it; after a crash between the two it is offered again, and the server
    knows its Message-ID. What the server refuses goes to the owners, so that nothing is lost.
    """
    done = 0
    for one in NewsArticle.objects.filter(mailing_list=row).order_by("id")[:MOST_AT_ONCE]:
        try:
            server.post(bytes(keeping.read(one.content_id).all()))
        except NewsRefused as error:
            _give_up(row, one, str(error), now)
            continue
        with transaction():
            maillog.delivered(now, one.item, one.newsgroup, "the news server", "posted")
            _forget(one)
        done += 1
    return done


def give_up_old(now: int) -> int:
    """Return what waited for the server as long as undelivered mail may wait: how many. `now` in milliseconds."""
    before = moment(now) - timedelta(seconds=configuration.active().delivery.give_up_after)
    old = NewsArticle.objects.filter(kept_at__lt=before, mailing_list__removed_at=None)
    rows = list(old.select_related("mailing_list__domain").order_by("id")[:MOST_AT_ONCE])
    for one in rows:
        _give_up(one.mailing_list, one, "the news server could not be reached for days", now)
    return len(rows)


def _give_up(row: MailingList, one: NewsArticle, why: str, now: int) -> None:
    with transaction():
        maillog.failed(now, one.item, one.newsgroup, "the news server", why)
        values = {"newsgroup": one.newsgroup, "subject": one.subject or "(no subject)", "reason": why}
        content = bytes(keeping.read(one.content_id).all())
        values["author"] = Fields(content).decoded("from") or ""
        attached = [Attached("article.eml", "message/rfc822", content)]
        notices.send(row, "news-refused", roster.staff(row.pk), values, now=now, because=one.item, attachments=attached)
        _forget(one)


def _forget(one: NewsArticle) -> None:
    if NewsArticle.objects.filter(pk=one.pk).delete()[0]:
        keeping.release([one.content_id])
