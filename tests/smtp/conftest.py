"""Coroutine tests of this room run on asyncio and on uvloop."""

from __future__ import annotations

import asyncio
import inspect

import pytest
import uvloop


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give every coroutine test both loops."""
    if inspect.iscoroutinefunction(metafunc.function):
        metafunc.fixturenames.append("loop_name")
        metafunc.parametrize("loop_name", ["asyncio", "uvloop"])


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test on its loop, a minute at most."""
    function = pyfuncitem.obj
    if not inspect.iscoroutinefunction(function):
        return None
    wanted = {name: pyfuncitem.funcargs[name] for name in inspect.signature(function).parameters}

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await function(**wanted)

    runner = uvloop.run if pyfuncitem.callspec.params["loop_name"] == "uvloop" else asyncio.run
    runner(bounded())
    return True
