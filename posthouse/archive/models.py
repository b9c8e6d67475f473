"""Archives, threads and postings. Times are whole seconds since 1970 UTC."""

from __future__ import annotations

from typing import Any

from django.db import models

from posthouse.content.models import Content

PUBLIC, PRIVATE, NEVER = "public", "private", "never"


class RowId(models.BigIntegerField):  # type: ignore[type-arg]
    """A number that is SQLite's own row number, so that neither the table nor the search index needs another index."""

    def db_type(self, connection: Any) -> str:
        """`integer` is what makes a primary key the row number on SQLite; it holds 64 bits there."""
        return "integer" if connection.vendor == "sqlite" else "bigint"

    rel_db_type = db_type


class Archive(models.Model):
    """The kept postings of one mailing list; found by the list's posting address."""

    address = models.CharField(max_length=320, unique=True)  # normalised key
    display_name = models.CharField(max_length=255, default="")
    description = models.TextField(default="")
    policy = models.CharField(max_length=8, default=PUBLIC)  # public private never
    postings = models.IntegerField(default=0)
    last_at = models.BigIntegerField(default=0)
    version = models.IntegerField(default=0)  # grows with each change; pages make their ETag of it
    obscure_addresses = models.BooleanField(default=False, db_default=False)  # on pages that everybody may read
    rendering = models.CharField(max_length=8, default="text", db_default="text")  # text markdown

    class Meta:
        db_table = "archive_archive"


class Thread(models.Model):
    """A conversation. `key` is the Message-ID-Hash of its first known message, its permalink."""

    archive = models.ForeignKey(Archive, on_delete=models.CASCADE, db_index=False)
    key = models.CharField(max_length=32)
    subject = models.TextField(default="")
    topic = models.CharField(
        max_length=120, default=""
    )  # the subject without Re: and [tags], folded, for answers by it
    started_at = models.BigIntegerField(default=0)
    last_at = models.BigIntegerField(default=0)
    postings = models.IntegerField(default=0)

    class Meta:
        db_table = "archive_thread"
        indexes = [
            models.Index("archive", "last_at", name="thread_by_activity"),
            models.Index("archive", "topic", "last_at", name="thread_by_topic"),
        ]


class Posting(models.Model):
    """One kept message.

    `id` is made of the date (seconds << 20 | number), so that the order of ids is the order of dates and the search
    index, whose rows have the same ids, answers "newest first" and date ranges without sorting.
    """

    id = RowId(primary_key=True)
    archive = models.ForeignKey(Archive, on_delete=models.CASCADE, db_index=False)
    thread = models.ForeignKey(Thread, on_delete=models.CASCADE)
    message_id = models.TextField()
    key = models.CharField(max_length=32)  # Message-ID-Hash
    parent_key = models.CharField(max_length=32, default="")  # of the message it answers, kept here or not
    by_subject = models.BooleanField(default=False)  # put in its thread by its subject alone
    variant = models.BooleanField(default=False)  # other bytes under a Message-ID kept already; its key is made of them
    content = models.ForeignKey(Content, on_delete=models.DO_NOTHING, db_index=False, db_constraint=False)
    sent_at = models.BigIntegerField()
    offset = models.SmallIntegerField(default=0)  # minutes east of UTC, as the author wrote
    filed_at = models.BigIntegerField()
    author_name = models.TextField(default="")
    author_address = models.TextField(default="")
    subject = models.TextField(default="")
    attachments = models.TextField(default="")  # JSON: [[number, filename, type, size], ...]; "" where there is none

    class Meta:
        db_table = "archive_posting"
        indexes = [models.Index("archive", "id", name="posting_by_date")]
        constraints = [models.UniqueConstraint(fields=["archive", "key"], name="posting_once")]


class KnownId(models.Model):
    """A Message-ID some posting refers to, or has: which thread it belongs to, kept here or missing."""

    archive = models.ForeignKey(Archive, on_delete=models.CASCADE, db_index=False)
    key = models.CharField(max_length=32)
    thread = models.ForeignKey(Thread, on_delete=models.CASCADE)
    message_id = models.TextField(default="")  # only while nothing is kept under it
    parent_key = models.CharField(max_length=32, default="")  # what it answers, as far as others' References tell

    class Meta:
        db_table = "archive_knownid"
        constraints = [models.UniqueConstraint(fields=["archive", "key"], name="known_once")]


class Text(models.Model):
    """What is searched of a posting: the search index is made over these columns."""

    posting = models.OneToOneField(Posting, on_delete=models.CASCADE, primary_key=True)
    subject = models.TextField(default="")
    author = models.TextField(default="")  # the name
    recipients = models.TextField(default="")  # names; addresses are columns of their own, found by who may see them
    body = models.TextField(default="")
    files = models.TextField(default="")  # names of attachments
    author_address = models.TextField(default="", db_default="")
    recipient_addresses = models.TextField(default="", db_default="")
    scope = models.TextField(default="")  # words of our own: "a12" its archive, "withfile" where something is attached

    class Meta:
        db_table = "archive_text"


class Month(models.Model):
    """How many postings a month of an archive holds; `month` is 12 * year + month - 1."""

    archive = models.ForeignKey(Archive, on_delete=models.CASCADE, db_index=False)
    month = models.IntegerField()
    postings = models.IntegerField(default=0)

    class Meta:
        db_table = "archive_month"
        constraints = [models.UniqueConstraint(fields=["archive", "month"], name="month_once")]


class Tombstone(models.Model):
    """A posting that was deleted: its address answers "gone" for good, and no import brings it back."""

    archive = models.ForeignKey(Archive, on_delete=models.CASCADE, db_index=False)
    key = models.CharField(max_length=32)
    deleted_at = models.BigIntegerField()

    class Meta:
        db_table = "archive_tombstone"
        constraints = [models.UniqueConstraint(fields=["archive", "key"], name="tombstone_once")]


class ImportRun(models.Model):
    """How far an import of a file has come, so that it goes on after a kill."""

    archive = models.ForeignKey(Archive, on_delete=models.CASCADE)
    digest = models.CharField(max_length=64)  # of the file's beginning and its size
    offset = models.BigIntegerField(default=0)
    report = models.TextField(default="{}")

    class Meta:
        db_table = "archive_importrun"
        constraints = [models.UniqueConstraint(fields=["archive", "digest"], name="one_run")]
