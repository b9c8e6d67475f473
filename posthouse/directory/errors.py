"""What can be wrong with a request to the directory, each as a sentence for a person."""

from __future__ import annotations


class DirectoryError(Exception):
    """A request the directory refuses; the text is a sentence for a person."""


class BadDomain(DirectoryError):
    """The text is no domain name."""


class DomainExists(DirectoryError):
    """The domain is ours already."""


class BadAddress(DirectoryError):
    """The text is no e-mail address."""


class AccountExists(DirectoryError):
    """The address belongs to an account already."""


class NoSuchAccount(DirectoryError):
    """No account and no member, owner or moderator has this address."""


class LinkSpent(DirectoryError):
    """A sign-in link that was used, has expired, or never existed; nobody is told which."""
