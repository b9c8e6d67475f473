"""The queue's tables. Times are milliseconds since 1970 UTC; `docs/flow.md` says what a crash leaves of each state."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from posthouse.content.models import Content
from posthouse.database import RowIdField


class Message(models.Model):
    """A message we answer for. Gone when its last delivery is.

    What leaves is `prefix` (header fields we put before the message: Received, a missing Message-ID or Date), then the
    content. The content itself stays exactly as it came.
    """

    id = RowIdField(primary_key=True)  # queue.identity.new_queue_id: known before the commit
    content = models.ForeignKey(Content, on_delete=models.DO_NOTHING, db_index=False, db_constraint=False)
    prefix = models.BinaryField(default=b"")
    return_path = models.TextField(default="")
    received_at = models.BigIntegerField()
    origin = models.CharField(max_length=12)  # transfer submission lmtp list report bounce notice trial
    # The mailing list whose copies these are: each leaves with a VERP return path made from `return_path`.
    list_id = models.BigIntegerField(null=True)
    body8 = models.BooleanField(default=False)
    smtputf8 = models.BooleanField(default=False)
    envelope_id = models.TextField(default="")  # DSN ENVID (RFC 3461)
    ret = models.CharField(max_length=4, default="")  # DSN RET: FULL or HDRS

    class Meta:
        db_table = "queue_message"


class Destination(models.Model):
    """Where deliveries go together: a domain in A-labels, lower case. Suspended and resumed as a whole."""

    name = models.CharField(max_length=255, unique=True)
    suspended_until = models.BigIntegerField(default=0)  # 0: not; SUSPENDED_FOR_GOOD: until an operator resumes it
    failures = models.IntegerField(default=0)  # failures as a whole, one after another
    reason = models.TextField(default="")

    class Meta:
        db_table = "queue_destination"
        indexes = [models.Index("suspended_until", name="destination_suspended", condition=~Q(suspended_until=0))]


class Delivery(models.Model):
    """One recipient of a message. The row is the promise; it goes when the outcome is durable.

    claimant null: waits until `next_attempt`. claimant set: a process works on it; valid while that claimant lives.
    `returning`: failed for good, its DSN is not yet written; claimant is null then, and nobody claims it.
    """

    message = models.ForeignKey(Message, on_delete=models.DO_NOTHING, db_constraint=False)
    destination = models.ForeignKey(Destination, on_delete=models.DO_NOTHING, db_index=False, db_constraint=False)
    recipient = models.TextField()
    next_attempt = models.BigIntegerField()
    claimant = models.IntegerField(null=True)
    attempts = models.SmallIntegerField(default=0)
    returning = models.BooleanField(default=False, db_column="given_up")  # the field's own name is a word of SQL
    warned = models.BooleanField(default=False)
    notify = models.CharField(max_length=24, null=True)  # DSN NOTIFY (RFC 3461)
    original_recipient = models.TextField(null=True)  # DSN ORCPT
    last_reply = models.TextField(null=True)
    last_status = models.CharField(max_length=12, null=True)  # enhanced code (RFC 3463) of the last reply
    last_where = models.TextField(null=True)  # who gave it: the far host, or the part of us that could not

    class Meta:
        db_table = "queue_delivery"
        # fmt: off
        indexes = [
            # what is due, by time and then in the order it came (neighbours on the disk): a claim costs what is due,
            # however much waits
            models.Index("next_attempt", name="delivery_when", condition=Q(claimant__isnull=True, returning=False)),
            # what is due, by destination: fair over destinations when more is due than a claim can take
            models.Index("destination", "next_attempt", name="delivery_due",
                         condition=Q(claimant__isnull=True, returning=False)),
            models.Index("claimant", name="delivery_claimed", condition=Q(claimant__isnull=False)),
            models.Index("message", name="delivery_returning", condition=Q(returning=True)),
        ]
        # fmt: on


class Claimant(models.Model):
    """A delivery process; its claims hold while `alive_until` lies ahead. It renews that as long as it runs."""

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=255)  # host:pid
    alive_until = models.BigIntegerField()

    class Meta:
        db_table = "queue_claimant"


class Event(models.Model):
    """One step in a message's life; written by `maillog`, read by `queue.trace`, removed after the retention."""

    at = models.BigIntegerField()  # ids grow with it, so it needs no index of its own
    kind = models.CharField(max_length=24)
    item = models.BigIntegerField(default=0)
    address = models.TextField(default="")
    address_key = models.BigIntegerField(default=0)  # maillog.address_key: found by a small index
    because = models.BigIntegerField(default=0)  # the item this one was enqueued because of
    detail = models.TextField(default="{}")

    class Meta:
        db_table = "queue_event"
        indexes = [
            models.Index("item", name="event_item", condition=~Q(item=0)),
            models.Index("address_key", name="event_address", condition=~Q(address_key=0)),
            models.Index("because", name="event_because", condition=~Q(because=0)),
        ]


class Captured(models.Model):
    """Mail for elsewhere that the trial mode kept on the machine, for /trial/outbox."""

    at = models.BigIntegerField(db_index=True)
    item = models.BigIntegerField()
    return_path = models.TextField()
    recipient = models.TextField()
    reply = models.TextField()  # what the pretended far side answered
    octets = models.BinaryField()

    class Meta:
        db_table = "queue_captured"
