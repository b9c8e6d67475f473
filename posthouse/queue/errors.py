"""What can go wrong in the queue."""

from __future__ import annotations


class QueueError(Exception):
    """The queue cannot do what was asked; the text is a sentence for people."""


class NoRecipients(QueueError):
    """A message without a recipient was to be enqueued."""


class ClaimantGone(QueueError):
    """The claimant was thought dead and its claims were given to others: register again."""
