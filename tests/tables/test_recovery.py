"""Two rebalances that follow each other quickly."""

import asyncio
from types import SimpleNamespace

from faust.types import TP

from streams import lanes
from streams.pipeline import app
from tables.table import _Recovery

ALIVE: set[TP] = set()


class Lane:
    """A lane that only says whether it lives."""

    def __init__(self, app, line, number):
        self._tp = TP(line.topic, number)
        ALIVE.add(self._tp)

    async def stop(self):
        ALIVE.discard(self._tp)


async def nothing(*_, **__):
    return None


async def test_a_recovery_that_ends_during_the_next_rebalance_starts_no_lanes(monkeypatch):
    table = app.tables["mailbox"]
    asked, answered, completed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def build_highwaters(*_):
        asked.set()
        await answered.wait()  # a broker that takes its time

    async def on_recovery_completed(*tps):
        await type(table).on_recovery_completed(table, *tps)
        completed.set()

    consumer = SimpleNamespace(assignment=set, beacon=None, resume_flow=lambda: None)
    monkeypatch.setattr(lanes, "Lane", Lane)
    monkeypatch.setattr(app, "_consumer", consumer)
    monkeypatch.setattr(app, "_producer", None)
    monkeypatch.setattr(table, "on_recovery_completed", on_recovery_completed)
    recovery = _Recovery(app, app.tables, loop=asyncio.get_running_loop())
    recovery.recovery_delay = 0
    recovery._build_highwaters = build_highwaters
    recovery._build_offsets = recovery._seek_offsets = nothing
    recovery.add_active(table, TP(table.log_topic, 0))
    running = asyncio.create_task(_Recovery._restart_recovery.fun(recovery))
    try:
        # The first rebalance is over ...
        app.lanes.allow()
        recovery.signal_recovery_start.set()
        await asyncio.wait_for(asked.wait(), 5)
        # ... and the next one begins: see `Consumer.on_partitions_revoked`.
        await app.lanes.stop_all()
        # While the others join, the broker answers.
        answered.set()
        await asyncio.wait_for(completed.wait(), 5)
        # Another worker gets the partition; here its database is closed.
        await table.on_rebalance(set(), {TP(table.log_topic, 0)}, set())
        assert set() == ALIVE
    finally:
        running.cancel()
        await app.lanes.stop_all()
