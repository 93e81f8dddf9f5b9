"""Collects garbage so that no client waits for it: the young often, all of it seldom.

Python looks at all objects whenever enough have been made, amid whatever is going on. With 15,000 connections
that takes half a second and more, in which a gateway serves nobody.
"""

from __future__ import annotations

import asyncio
import gc

YOUNG_SECONDS = 0.5
"""How often the objects made since the last time are looked at: few, so that it is over in a moment."""

ENDED = 20_000
"""Connections that have ended before all objects are looked at: what they may leave behind is 400 MB at most."""


class Garbage:
    """Takes the place of Python's own timing."""

    def __init__(self) -> None:
        self._ended = 0

    def ended(self) -> None:
        """A connection has ended, and may have left cycles of objects."""
        self._ended += 1

    async def run(self) -> None:
        """Collect for ever; afterwards Python does it again."""
        gc.disable()
        try:
            while True:
                await asyncio.sleep(YOUNG_SECONDS)
                self.collect()
        finally:
            gc.enable()

    def collect(self) -> None:
        """Look at the young, or at all that there are when it is time."""
        if self._ended < ENDED:
            gc.collect(0)
        else:
            self._ended = 0
            gc.collect()
