"""One row per distinct content."""

from __future__ import annotations

from django.db import models


class Content(models.Model):
    """The bytes of a message exactly as they came, kept once however many need them.

    `uses` counts who needs it (queued messages, archived postings, held postings); at zero it is removed.
    `octets` is null for large content, which is a file named by its digest.
    """

    digest = models.BinaryField(unique=True, max_length=32)  # SHA-256
    size = models.BigIntegerField()
    uses = models.IntegerField(default=1)
    octets = models.BinaryField(null=True)

    class Meta:
        db_table = "content_content"
