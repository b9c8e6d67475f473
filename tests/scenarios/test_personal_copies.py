"""Lists that personalize: each copy names its reader, in whatever its author wrote; others share every byte."""

from __future__ import annotations

import re

import pytest

from posthouse.lists import roster
from tests.outside import Outside
from tests.people import ANA, BEN, GARDEN
from tests.running_house import House

JOERG = "joerg@far.example"
FOOTER = "For $user_name_or_email ($user_email), settings: $user_optionsurl\nAt $permalink"


def parts(copy: object) -> list[str]:
    """The texts of a copy in order."""
    return [
        part.get_payload(decode=True).decode(part.get_content_charset() or "ascii").replace("\r\n", "\n")
        for part in copy.walk()  # type: ignore[attr-defined]
        if part.get_content_maintype() == "text"
    ]


def test_header_and_footer_name_their_reader(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[BEN], personalize="individual", footer=FOOTER, header="Dear $user_name,")
    roster.add(GARDEN, ANA, "Ana Apple")
    roster.add(GARDEN, JOERG, "Jörg")

    outside.posts(ANA, GARDEN, "Tomatoes", "Ripe at last.")
    house.settles()

    [(return_path, copy)] = outside.copies_for(ANA)
    assert return_path == "garden-bounces+ana=far.example@lists.example"
    [text] = parts(copy)
    assert re.fullmatch(
        r"Dear Ana Apple,\nRipe at last\.\n+For Ana Apple \(ana@far\.example\), settings: "
        r"https://lists\.example/options/\nAt https://lists\.example/archives/garden@lists\.example/message/\w{32}/\n",
        text,
    )
    [(_, copy)] = outside.copies_for(BEN)
    assert "Dear ,\n" in parts(copy)[0] and "For ben@far.example (ben@far.example)" in parts(copy)[0]
    [(_, copy)] = outside.copies_for(JOERG)
    [text] = parts(copy)  # a 7-bit text holds no such name: this copy is in UTF-8
    assert text.startswith("Dear Jörg,\nRipe at last.\n") and "For Jörg (joerg@far.example)" in text


def test_with_full_each_copy_is_addressed_to_its_reader(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[BEN], personalize="full", footer="")
    roster.add(GARDEN, JOERG, "Jörg")

    outside.posts(BEN, GARDEN)
    house.settles()

    [(_, copy)] = outside.copies_for(BEN)
    assert copy.get_all("To") == ["ben@far.example"]
    assert copy.get_all("Cc") == [f"Garden <{GARDEN}>"]
    [(_, copy)] = outside.copies_for(JOERG)
    assert copy["To"] == "=?utf-8?q?J=C3=B6rg?= <joerg@far.example>" or "Jörg" in copy["To"]


def test_a_large_posting_is_personal_too(house: House, outside: Outside) -> None:
    house.has_list(GARDEN, members=[ANA, BEN], personalize="individual", footer="For $user_email")
    content = (
        f"From: {ANA}\r\nTo: {GARDEN}\r\nSubject: Photos\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nLook.\r\n--b\r\n'
        "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + ("QUFB" * 18 + "\r\n") * 8000
        + "--b--\r\n"
    ).encode()

    outside.sends(ANA, [GARDEN], content)
    house.settles()

    for member in (ANA, BEN):
        [(_, copy)] = outside.copies_for(member)
        assert parts(copy) == ["Look.", f"For {member}\n"] or parts(copy)[-1] == f"For {member}\n"
        assert [
            len(part.get_payload(decode=True)) for part in copy.walk() if part.get_content_type() == "image/png"
        ] == [54 * 8000]


@pytest.mark.parametrize("personalize", ["none", "individual"])
def test_copies_that_need_not_differ_share_every_byte(house: House, outside: Outside, personalize: str) -> None:
    house.has_list(GARDEN, members=[ANA, BEN], personalize=personalize, footer="Leave: $leave_address")

    outside.posts(ANA, GARDEN)
    house.settles()

    [(_, one)] = outside.copies_for(ANA)
    [(_, other)] = outside.copies_for(BEN)
    del one["List-Unsubscribe"], other["List-Unsubscribe"], one["Received"], other["Received"]
    assert one.as_bytes() == other.as_bytes()
    assert "Leave: garden-leave@lists.example" in parts(one)[0]
