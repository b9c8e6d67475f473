"""Domains, accounts and addresses: one account owns several verified addresses."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class Domain(models.Model):
    """A mail domain that is ours: recipients in it are known or refused, never relayed."""

    name = models.CharField(max_length=255, unique=True)  # lower case, A-labels
    description = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "directory_domain"


class Account(AbstractBaseUser):
    """A person (or a program) who may sign in; found by any of their addresses."""

    display_name = models.CharField(max_length=255, blank=True, default="")
    is_superuser = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = BaseUserManager()

    USERNAME_FIELD = "id"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        db_table = "directory_account"


class Address(models.Model):
    """An e-mail address that lists or accounts know. `key` finds it; `original` is how its owner writes it."""

    key = models.CharField(max_length=320, unique=True)
    original = models.CharField(max_length=320)
    domain = models.CharField(max_length=255)  # of the key; joins with queue destinations
    display_name = models.CharField(max_length=255, blank=True, default="")
    account = models.ForeignKey(Account, null=True, on_delete=models.SET_NULL, related_name="addresses")
    verified_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "directory_address"


class SignInLink(models.Model):
    """A link that signs an account in, once, for a short while. Only the token's digest is kept."""

    digest = models.CharField(max_length=64, unique=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "directory_signinlink"
