"""Preferences of accounts and addresses that decide about digests: who leaves them gets one last digest."""

from __future__ import annotations

from collections.abc import Mapping

from posthouse.directory import addresses, preferences
from posthouse.lists.last_digests import noticed


def set_account_preferences(account_id: int, values: Mapping[str, str | bool | None]) -> None:
    """`directory.preferences.set_account`, with one last digest where it ends digests. Raises what that raises."""
    with noticed("a.account_id = %s", [account_id]):
        preferences.set_account(account_id, values)


def set_address_preferences(address: str, values: Mapping[str, str | bool | None]) -> None:
    """`directory.preferences.set_address`, with one last digest where it ends digests. Raises what that raises."""
    with noticed("a.key = %s", [addresses.checked(address).key]):
        preferences.set_address(address, values)
