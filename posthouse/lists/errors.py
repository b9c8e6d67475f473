"""What can be wrong with a request to a mailing list, each as a sentence for a person."""

from __future__ import annotations


class ListError(Exception):
    """A request a list refuses; the text is a sentence for a person."""


class NoSuchList(ListError):
    """There is no mailing list with this address. `asked`: the address, where it is known."""

    def __init__(self, text: str, asked: str = "") -> None:
        super().__init__(text)
        self.asked = asked


class ListExists(ListError):
    """There is a mailing list with this address already."""


class BadName(ListError):
    """The address cannot be that of a mailing list."""


class BadSetting(ListError):
    """No setting has this name, or it cannot have this value."""


class BadAddress(ListError):
    """The text is no e-mail address."""


class NoSuchHeld(ListError):
    """No posting is held under this number: it was released, rejected or discarded already."""


class TokenSpent(ListError):
    """A confirmation that was used, has expired, or never existed; nobody is told which."""


class JoiningClosed(ListError):
    """The list takes no new members by itself; its owners add them."""


class NoSuchRequest(ListError):
    """No request waits under this number: it was decided already, or has expired."""


class FormRefused(ListError):
    """A form that was sent too fast, too late, twice or too often."""
