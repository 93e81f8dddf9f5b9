"""Ending tasks for sure, and waiting at little cost."""

from __future__ import annotations

import asyncio
from typing import Any

_PATIENCE_SECONDS = 0.5


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel a task until it has ended.

    Once is not enough: what it awaits may swallow a cancellation that comes just as it is
    done (`asyncio.wait_for` does, before Python 3.12), and a rebalance must not wait for that.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_PATIENCE_SECONDS)


async def wait_until_set(event: asyncio.Event, seconds: float) -> None:
    """Until an event is set, which it is after so many seconds at the latest; half of what `asyncio.timeout` costs."""
    timer = asyncio.get_running_loop().call_later(seconds, event.set)
    try:
        await event.wait()
    finally:
        timer.cancel()
