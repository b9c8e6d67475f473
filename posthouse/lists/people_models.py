"""Tables of people and names: other addresses of a list, and how often strangers asked to join."""

from __future__ import annotations

from django.db import models

from posthouse.directory.models import Domain

RENAMED, ALIAS = "renamed", "alias"

__all__ = ["ALIAS", "RENAMED", "JoinAttempt", "ListAlias"]


class ListAlias(models.Model):
    """Another address that leads to a list with every suffix: its name before, or one an administrator gave it."""

    list_name = models.CharField(max_length=64)  # local part, lower case
    domain = models.ForeignKey(Domain, on_delete=models.PROTECT)
    mailing_list = models.ForeignKey("lists.MailingList", on_delete=models.CASCADE, related_name="aliases")
    kind = models.CharField(max_length=8, default=ALIAS)  # renamed: pages of the old name redirect too
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "lists_listalias"
        constraints = [models.UniqueConstraint(fields=["domain", "list_name"], name="list_alias_once")]


class JoinAttempt(models.Model):
    """Somebody asked to join through the web: counted by target and network for a day."""

    subject = models.CharField(max_length=340)  # "to:" or "told:" and an address key, "net:" and a network...
    at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "lists_joinattempt"
        indexes = [models.Index("subject", "at", name="join_attempt_of")]
