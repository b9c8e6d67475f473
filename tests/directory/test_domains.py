"""Domains: added once, in one spelling."""

from __future__ import annotations

import pytest

from posthouse.directory import domains
from posthouse.directory.errors import BadDomain, DomainExists

both = pytest.mark.usefixtures("database")
sqlite = pytest.mark.usefixtures("sqlite")


@both
def test_a_domain_is_ours_in_any_spelling() -> None:
    assert domains.add("Lists.Example.", "the lists").name == "lists.example"
    domains.add("bücher.example")
    assert domains.is_ours("LISTS.example") and domains.is_ours("xn--bcher-kva.example")
    assert not domains.is_ours("far.example") and not domains.is_ours("no domain") and not domains.is_ours("")
    assert [one.name for one in domains.all_domains()] == ["lists.example", "xn--bcher-kva.example"]


@both
def test_a_domain_is_added_once() -> None:
    domains.add("lists.example")
    with pytest.raises(DomainExists, match="already"):
        domains.add("LISTS.EXAMPLE")


@sqlite
@pytest.mark.parametrize("name", ["", "-", "a..b", "a b.example", "[192.0.2.1]", "x" * 300, "ana@far.example"])
def test_what_is_no_domain_is_refused_with_the_rule(name: str) -> None:
    with pytest.raises(BadDomain, match=r"domain name|literal"):
        domains.add(name)
