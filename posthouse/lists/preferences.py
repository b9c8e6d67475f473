"""Preferences and where they are looked up: membership, address, account, site, and what is built in."""

from __future__ import annotations

from collections.abc import Mapping

BUILT_IN: Mapping[str, str | bool] = {
    "acknowledge_posts": False,
    "delivery_mode": "regular",
    "delivery_status": "enabled",
    "hide_address": False,  # Mailman's is True, and read by nothing: there the list alone decides who sees its members
    "preferred_language": "",
    "receive_list_copy": True,
    "receive_own_postings": True,
}
ACCOUNTS = "LEFT JOIN directory_account c ON c.id = a.account_id"  # what `effective` needs beside m and a


def effective(name: str) -> str:
    """SQL of a preference as it holds, for a question over lists_membership m, directory_address a and ACCOUNTS."""
    value = BUILT_IN[name]
    last = f"'{value}'" if isinstance(value, str) else str(value).upper()
    site = f"(SELECT s.{name} FROM directory_sitepreferences s WHERE s.id = 1)"  # asked once for all rows
    return f"COALESCE(m.{name}, a.{name}, c.{name}, {site}, {last})"
