"""One of several gateway processes, without the others."""

import asyncio
import os

from gateway.processes import LIFELINE, watch_lifeline
from tests.gateway.fakes import until


class Stopping(asyncio.Event):
    """Counts how often it is set."""

    count = 0

    def set(self) -> None:
        self.count += 1
        super().set()


async def test_who_has_lost_its_parent_looks_no_more_for_it_while_it_leaves(monkeypatch):
    reader, writer = os.pipe()
    monkeypatch.setenv(LIFELINE, str(reader))
    stopping = Stopping()
    watch_lifeline(stopping)
    os.close(writer)
    await until(stopping.is_set)
    await asyncio.sleep(0.1)
    assert stopping.count == 1
    os.close(reader)
