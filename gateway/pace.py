"""The rate at which users are looked at, where many have a reason at once: a release, or a mass of reconnects."""

from __future__ import annotations

import asyncio

from gateway.settings import Settings

TICK_SECONDS = 0.02
"""How finely the rate is kept."""

AT_ONCE = 16
"""Looks on their way at a time: chat that comes between waits for no more than these, in gateway and worker."""


class Pace:
    """Gives turns one after the other, to whoever waits for one. Each lasts until its look has ended."""

    def __init__(self, settings: Settings) -> None:
        self._rate = settings.public_rate
        self._room = asyncio.Semaphore(AT_ONCE)
        self._loop = asyncio.get_running_loop()
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for the next turn; `ends_with` must follow in the same step."""
        now = self._loop.time()
        place = self._next = max(self._next, now - TICK_SECONDS) + 1 / self._rate
        if place > now:
            await asyncio.sleep(max(TICK_SECONDS, place - now))
        await self._room.acquire()

    def ends_with(self, look: asyncio.Task[None] | None) -> None:
        """What the turn was used for; None: there was nothing to do."""
        if look is None:
            self._room.release()
        else:
            look.add_done_callback(lambda _: self._room.release())
