"""The table of articles that wait for the news server."""

from __future__ import annotations

from django.db import models

from posthouse.content.models import Content

__all__ = ["NewsArticle"]


class NewsArticle(models.Model):
    """A posting on its way to a newsgroup. It holds one use of its content, which is the whole article."""

    mailing_list = models.ForeignKey("lists.MailingList", on_delete=models.CASCADE, db_index=False)
    content = models.ForeignKey(Content, on_delete=models.DO_NOTHING, db_index=False, db_constraint=False)
    item = models.BigIntegerField()  # the queue id it came with, for the trace
    newsgroup = models.CharField(max_length=255)
    subject = models.TextField(default="")
    kept_at = models.DateTimeField()

    class Meta:
        db_table = "lists_newsarticle"
        indexes = [models.Index("mailing_list", "id", name="news_of_list")]
