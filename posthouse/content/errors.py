"""What can go wrong with content."""

from __future__ import annotations

from posthouse.smtp.session import StorageError


class ContentError(Exception):
    """Something about kept content; the text is a sentence for people."""


class NoSuchContent(ContentError):
    """There is no content with this id: nobody needs it any more."""


class ContentLost(ContentError):
    """The row is there, the file is not: the disk or somebody else lost it."""


class StorageFull(StorageError):
    """The bytes cannot be kept now: the disk is full, over quota, read-only or broken. Trying later is right."""
