"""Dates are read as real mail writes them and written as the standard asks."""

import pytest

from posthouse.message.dates import format_date, parse_date

MOMENT = 1_071_122_225  # 2003-12-11 05:57:05 UTC


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Wed, 10 Dec 2003 22:57:05 -0700", (MOMENT, -420)),
        ("Wed, 10 Dec 2003 22:57:05 -0700 (MST)", (MOMENT, -420)),
        ("10 Dec 03 22:57:05 MST", (MOMENT, -420)),
        ("Thu, 11 Dec 2003 05:57:05 GMT", (MOMENT, 0)),
        ("Thu, 11 Dec 2003 05:57:05", (MOMENT, 0)),
        ("Thu, 11 Dec 2003 05:57:05 -0000", (MOMENT, 0)),
        ("Thu,11 Dec 2003 06:57:05 +0100", (MOMENT, 60)),
        ("Thursday, 11-Dec-03 05:57:05 UT", (MOMENT, 0)),
        ("Thu, 11 December 2003 05:57:05 Z", (MOMENT, 0)),
        ("Thu, 11 Dec 2003 05.57.05 +0000", (MOMENT, 0)),
        ("Thu, 11 Dec 2003 05:57:05 +05:30", (MOMENT - 330 * 60, 330)),
        ("Thu, 11 Dec 2003 05:57:05 GMT+0100", (MOMENT - 3600, 60)),
        ("Thu Dec 11 05:57:05 2003", (MOMENT, 0)),
        ("Thu Dec 11 06:57:05 CET 2003", (MOMENT, 60)),
        ("Thu Dec 11 06:57:05 2003 +0100", (MOMENT, 60)),
        ("2003-12-11T05:57:05Z", (MOMENT, 0)),
        ("2003-12-11 06:57:05.123+01:00", (MOMENT, 60)),
        ("2003-12-11", (MOMENT - 21425, 0)),
        ("Thu, 11 Dec 2003 05:57:05 +9900", (MOMENT, 0)),
        ("Thu, 11 Dec 2003 05:57:05 QQQ", (MOMENT, 0)),
        ("Thu, 11 Dec 103 05:57:05 GMT", (MOMENT, 0)),
        ("Thu, 11 Dec 2003 05:57 GMT", (MOMENT - 5, 0)),
        ("Thu, 11 Dec 2003 5:57:05 PM +0000", (MOMENT + 12 * 3600, 0)),
    ],
)
def test_real_dates_are_read(value, expected):
    assert parse_date(value) == expected


@pytest.mark.parametrize(
    "value",
    ["", "yesterday", "31 Feb 2003 10:00:00 GMT", "Mon, 32 Dec 2003 10:00:00", "1 Jan 1904 00:00:00",
     "1 Jan 2003 25:00", "1 Jan 2003 10:61:00", "2003-13-01", "0" * 10_000, "(" * 10_000, "1 Jan 1970 00:00:00 +0100",
     "99 Foo 99 99:99:99"],
)  # fmt: skip
def test_what_is_no_date_is_none(value):
    assert parse_date(value) is None


def test_a_date_is_written_in_its_zone_and_reads_back():
    assert format_date(MOMENT, -420) == "Wed, 10 Dec 2003 22:57:05 -0700"
    assert format_date(MOMENT, 330) == "Thu, 11 Dec 2003 11:27:05 +0530"
    assert parse_date(format_date(MOMENT, 345)) == (MOMENT, 345)
