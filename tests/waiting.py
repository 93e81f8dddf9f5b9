"""Wait for a condition, with a limit; never for luck."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.05


def eventually(check: Callable[[], T], what: str, within: float = 30) -> T:
    """Return the first true value of `check`; fail if `within` seconds pass without one."""
    until = time.monotonic() + within
    while not (found := check()):
        if time.monotonic() > until:
            raise AssertionError(f"{what}: not within {within:g} s, last seen: {found!r}")
        time.sleep(POLL_SECONDS)
    return found


async def soon(check: Callable[[], Awaitable[T]], what: str, within: float = 30) -> T:
    """`eventually` for a check that is awaited."""
    until = time.monotonic() + within
    while not (found := await check()):
        if time.monotonic() > until:
            raise AssertionError(f"{what}: not within {within:g} s, last seen: {found!r}")
        await asyncio.sleep(POLL_SECONDS)
    return found
