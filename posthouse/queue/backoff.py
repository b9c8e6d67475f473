"""When to try again: often at first, seldom later, never at the same moment as everything else."""

from __future__ import annotations

MINUTE, HOUR = 60, 3600
# Seconds to wait after the first, second, ... attempt; the last one repeats. Greylisting lets the second or third
# attempt in (RFC 5321 §4.5.4.1 asks for two tries in the first hour), and a host that is away for a night costs few.
SCHEDULE = (
    1 * MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, 1 * HOUR, 2 * HOUR, 4 * HOUR, 6 * HOUR,
)  # fmt: skip
JITTER = 0.25  # a wait is up to a quarter shorter or longer


def next_attempt(attempts: int, received_at: int, now: int, give_up_after: int, random: float) -> int | None:
    """When (ms since 1970) to try again after `attempts` attempts (1 or more); None: give up.

    `received_at` and `now` in ms, `give_up_after` in seconds, `random` from 0 to 1. Once the time is up no attempt
    follows; the last one before falls on the end of that time, so that none is given up early.
    """
    end = received_at + give_up_after * 1000
    if now >= end:
        return None
    wait = SCHEDULE[min(max(attempts, 1), len(SCHEDULE)) - 1] * (1 - JITTER + 2 * JITTER * random)
    return min(now + int(wait * 1000), end)
