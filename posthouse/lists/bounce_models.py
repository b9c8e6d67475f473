"""The table of probes: letters that find out whether a member's address really fails."""

from __future__ import annotations

from django.db import models

__all__ = ["Probe"]


class Probe(models.Model):
    """A probe on its way to a member. Only the digest of its return path's token is kept; rows go after 10 days."""

    digest = models.CharField(max_length=64, unique=True)
    membership = models.ForeignKey("lists.Membership", on_delete=models.CASCADE)
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "lists_probe"
