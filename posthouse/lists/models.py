"""Mailing lists, memberships, held postings and pending confirmations."""

from __future__ import annotations

from django.db import models

from posthouse.content.models import Content
from posthouse.directory.models import Address, Domain

MEMBER, OWNER, MODERATOR, NONMEMBER = "member", "owner", "moderator", "nonmember"
ENABLED, BY_USER, BY_BOUNCES, BY_MODERATOR = "enabled", "by_user", "by_bounces", "by_moderator"


class MailingList(models.Model):
    """A mailing list and its settings; names and values of settings are Mailman's where it has them."""

    list_name = models.CharField(max_length=64)  # local part, lower case
    domain = models.ForeignKey(Domain, on_delete=models.PROTECT)
    list_id = models.CharField(max_length=320, unique=True)  # name.host, never changes (RFC 2919)
    style = models.CharField(max_length=32, default="discussion")
    created_at = models.DateTimeField(auto_now_add=True)
    last_post_at = models.DateTimeField(null=True)
    post_id = models.IntegerField(default=1)

    display_name = models.CharField(max_length=255, default="")
    description = models.CharField(max_length=255, blank=True, default="")
    info = models.TextField(blank=True, default="")
    subject_prefix = models.CharField(max_length=255, blank=True, default="")
    footer = models.TextField(blank=True, default="")
    advertised = models.BooleanField(default=True)
    allow_list_posts = models.BooleanField(default=True)
    default_member_action = models.CharField(max_length=8, default="defer")  # accept defer hold reject discard
    default_nonmember_action = models.CharField(max_length=8, default="hold")
    subscription_policy = models.CharField(max_length=24, default="confirm")  # confirm open closed
    unsubscription_policy = models.CharField(max_length=24, default="confirm")  # confirm open
    archive_policy = models.CharField(max_length=8, default="public")  # public private never
    max_message_size = models.IntegerField(default=10240)  # KB; larger is held; 0: no limit
    respond_to_post_requests = models.BooleanField(default=True)  # tell the author that a posting is held
    admin_immed_notify = models.BooleanField(default=True)  # tell owners of each held posting at once
    send_welcome_message = models.BooleanField(default=True)
    send_goodbye_message = models.BooleanField(default=True)

    @property
    def address(self) -> str:
        """The posting address; load the domain with the row."""
        return f"{self.list_name}@{self.domain.name}"

    class Meta:
        db_table = "lists_mailinglist"
        constraints = [models.UniqueConstraint(fields=["domain", "list_name"], name="list_once")]


class Membership(models.Model):
    """One address on one list in one role, with its preferences for it."""

    mailing_list = models.ForeignKey(MailingList, on_delete=models.CASCADE, db_index=False)
    address = models.ForeignKey(Address, on_delete=models.CASCADE)
    role = models.CharField(max_length=9, default=MEMBER)
    delivery_status = models.CharField(max_length=12, default=ENABLED)
    receive_list_copy = models.BooleanField(default=True)  # False: no second copy when addressed directly
    receive_own_postings = models.BooleanField(default=True)
    moderation_action = models.CharField(max_length=8, blank=True, default="")  # "": the list's default
    joined_at = models.DateTimeField(auto_now_add=True)
    bounces = models.IntegerField(default=0)
    last_bounce_at = models.DateTimeField(null=True)
    last_bounce = models.TextField(blank=True, default="")

    class Meta:
        db_table = "lists_membership"
        constraints = [
            models.UniqueConstraint(fields=["mailing_list", "role", "address"], name="membership_once"),
        ]


class HeldPosting(models.Model):
    """A posting that waits for a moderator."""

    mailing_list = models.ForeignKey(MailingList, on_delete=models.CASCADE)
    content = models.ForeignKey(Content, on_delete=models.DO_NOTHING, db_index=False, db_constraint=False)
    item = models.BigIntegerField()  # the queue id it came with, for the trace
    prefix = models.BinaryField(default=b"")
    return_path = models.TextField(default="")
    author = models.TextField(default="")
    subject = models.TextField(default="")
    message_id = models.TextField(default="")
    size = models.BigIntegerField(default=0)
    rule = models.CharField(max_length=40)
    reason = models.TextField()
    held_at = models.DateTimeField()

    class Meta:
        db_table = "lists_heldposting"


class Pending(models.Model):
    """A confirmation somebody was asked for. Only the token's digest is kept; used once, for a while."""

    digest = models.CharField(max_length=64, unique=True)
    mailing_list = models.ForeignKey(MailingList, on_delete=models.CASCADE)
    act = models.CharField(max_length=8)  # join or leave
    address = models.CharField(max_length=320)  # key
    original = models.CharField(max_length=320, default="")  # as its owner writes it
    display_name = models.CharField(max_length=255, default="")
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "lists_pending"
        indexes = [models.Index("mailing_list", "address", name="pending_of")]


class Bounce(models.Model):
    """A bounce that came back for a copy."""

    membership = models.ForeignKey(Membership, null=True, on_delete=models.SET_NULL)
    mailing_list = models.ForeignKey(MailingList, on_delete=models.CASCADE)
    address = models.CharField(max_length=320)
    at = models.DateTimeField()
    status = models.CharField(max_length=16, default="")
    diagnostic = models.TextField(default="")

    class Meta:
        db_table = "lists_bounce"
        indexes = [models.Index("mailing_list", "address", name="bounce_of")]


class Notified(models.Model):
    """An automatic message somebody got from a list: how many a day stay bounded. Rows go after a day."""

    mailing_list = models.ForeignKey(MailingList, on_delete=models.CASCADE, db_index=False)
    address = models.CharField(max_length=320)  # key
    kind = models.CharField(max_length=40)
    at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "lists_notified"
        indexes = [models.Index("mailing_list", "address", "at", name="notified_of")]
