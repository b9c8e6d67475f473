"""Dates of messages: read as real life writes them, written as RFC 5322 §3.3 asks."""

import calendar
import re
import time

_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], start=1
    )
}
_MONTH_NAMES = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

# RFC 5322 §4.3, then names that real mailers write; minutes east of Greenwich. A military letter says nothing (§4.3).
_ZONES = {
    "UT": 0, "UTC": 0, "GMT": 0, "Z": 0, "WET": 0,
    "EST": -300, "EDT": -240, "CST": -360, "CDT": -300, "MST": -420, "MDT": -360, "PST": -480, "PDT": -420,
    "AKST": -540, "AKDT": -480, "HST": -600, "AST": -240, "ADT": -180, "NST": -210, "NDT": -150, "BRT": -180,
    "BST": 60, "WEST": 60, "CET": 60, "MET": 60, "MEZ": 60, "CEST": 120, "MEST": 120, "MESZ": 120, "SAST": 120,
    "EET": 120, "EEST": 180, "MSK": 180, "MSD": 240, "IST": 330, "HKT": 480, "SGT": 480, "AWST": 480,
    "JST": 540, "KST": 540, "AEST": 600, "AEDT": 660, "ACST": 570, "ACDT": 630, "NZST": 720, "NZDT": 780,
}  # fmt: skip

_CLOCK = r"(\d{1,2})[:.](\d{1,2})(?:[:.](\d{1,2})(?:[.,]\d{1,9})?)?"
_ZONE = r"\s{0,9}([+-]\d{1,2}:?\d{2}|[A-Za-z]{1,5}(?:[+-]\d{1,2}:?\d{2})?)?"
_RFC = re.compile(
    r"(?:[A-Za-z]{1,12}[.,]{0,2}\s{0,9},?\s{0,9})?(\d{1,2})(?:st|nd|rd|th)?[\s-]{1,9}([A-Za-z]{3})[a-z]{0,6}[.,]?[\s-]{1,9}"
    rf"(\d{{2,4}}),?\s{{1,9}}{_CLOCK}(?:\s{{0,3}}([AaPp][Mm]))?{_ZONE}"
)
_CTIME = re.compile(
    r"(?:[A-Za-z]{1,12}[.,]?\s{1,9})?([A-Za-z]{3})[a-z]{0,6}\.?\s{1,9}(\d{1,2}),?\s{1,9}"
    rf"{_CLOCK}(?:\s{{1,9}}([A-Za-z]{{1,5}}|[+-]\d{{4}}))?\s{{1,9}}(\d{{4}})(?:\s{{1,9}}([+-]\d{{4}}))?"
)
_ISO = re.compile(rf"(\d{{4}})[-/](\d{{1,2}})[-/](\d{{1,2}})(?:[Tt\s]\s{{0,9}}{_CLOCK}{_ZONE})?")
_COMMENT = re.compile(r"\([^()]*\)")
_MAX_OFFSET = 14 * 60
_LAST_YEAR = 9_999


def parse_date(value: str) -> tuple[int, int] | None:
    """(seconds since 1970, minutes east of Greenwich) of a Date value, or None when no date can be read in it.

    A missing or unknown zone counts as UTC, an impossible offset too. Never raises; reads at most 200 characters.
    """
    value = value[:200].strip()
    if "(" in value:
        value = _COMMENT.sub(" ", value).strip()
    found = _RFC.match(value)
    if found:
        day, month, year, hour, minute, second, half, zone = found.groups()
        return _moment(_year(year), _MONTHS.get(month.lower(), 0), day, _hour(hour, half), minute, second, zone)
    found = _CTIME.match(value)
    if found:
        month, day, hour, minute, second, zone, year, late_zone = found.groups()
        number = _MONTHS.get(month.lower(), 0)
        return _moment(int(year), number, day, int(hour), minute, second, late_zone or zone)
    found = _ISO.match(value)
    if found:
        year, month, day, hour, minute, second, zone = found.groups()
        return _moment(int(year), int(month), day, int(hour or 0), minute or "0", second, zone)
    return None


def _year(digits: str) -> int:
    year = int(digits)
    if len(digits) == 2:
        return year + (2000 if year < 50 else 1900)  # RFC 5322 §4.3
    return year + 1900 if len(digits) == 3 else year  # RFC 5322 §4.3: what year() returned


def _hour(digits: str, half: str | None) -> int:
    hour = int(digits)
    if half is None or hour > 12:
        return hour
    return hour % 12 + (12 if half.lower() == "pm" else 0)


def _moment(
    year: int, month: int, day: str, hour: int, minute: str, second: str | None, zone: str | None
) -> tuple[int, int] | None:
    number = int(day)
    if not (1970 <= year <= _LAST_YEAR and 1 <= month <= 12 and 1 <= number <= calendar.monthrange(year, month)[1]):
        return None
    if hour > 23 or int(minute) > 59 or int(second or 0) > 60:
        return None
    offset = _offset(zone) if zone else 0
    local = calendar.timegm((year, month, number, hour, int(minute), int(second or 0)))
    epoch = local - offset * 60
    return (epoch, offset) if epoch >= 0 else None


def _offset(zone: str) -> int:
    digits = zone.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz").replace(":", "")
    if not digits:
        return _ZONES.get(zone.upper(), 0)
    hours, minutes = int(digits[1:-2]), int(digits[-2:])
    offset = hours * 60 + minutes
    if minutes > 59 or offset > _MAX_OFFSET:
        return 0
    return -offset if digits[0] == "-" else offset


def format_date(epoch: int, offset: int = 0) -> str:
    """The RFC 5322 §3.3 date of a moment (seconds since 1970) in a zone (minutes east of Greenwich)."""
    moment = time.gmtime(epoch + offset * 60)
    sign = "-" if offset < 0 else "+"
    hours, minutes = divmod(abs(offset), 60)
    return (
        f"{_DAY_NAMES[moment.tm_wday]}, {moment.tm_mday:02d} {_MONTH_NAMES[moment.tm_mon]} {moment.tm_year:04d} "
        f"{moment.tm_hour:02d}:{moment.tm_min:02d}:{moment.tm_sec:02d} {sign}{hours:02d}{minutes:02d}"
    )
