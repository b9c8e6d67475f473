"""What can be wrong with a request to the directory, each as a sentence for a person."""

from __future__ import annotations


class DirectoryError(Exception):
    """A request the directory refuses; the text is a sentence for a person."""


class BadDomain(DirectoryError):
    """The text is no domain name."""


class DomainExists(DirectoryError):
    """The domain is ours already."""


class DomainInUse(DirectoryError):
    """The domain cannot go while something here needs it."""


class BadAddress(DirectoryError):
    """The text is no e-mail address."""


class AccountExists(DirectoryError):
    """The address belongs to an account already."""


class NoSuchAccount(DirectoryError):
    """No account and no member, owner or moderator has this address."""


class LinkSpent(DirectoryError):
    """A sign-in link that was used, has expired, or never existed; nobody is told which."""


class BadAlias(DirectoryError):
    """What an alias should lead to, or its address, is not possible."""


class AliasExists(DirectoryError):
    """The address is an alias already."""


class NoSuchAlias(DirectoryError):
    """The address is no alias of the database."""
