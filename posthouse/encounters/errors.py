"""What can be wrong with a request about those whom the door remembers, each as a sentence for a person."""

from __future__ import annotations


class EncounterError(Exception):
    """A request that cannot be done; the text is a sentence for a person."""
