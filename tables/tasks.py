"""Ending tasks for sure."""

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
