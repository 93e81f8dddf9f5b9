"""Times from sending to receipt, at a steady rate."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

RATE = 500
WARM_UP_SECONDS = 3
SECONDS = 10
LAST_ONES_SECONDS = 10


@dataclass(slots=True)
class Latencies:
    """Knows when each message was sent, and collects how long each receipt took."""

    receivers: int
    _sent: dict[str, float] = field(default_factory=dict)
    _seconds: list[float] = field(default_factory=list)
    _counts: bool = False
    _sent_all: bool = False
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def sending(self, message: str) -> None:
        if self._counts:
            self._sent[message] = time.perf_counter()

    def received(self, message: str) -> None:
        if (sent := self._sent.get(message)) is not None:
            self._seconds.append(time.perf_counter() - sent)
            if self._sent_all and self.complete:
                self._arrived.set()

    @property
    def complete(self) -> bool:
        return len(self._seconds) >= self.receivers * len(self._sent)

    async def measure(self, send: Callable[[int], Awaitable[None]]) -> None:
        """Call `send` RATE times a second, uncounted at first; return when all have arrived."""
        await paced(send, WARM_UP_SECONDS)
        self._counts = True
        await paced(send, SECONDS)
        self._sent_all = True
        if not self.complete:
            await asyncio.wait_for(self._arrived.wait(), LAST_ONES_SECONDS)

    def percentile(self, percent: int) -> float:
        """In milliseconds."""
        return round(1000 * statistics.quantiles(self._seconds, n=100)[percent - 1], 2)


async def paced(send: Callable[[int], Awaitable[None]], seconds: float) -> None:
    begin = time.perf_counter()
    for number in range(int(RATE * seconds)):
        await asyncio.sleep(begin + number / RATE - time.perf_counter())
        await send(number)
