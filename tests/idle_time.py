"""An event loop whose clock moves only while nothing happens: deadlines come at once, and only to those who wait.

For tests in which both sides of a conversation live in the one loop. What the loop gives to its threads is waited for.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_A_MOMENT = 0.02  # seconds of real time in which what was sent on this machine arrives


class _Idle(selectors.DefaultSelector):  # type: ignore[valid-type, misc]  # which one it is depends on the system
    """Instead of waiting until the next timer is due it moves the clock there."""

    now = 1000.0
    elsewhere = 0  # calls that threads of the loop are at

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if found or timeout is None or timeout <= 0 or self.elsewhere:
            return found or super().select(timeout)
        found = super().select(min(timeout, _A_MOMENT))
        if not found:
            self.now += timeout
        return found


class IdleLoop(asyncio.SelectorEventLoop):
    """asyncio's loop with that clock."""

    def __init__(self) -> None:
        self._idle = _Idle()
        super().__init__(self._idle)

    def time(self) -> float:
        """Seconds, of which none passes while there is something to do."""
        return self._idle.now

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """As in asyncio; the clock stands still until it is done."""
        self._idle.elsewhere += 1
        made: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        made.add_done_callback(self._done)
        return made

    def _done(self, future: asyncio.Future[Any]) -> None:
        self._idle.elsewhere -= 1


def run(work: Coroutine[Any, Any, T]) -> T:
    """Like asyncio.run, an hour of that clock at most."""
    with asyncio.Runner(loop_factory=IdleLoop) as runner:
        return runner.run(asyncio.wait_for(work, 3600))
