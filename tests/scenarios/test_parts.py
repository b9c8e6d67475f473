"""Parts of a message that came by LMTP, when something goes wrong with one of them."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest

from posthouse.configuration import Configuration, Scanner
from posthouse.content import files
from posthouse.reception import share
from posthouse.reception.scanners import finished as rightly
from tests.people import BEN, GARDEN
from tests.reception.scripted import in_a_thread
from tests.scenarios.test_scanning import BY_LMTP, ROSES, by_recipient, guarded, letter, spamd, to_several


def test_by_lmtp_a_fault_with_one_part_leaves_what_is_said_of_the_others(
    sqlite: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(range(9))

    async def finished(*arguments: Any) -> Any:
        if next(times) == 1:
            raise ValueError("a fault of ours")
        return await rightly(*arguments)

    monkeypatch.setattr(share, "finished", finished)
    with (
        in_a_thread(spamd({}, [])) as server,
        guarded(sqlite, sa=Scanner(servers=[server], per_user=True, **BY_LMTP)) as house,
    ):
        replies = to_several(house, [GARDEN, ROSES, "garden-owner@lists.example"], letter(), lmtp=True)
        assert [one[:3] for one in replies[3:]] == ["250", "451", "250"]
        assert set(by_recipient()) == {GARDEN, "garden-owner@lists.example"}


def test_by_lmtp_a_disk_that_fills_while_a_message_is_parted_keeps_no_file_of_it(
    sqlite: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = letter((b"y" * 70 + b"\r\n") * 20_000)
    modes = {"spam": "off", "mailing_list": {ROSES: {"spam": "tag"}}}
    link, linked = os.link, list[Any]()

    def filling(*names: Any) -> None:
        linked.append(names)
        if len(linked) == 2:  # the first parted those who are scanned from those who are not
            raise OSError(errno.ENOSPC, "No space left on device")
        link(*names)

    with in_a_thread(spamd({b"y": 20.0}, [])) as server:
        scanner = Scanner(servers=[server], domains=["lists.example"], scan_up_to=5_000_000, **BY_LMTP)
        with guarded(sqlite, modes, sa=scanner) as house:
            house.has_list("tulips@other.example", members=[BEN])
            monkeypatch.setattr(os, "link", filling)
            replies = to_several(house, [GARDEN, ROSES, "tulips@other.example"], large, lmtp=True)
            assert len(linked) == 2 and {one[:9] for one in replies[3:]} == {"452 4.3.1"}
            assert list(files.incoming(house.configuration.data).iterdir()) == []
