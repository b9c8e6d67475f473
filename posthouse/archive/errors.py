"""What the archive refuses, in words for people."""

from __future__ import annotations


class ArchiveError(Exception):
    """The archive cannot do what was asked; the text says why in a sentence."""


class NoSuchArchive(ArchiveError):
    """There is no archive for this address."""

    def __init__(self, address: str) -> None:
        super().__init__(f"There is no archive for {address}.")


class NoSuchPosting(ArchiveError):
    """No message, thread or page of this name is in the archive."""

    def __init__(self, what: str = "message") -> None:
        super().__init__(f"There is no such {what} in this archive.")


class Gone(ArchiveError):
    """It was here and was deleted: the web answers 410."""

    def __init__(self, what: str = "message") -> None:
        super().__init__(f"This {what} was removed from the archive.")
