"""What is remembered of strangers; every row has a moment after which it is swept away. Times: ms since 1970 UTC.

Ids are hashes of what a row is about (`keys.key`), so that a row is found and written without looking for it first.
"""

from __future__ import annotations

from django.db import models

from posthouse.database import RowIdField


class Stranger(models.Model):
    """A first try that was answered with "later", or somebody who came again and so is no stranger any more.

    `origin`: a network ("192.0.2.0/24"), a domain that SPF or DKIM proves ("=far.example") or anywhere ("*").
    Waiting: `passed_at` is 0 and `recipient` says to whom ("*": to many). Passed: `recipient` is ""; `sender` is a
    domain, "" for all that comes from there. A network on its way there has `passed_at` 0 and counts in `tries`.
    """

    id = RowIdField(primary_key=True)
    origin = models.TextField()
    sender = models.TextField()
    recipient = models.TextField(default="")
    first_try = models.BigIntegerField()
    last_try = models.BigIntegerField()
    tries = models.IntegerField(default=1)
    passed_at = models.BigIntegerField(default=0)
    until = models.BigIntegerField()

    class Meta:
        db_table = "encounters_stranger"
        indexes = [models.Index("until", name="stranger_until")]


class Count(models.Model):
    """How often something came from or went to somebody: in the window that `slot` numbers, and in the one before."""

    id = RowIdField(primary_key=True)
    whose = models.TextField()  # "client 192.0.2.1"
    what = models.CharField(max_length=40)  # "messages"
    seconds = models.IntegerField()  # how long the window is
    slot = models.BigIntegerField()  # seconds since 1970 divided by the window
    fresh = models.BigIntegerField()  # in this window
    earlier = models.BigIntegerField()  # in the one before
    until = models.BigIntegerField()

    class Meta:
        db_table = "encounters_count"
        indexes = [models.Index("until", name="count_until")]


class Familiar(models.Model):
    """A network from which an account has signed in with its right password."""

    id = RowIdField(primary_key=True)
    account = models.TextField()
    network = models.TextField()
    last_seen = models.BigIntegerField()
    until = models.BigIntegerField()

    class Meta:
        db_table = "encounters_familiar"
        indexes = [models.Index("until", name="familiar_until")]


class Standing(models.Model):
    """What was seen of a network ("192.0.2.0/24") or of a domain that proved to have sent ("far.example").

    `good` and `bad` are sums of growing weights (`standing.weight_at`): a sum divided by the weight of now is a count
    that decays, and hosts add to it without reading it first. `since` is when the first of the good was seen.
    """

    id = RowIdField(primary_key=True)
    whose = models.TextField()
    good = models.FloatField()
    bad = models.FloatField()
    since = models.BigIntegerField(default=0)
    until = models.BigIntegerField()

    class Meta:
        db_table = "encounters_standing"
        indexes = [models.Index("until", name="standing_until")]


class Verification(models.Model):
    """What another host said of an address when it was asked. `kind`: sender, recipient or domain."""

    id = RowIdField(primary_key=True)
    kind = models.CharField(max_length=12)
    address = models.TextField()  # of a recipient with the next hop that was asked behind it
    answer = models.CharField(max_length=8)  # yes, no; of a domain: anything, closed
    reply = models.TextField(default="")
    asked_at = models.BigIntegerField()
    until = models.BigIntegerField()

    class Meta:
        db_table = "encounters_verification"
        indexes = [models.Index("until", name="verification_until")]
