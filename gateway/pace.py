"""The rate at which users are looked at, where many have a reason at once: a release, or a mass of reconnects."""

from __future__ import annotations

import asyncio

from gateway.requests import Requests
from gateway.settings import Settings

TICK_SECONDS = 0.02
"""How finely the rate is kept."""

BUSY = 0.5
"""Share of the requests that a gateway may have waiting above which nobody has a turn: chat goes first."""


class Pace:
    """Gives turns one after the other, to whoever waits for one."""

    def __init__(self, requests: Requests, settings: Settings) -> None:
        self._requests = requests
        self._rate = settings.public_rate
        self._busy = settings.requests * BUSY
        self._loop = asyncio.get_running_loop()
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for the next turn."""
        now = self._loop.time()
        place = self._next = max(self._next, now - TICK_SECONDS) + 1 / self._rate
        while place > now or len(self._requests) > self._busy:
            await asyncio.sleep(max(TICK_SECONDS, place - now))
            now = self._loop.time()
