"""Domains, accounts and addresses: one account owns several verified addresses."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class Preferences(models.Model):
    """What a person wants of a list. NULL: as the next place says: membership, address, account, site, built in."""

    acknowledge_posts = models.BooleanField(null=True)  # a receipt for each own posting
    delivery_status = models.CharField(max_length=12, null=True)  # enabled by_user by_bounces by_moderator
    hide_address = models.BooleanField(null=True)  # not shown to other members
    preferred_language = models.CharField(max_length=16, null=True)
    receive_list_copy = models.BooleanField(null=True)  # False: no second copy when addressed directly
    receive_own_postings = models.BooleanField(null=True)

    class Meta:
        abstract = True


class SitePreferences(Preferences):
    """The last place where preferences are looked up: one row, number 1."""

    delivery_mode = models.CharField(max_length=20, null=True)

    class Meta:
        db_table = "directory_sitepreferences"


class Domain(models.Model):
    """A mail domain that is ours: recipients in it are known or refused, never relayed."""

    name = models.CharField(max_length=255, unique=True)  # lower case, A-labels
    description = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    # A legacy domain: the lists of this other domain are reached in it too, with every suffix.
    stands_for = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="legacy")

    class Meta:
        db_table = "directory_domain"


class Account(AbstractBaseUser, Preferences):
    """A person (or a program) who may sign in; found by any of their addresses."""

    display_name = models.CharField(max_length=255, blank=True, default="")
    is_superuser = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    is_trust = models.BooleanField(default=False)  # trust and safety: told of every new list
    delivery_mode = models.CharField(max_length=20, null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = BaseUserManager()

    USERNAME_FIELD = "id"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        db_table = "directory_account"


class DomainOwner(models.Model):
    """An account that creates, changes and removes the lists of a domain."""

    domain = models.ForeignKey(Domain, on_delete=models.CASCADE)
    account = models.ForeignKey(Account, on_delete=models.CASCADE)

    class Meta:
        db_table = "directory_domainowner"
        constraints = [models.UniqueConstraint(fields=["domain", "account"], name="domain_owner_once")]


class Address(Preferences):
    """An e-mail address that lists or accounts know. `key` finds it; `original` is how its owner writes it."""

    key = models.CharField(max_length=320, unique=True)
    original = models.CharField(max_length=320)
    domain = models.CharField(max_length=255)  # of the key; joins with queue destinations
    display_name = models.CharField(max_length=255, blank=True, default="")
    account = models.ForeignKey(Account, null=True, on_delete=models.SET_NULL, related_name="addresses")
    verified_at = models.DateTimeField(null=True)
    is_primary = models.BooleanField(default=False, db_default=False)  # of its account's: where mail about it goes
    delivery_mode = models.CharField(max_length=20, null=True)

    class Meta:
        db_table = "directory_address"


class Alias(models.Model):
    """An address of a domain of ours that leads elsewhere; `targets` as an alias file writes them."""

    domain = models.ForeignKey(Domain, on_delete=models.PROTECT)
    local_part = models.CharField(max_length=255)  # lower case; * catches all
    targets = models.TextField()
    note = models.CharField(max_length=255, blank=True, default="")
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "directory_alias"
        constraints = [models.UniqueConstraint(fields=["domain", "local_part"], name="alias_once")]


class SenderRight(models.Model):
    """A name that an account may send with although it is none of its addresses (RFC 6409 §6.1)."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    name = models.CharField(max_length=320)  # the key of an address, or @ and a domain

    class Meta:
        db_table = "directory_senderright"
        constraints = [models.UniqueConstraint(fields=["account", "name"], name="sender_right_once")]


class SignInLink(models.Model):
    """A link that signs an account in, once, for a short while. Only the token's digest is kept."""

    digest = models.CharField(max_length=64, unique=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "directory_signinlink"


class AddressLink(models.Model):
    """A link that proves that an account reads mail at an address. Only the token's digest is kept; used once."""

    digest = models.CharField(max_length=64, unique=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    address = models.CharField(max_length=320)  # key
    original = models.CharField(max_length=320)
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "directory_addresslink"
        indexes = [models.Index("account", name="address_link_of")]
