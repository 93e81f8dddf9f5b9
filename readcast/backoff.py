"""How long to wait before trying again."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter: evenly spread from nothing to a bound that doubles with each attempt.

    Clients that were cut off together don't come back together.
    base: the first bound, in seconds. cap: the last one.
    """

    base: float = 1.0
    cap: float = 30.0

    def delay(self, attempt: int) -> float:
        """Seconds to wait before an attempt, counted from 0."""
        return random.uniform(0, min(self.cap, self.base * 2.0 ** min(attempt, 64)))
