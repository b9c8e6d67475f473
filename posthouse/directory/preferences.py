"""Preferences of accounts, addresses and the whole site: what holds where a membership says nothing itself."""

from __future__ import annotations

from collections.abc import Mapping

from posthouse.database import transaction
from posthouse.directory import addresses
from posthouse.directory.errors import DirectoryError, NoSuchAccount
from posthouse.directory.models import Account, Address, SitePreferences

Value = str | bool | None
# What each can be: bool, a word of these, or (None) any language code.
KINDS: Mapping[str, type[bool] | tuple[str, ...] | None] = {
    "acknowledge_posts": bool,
    "delivery_mode": ("regular", "plaintext_digests", "mime_digests", "summary_digests"),
    "delivery_status": ("enabled", "by_user"),
    "hide_address": bool,
    "preferred_language": None,
    "receive_list_copy": bool,
    "receive_own_postings": bool,
}
_LONGEST_LANGUAGE = 16


def of_account(account_id: int) -> dict[str, Value]:
    """What an account says for all its lists; None where it says nothing. Raises NoSuchAccount."""
    row = Account.objects.filter(pk=account_id).values(*KINDS).first()
    if row is None:
        raise NoSuchAccount("there is no such account")
    return dict(row)


def of_address(address: str) -> dict[str, Value]:
    """What an address says for all its lists; None where it says nothing. Raises BadAddress."""
    row = Address.objects.filter(key=addresses.checked(address).key).values(*KINDS).first()
    return dict(row) if row else dict.fromkeys(KINDS)


def of_site() -> dict[str, Value]:
    """What holds on the whole site; None where the built-in value does."""
    row = SitePreferences.objects.filter(pk=1).values(*KINDS).first()
    return dict(row) if row else dict.fromkeys(KINDS)


def set_account(account_id: int, values: Mapping[str, Value]) -> None:
    """Say something for all lists of an account; None takes it back. Raises NoSuchAccount, DirectoryError."""
    checked = _checked(values)
    with transaction():
        if not Account.objects.filter(pk=account_id).exists():
            raise NoSuchAccount("there is no such account")
        if checked:
            Account.objects.filter(pk=account_id).update(**checked)


def set_address(address: str, values: Mapping[str, Value]) -> None:
    """Say something for all lists of an address; None takes it back. Raises BadAddress, DirectoryError."""
    checked = _checked(values)
    addresses.checked(address)
    if not checked:
        return
    with transaction():
        Address.objects.filter(pk=addresses.ensure(address)).update(**checked)


def set_site(values: Mapping[str, Value]) -> None:
    """Say what holds where nobody says otherwise; None: the built-in value. Raises DirectoryError."""
    checked = _checked(values)
    with transaction():
        SitePreferences.objects.update_or_create(pk=1, defaults=checked)


def parsed(name: str, text: str) -> Value:
    """The value of a preference from text; "" is None. Raises DirectoryError with the rule."""
    word = text.strip()
    if word and KINDS.get(name) is bool:
        if word.lower() not in ("yes", "no", "on", "off", "true", "false"):
            raise DirectoryError(f"{name} is yes or no, not {text!r}")
        return _checked({name: word.lower() in ("yes", "on", "true")})[name]
    return _checked({name: word or None})[name]


def _checked(values: Mapping[str, Value]) -> dict[str, Value]:
    for name, value in values.items():
        if name not in KINDS:
            raise DirectoryError(f"{name!r} is no preference; known are {', '.join(KINDS)}")
        kind = KINDS[name]
        if value is None:
            continue
        if kind is bool and not isinstance(value, bool):
            raise DirectoryError(f"{name} is yes or no, not {value!r}")
        if isinstance(kind, tuple) and value not in kind:
            raise DirectoryError(f"{name} is one of {', '.join(kind)}, not {value!r}")
        if kind is None and not (isinstance(value, str) and value.replace("-", "").isalnum() and value.isascii()
                                 and len(value) <= _LONGEST_LANGUAGE):  # fmt: skip
            raise DirectoryError(f"{name} is a language code such as fr, not {value!r}")
    return dict(values)
