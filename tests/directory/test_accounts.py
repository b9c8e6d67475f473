"""Accounts: made once, signed in by a link that works once, or by a password."""

from __future__ import annotations

import pytest

from posthouse.directory import accounts
from posthouse.directory.errors import AccountExists, BadAddress, DirectoryError, LinkSpent, NoSuchAccount
from posthouse.directory.models import Account, SignInLink
from posthouse.lists import creation, roster
from tests.lists.scene import NOW, has_list
from tests.people import ANA, EVE, GARDEN, OWEN

both = pytest.mark.usefixtures("database")
sqlite = pytest.mark.usefixtures("sqlite")
MINUTE = 60_000


@both
def test_an_account_is_found_by_its_address_in_any_spelling() -> None:
    made = accounts.create("Owen@FAR.example", "Owen", superuser=True)
    assert (made.address, made.is_superuser) == ("Owen@far.example", True)
    assert accounts.find("owen@far.EXAMPLE") == made
    assert accounts.superuser_addresses() == ["Owen@far.example"]
    assert accounts.addresses_of(made.id) == ["Owen@far.example"]


@sqlite
def test_an_address_has_one_account() -> None:
    accounts.create(OWEN)
    with pytest.raises(AccountExists):
        accounts.create(OWEN.upper())


@sqlite
def test_what_is_no_address_gets_no_account() -> None:
    with pytest.raises(BadAddress, match="@"):
        accounts.create("owen")
    assert Account.objects.count() == 0


@both
def test_a_sign_in_link_works_once() -> None:
    made = accounts.create(OWEN)
    token = accounts.sign_in_link(OWEN, NOW)
    assert accounts.redeem(token, NOW + MINUTE) == made.id
    with pytest.raises(LinkSpent):
        accounts.redeem(token, NOW + MINUTE)


@sqlite
def test_a_sign_in_link_expires() -> None:
    accounts.create(OWEN)
    token = accounts.sign_in_link(OWEN, NOW)
    with pytest.raises(LinkSpent):
        accounts.redeem(token, NOW + 10 * MINUTE)
    late = accounts.sign_in_link(OWEN, NOW, accounts.LINK_SECONDS_CLI)
    assert accounts.redeem(late, NOW + 59 * MINUTE)


@sqlite
def test_only_the_digest_of_a_link_is_kept() -> None:
    accounts.create(OWEN)
    token = accounts.sign_in_link(OWEN, NOW)
    assert token.partition(".")[0] not in str(list(SignInLink.objects.values_list()))


@sqlite
@pytest.mark.parametrize("token", ["", ".", "x", "x.1", "x.99999999999999999999", "x.1.1", "é.1", "x.-1", "x.१"])
def test_a_made_up_link_signs_nobody_in(token: str) -> None:
    accounts.create(OWEN)
    with pytest.raises(LinkSpent):
        accounts.redeem(token, NOW)


@sqlite
def test_a_link_does_not_work_for_another_address() -> None:
    accounts.create(OWEN)
    accounts.create(EVE)
    secret, _, number = accounts.sign_in_link(EVE, NOW).partition(".")
    with pytest.raises(LinkSpent):
        accounts.redeem(f"{secret}.{int(number) - 1}", NOW)


@sqlite
def test_links_of_an_account_do_not_pile_up() -> None:
    accounts.create(OWEN)
    tokens = [accounts.sign_in_link(OWEN, NOW) for _ in range(12)]
    assert SignInLink.objects.count() == accounts.MOST_LINKS
    assert accounts.redeem(tokens[-1], NOW)


@both
def test_whoever_a_list_knows_may_sign_in_and_only_then_counts_as_the_owner_of_the_address() -> None:
    has_list(members=[ANA])
    token = accounts.sign_in_link(ANA, NOW)
    assert accounts.find(ANA) is None
    waiting = Account.objects.get()
    assert not roster.roles_of(waiting.pk).reads(GARDEN)
    account = accounts.redeem(token, NOW)
    found = accounts.find(ANA)
    assert found is not None and found.id == account
    assert roster.roles_of(account).reads(GARDEN)


@sqlite
def test_an_unknown_address_gets_no_link() -> None:
    with pytest.raises(NoSuchAccount):
        accounts.sign_in_link(EVE, NOW)
    assert Account.objects.count() == 0


@sqlite
def test_an_inactive_account_can_neither_use_links_nor_passwords() -> None:
    made = accounts.create(OWEN, password="correct horse")
    token = accounts.sign_in_link(OWEN, NOW)
    Account.objects.filter(pk=made.id).update(is_active=False)
    assert accounts.check_password(OWEN, "correct horse") is None
    with pytest.raises(LinkSpent):
        accounts.redeem(token, NOW)
    with pytest.raises(NoSuchAccount):
        accounts.sign_in_link(OWEN, NOW)


@sqlite
def test_a_password_is_kept_as_argon2id_and_checked() -> None:
    made = accounts.create(OWEN, password="correct horse")
    assert Account.objects.get(pk=made.id).password.startswith("argon2$argon2id$")
    assert accounts.check_password(OWEN.upper(), "correct horse") == made
    assert accounts.check_password(OWEN, "battery staple") is None
    assert accounts.check_password(EVE, "correct horse") is None
    assert accounts.check_password("nonsense", "correct horse") is None
    assert accounts.check_password(OWEN, "x" * 100_000) is None


@sqlite
def test_an_account_without_a_password_has_none_that_fits() -> None:
    accounts.create(OWEN)
    assert accounts.check_password(OWEN, "") is None


@sqlite
def test_a_new_password_ends_the_old_one_and_every_open_link() -> None:
    accounts.create(OWEN, password="correct horse")
    token = accounts.sign_in_link(OWEN, NOW)
    accounts.set_password(OWEN, "battery staple")
    assert accounts.check_password(OWEN, "correct horse") is None
    assert accounts.check_password(OWEN, "battery staple") is not None
    with pytest.raises(LinkSpent):
        accounts.redeem(token, NOW)


@sqlite
def test_a_short_password_is_refused_with_the_rule() -> None:
    with pytest.raises(DirectoryError, match="at least 10"):
        accounts.create(OWEN, password="short")
    with pytest.raises(NoSuchAccount):
        accounts.set_password(OWEN, "long enough")


@sqlite
def test_superusers_are_made_and_unmade() -> None:
    accounts.create(OWEN)
    assert accounts.make_superuser(OWEN).is_superuser
    assert not accounts.make_superuser(OWEN, False).is_superuser
    assert accounts.superuser_addresses() == []


@sqlite
def test_roles_count_for_verified_addresses_only() -> None:
    has_list(members=[ANA])
    made = accounts.create(OWEN)
    roles = roster.roles_of(made.id)
    assert (roles.owner, roles.member) == (frozenset({GARDEN}), frozenset())
    assert roles.moderates(GARDEN) and roles.reads(GARDEN)
    creation.remove(GARDEN)
    assert not roster.roles_of(made.id).moderates(GARDEN)


@sqlite
def test_a_password_is_worth_nothing_at_an_address_that_was_never_verified() -> None:
    has_list(members=[ANA])
    accounts.sign_in_link(ANA, NOW)
    account = Account.objects.get()
    account.set_password("correct horse")
    account.save()
    assert accounts.check_password(ANA, "correct horse") is None
