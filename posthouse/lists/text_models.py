"""The table of texts: what owners and administrators say in place of the built-in templates."""

from __future__ import annotations

from django.db import models

from posthouse.directory.models import Domain

__all__ = ["ListText"]


class ListText(models.Model):
    """A template in one language, of a list, of a domain (no list) or of the whole site (neither)."""

    mailing_list = models.ForeignKey("lists.MailingList", null=True, on_delete=models.CASCADE, db_index=False)
    domain = models.ForeignKey(Domain, null=True, on_delete=models.CASCADE)
    name = models.CharField(max_length=64)  # list:user:notice:welcome
    language = models.CharField(max_length=16)
    subject = models.CharField(max_length=255)
    text = models.TextField()
    by = models.CharField(max_length=320, blank=True, default="")
    at = models.DateTimeField()

    class Meta:
        db_table = "lists_listtext"
        indexes = [models.Index("name", "language", name="text_of")]
        constraints = [
            models.UniqueConstraint(
                fields=["mailing_list", "name", "language"],
                condition=models.Q(mailing_list__isnull=False),
                name="list_text_once",
            ),
            models.UniqueConstraint(
                fields=["domain", "name", "language"],
                condition=models.Q(mailing_list__isnull=True, domain__isnull=False),
                name="domain_text_once",
            ),
            models.UniqueConstraint(
                fields=["name", "language"],
                condition=models.Q(mailing_list__isnull=True, domain__isnull=True),
                name="site_text_once",
            ),
        ]
