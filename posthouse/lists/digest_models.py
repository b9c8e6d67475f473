"""Tables of digests, automatic answers and periodic work."""

from __future__ import annotations

from django.db import models

from posthouse.content.models import Content

__all__ = ["Answered", "DigestPosting", "LastDigest", "PeriodicJob"]


class DigestPosting(models.Model):
    """A posting that waits for the next digest. It holds one use of the content, which is not copied."""

    mailing_list = models.ForeignKey("lists.MailingList", on_delete=models.CASCADE, db_index=False)
    content = models.ForeignKey(Content, on_delete=models.DO_NOTHING, db_index=False, db_constraint=False)
    prefix = models.BinaryField(default=b"")  # the fields that stand before the content
    item = models.BigIntegerField()  # the queue id it came with, for the trace
    message_id = models.TextField(default="")
    permalink = models.TextField(default="")  # "": the archive does not have it
    size = models.BigIntegerField(default=0)
    gathered_at = models.DateTimeField()

    class Meta:
        db_table = "lists_digestposting"
        indexes = [models.Index("mailing_list", "id", name="gathered_for")]


class LastDigest(models.Model):
    """A member who left digests for single copies and still gets the postings gathered until then."""

    membership = models.OneToOneField("lists.Membership", on_delete=models.CASCADE)
    kind = models.CharField(max_length=20)  # the delivery mode that the member had

    class Meta:
        db_table = "lists_lastdigest"


class Answered(models.Model):
    """When a list's automatic answer of a kind went to an address: the grace period counts from here."""

    mailing_list = models.ForeignKey("lists.MailingList", on_delete=models.CASCADE, db_index=False)
    kind = models.CharField(max_length=8)  # owner postings requests
    address = models.CharField(max_length=320)  # key
    at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "lists_answered"
        constraints = [models.UniqueConstraint(fields=["mailing_list", "kind", "address"], name="answered_once")]


class PeriodicJob(models.Model):
    """When a job of the periodic work is due next, and until when a process has it. Milliseconds since 1970 UTC."""

    name = models.CharField(max_length=40, unique=True)
    next_due = models.BigIntegerField()
    taken_until = models.BigIntegerField(default=0)
    ended_at = models.BigIntegerField(default=0)
    said = models.TextField(default="")  # what it did, or why it failed

    class Meta:
        db_table = "lists_periodicjob"
