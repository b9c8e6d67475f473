"""What acts and rules answer, as a page says it: in the visitor's language, as a sentence."""

from __future__ import annotations

from django.utils.translation import get_language

from posthouse.lists import sentences


def told(error: Exception | str) -> str:
    """The sentence of an error, or of a rule, for this visitor."""
    text = sentences.in_language(str(error), get_language() or "")
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first.isalpha() else text  # never an address or a setting's name
