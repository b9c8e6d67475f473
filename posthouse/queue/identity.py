"""Queue ids: made before the commit, in order of time, written in 13 letters.

An id is the microseconds since 2020 with 12 random bits behind, which keeps processes apart: two that make an id in
the same microsecond agree once in 4,096 times. The table's key then refuses the second, its sender hears 4yz and
sends again; nothing is lost or mixed up.
"""

from __future__ import annotations

import secrets
import threading

from posthouse import maillog

EPOCH_US = 1_577_836_800_000_000  # 2020-01-01; 63 bits of id last until 2091
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: no I, L, O, U
_PAIRS = [high + low for high in _LETTERS for low in _LETTERS]
_VALUES = {letter: value for value, letter in enumerate(_LETTERS)} | {"I": 1, "L": 1, "O": 0}

_last = 0
_lock = threading.Lock()
_random = b""


def new_queue_id(now_us: int) -> int:
    """An id for a message that comes at `now_us` (microseconds since 1970); larger than every one before it here."""
    global _last, _random
    with _lock:
        if len(_random) < 2:
            _random = secrets.token_bytes(512)
        low, _random = (_random[0] << 4 | _random[1] >> 4), _random[2:]
        _last = max(_last + 1, max(0, now_us - EPOCH_US) << 12 | low)
        return _last


def name_of(queue_id: int) -> str:
    """The id in 13 letters, as people see it; names sort as ids do."""
    pairs = _PAIRS
    return (
        _LETTERS[queue_id >> 60 & 31] + pairs[queue_id >> 50 & 1023] + pairs[queue_id >> 40 & 1023]
        + pairs[queue_id >> 30 & 1023] + pairs[queue_id >> 20 & 1023] + pairs[queue_id >> 10 & 1023]
        + pairs[queue_id & 1023]
    )  # fmt: skip


def id_of(text: str) -> int | None:
    """The id a name stands for (lower case and look-alike letters forgiven); None when it is no name of an id."""
    text = text.strip().upper()
    if len(text) != 13:
        return None
    value = 0
    for letter in text:
        digit = _VALUES.get(letter)
        if digit is None:
            return None
        value = value << 5 | digit
    return value if value < 1 << 63 else None


maillog.name_items(name_of)
