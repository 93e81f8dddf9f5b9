"""What happens by the clock: pings, missing acknowledgements, requests without an answer."""

from __future__ import annotations

import asyncio
from collections import deque

from gateway.requests import Requests
from gateway.session import Session
from gateway.settings import Settings

TICK_SECONDS = 0.25
"""How exactly times are kept while an answer or an acknowledgement is awaited."""

IDLE_SECONDS = 1.0
"""The same while none is: each time a process wakes up costs it some 0.2 ms."""

SLICE = 1_000
"""Sessions that are looked at before the loop has its turn."""


class Pulse:
    """One timer for all sessions. Pings have one interval, so a queue keeps them in order."""

    def __init__(self, requests: Requests, settings: Settings) -> None:
        self._requests = requests
        self._interval = settings.heartbeat_seconds
        self._loop = asyncio.get_running_loop()
        self._beats: deque[tuple[float, Session]] = deque()
        self._acking: set[Session] = set()
        self.sessions: set[Session] = set()

    def add(self, session: Session) -> None:
        """Start to keep time for a session."""
        self.sessions.add(session)
        self._beats.append((self._loop.time() + self._interval, session))

    def remove(self, session: Session) -> None:
        """The session has ended."""
        self.sessions.discard(session)
        self._acking.discard(session)

    def expect_acks(self, session: Session) -> None:
        """From here on the session acknowledges what it gets."""
        if session in self.sessions:
            self._acking.add(session)

    async def run(self) -> None:
        """Tick for ever."""
        while True:
            await asyncio.sleep(self._pause())
            now = self._loop.time()
            self._requests.expire()
            self._beat(now)
            await self._check_acks(now)

    def _pause(self) -> float:
        awaits = self._acking or len(self._requests)
        return TICK_SECONDS if awaits else min(IDLE_SECONDS, self._interval / 4)

    async def _check_acks(self, now: float) -> None:
        for number, session in enumerate(list(self._acking)):
            session.check_acks(now)
            if number % SLICE == SLICE - 1:
                await asyncio.sleep(0)

    def _beat(self, now: float) -> None:
        while self._beats and self._beats[0][0] <= now:
            _, session = self._beats.popleft()
            if session in self.sessions:
                session.beat(now)
                self._beats.append((now + self._interval, session))
