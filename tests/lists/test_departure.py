"""What each copy gets as it leaves: its own return path and its own way out of the list."""

from __future__ import annotations

import dataclasses
import time

import pytest

from posthouse import configuration
from posthouse.configuration import Configuration
from posthouse.lists import creation, departure, tokens
from posthouse.lists.errors import NoSuchList
from posthouse.message.headers import Fields
from tests.lists.scene import has_list
from tests.people import ANA, GARDEN


def at(chosen: Configuration, base_url: str) -> None:
    """Let the site answer at this address."""
    configuration.activate(dataclasses.replace(chosen, web=configuration.Web(base_url=base_url)))


def test_a_copy_names_its_recipient_in_the_return_path_and_offers_one_click(sqlite: Configuration) -> None:
    at(sqlite, "https://lists.example")
    pk = has_list()
    return_path, head = departure.for_list(pk).copy("Ana+garden@far.example")

    assert return_path == "garden-bounces+Ana+garden=far.example@lists.example"
    fields = Fields(head + b"\r\n")
    link = (
        (fields.first("list-unsubscribe") or "").partition(">")[0].removeprefix("<https://lists.example/unsubscribe/")
    )
    assert tokens.read_unsubscribe(link.rstrip("/")) == (pk, "Ana+garden@far.example")
    assert "<mailto:garden-leave@lists.example>" in (fields.first("list-unsubscribe") or "")
    assert fields.first("list-unsubscribe-post") == "List-Unsubscribe=One-Click"
    assert head.endswith(b"\r\n") and head.isascii()


def test_without_https_there_is_no_one_click(sqlite: Configuration) -> None:
    at(sqlite, "http://localhost:8000")
    _, head = departure.for_list(has_list()).copy(ANA)
    assert b"List-Unsubscribe: <http://localhost:8000/unsubscribe/" in head
    assert b"List-Unsubscribe-Post" not in head


@pytest.mark.parametrize("with_fields", ["yes", "no"])
def test_errors_to_says_the_return_path_where_owners_want_it(sqlite: Configuration, with_fields: str) -> None:
    pk = has_list(include_rfc2369_headers=with_fields)
    assert b"Errors-To" not in departure.for_list(pk).copy(ANA)[1]
    creation.set_settings(GARDEN, {"include_errors_to": "yes"})
    leaving = departure.for_list(pk)
    for recipient, path in (
        (ANA, "garden-bounces+ana=far.example"),
        ("bén@far.example", "garden-bounces+bén=far.example"),
    ):
        return_path, head = leaving.copy(recipient)
        assert return_path == f"{path}@lists.example"
        assert head.startswith(f"Errors-To: <{return_path}>\r\n".encode())
        assert (b"List-Unsubscribe: " in head) == (with_fields == "yes")


def test_copies_are_cheap(sqlite: Configuration) -> None:
    leaving = departure.for_list(has_list())
    started = time.thread_time()
    for number in range(10_000):
        leaving.copy(f"m{number}@far.example")
    assert (time.thread_time() - started) / 10_000 < 20e-6  # about 1 µs; the bound forgives a busy machine


def test_a_removed_list_has_no_departures(sqlite: Configuration) -> None:
    with pytest.raises(NoSuchList):
        departure.for_list(999)
