"""The journaled table: Faust assigns its partitions, it keeps and restores them itself."""

from __future__ import annotations

import asyncio
import gc
import time
from itertools import cycle
from typing import Any, Protocol, cast

import structlog
from faust import Table
from faust.tables import TableManager
from faust.tables.recovery import Recovery
from faust.types import TP, AppT
from rocksdict import Options

from tables.overlay import Layout
from tables.partition import Partition
from tables.reader import Bounds, read_range
from tables.standby import Standby

log = structlog.get_logger(__name__)

_STALE_SECONDS = 3 * 86_400
"""A folder untouched for longer may have missed removals that compaction has forgotten (7 days)."""


class Lanes(Protocol):
    """What decides over the tables, as far as these tell it of rebalances."""

    def allow(self) -> None: ...
    def start_lanes(self, table: JournaledTable, partitions: set[int]) -> None: ...
    async def stop_all(self) -> None: ...


def lanes_of(app: AppT) -> Lanes:
    """The lanes of the app, of which Faust's types know nothing."""
    lanes: Lanes = cast("Any", app).lanes
    return lanes


class JournaledTable(Table[bytes, bytes]):
    """A Faust table whose changelog is the log of record.

    Faust decides which worker has which partition, active or standby, and hands that to
    `on_rebalance` and `on_recovery_completed`. The rows are read and written by partition.
    """

    def __init__(
        self,
        app: AppT,
        *,
        name: str,
        layout: Layout,
        partitions: int,
        bootstrap_servers: str,
        bounds: Bounds,
        options: Options,
        flush_seconds: float,
    ) -> None:
        super().__init__(app, name=name, partitions=partitions, key_type=bytes, value_type=bytes)
        self.log_topic: str = self.changelog_topic.get_topic_name()
        self._layout = layout
        self._bootstrap_servers = bootstrap_servers
        self._options = options
        self._count = partitions
        self._flush_seconds = flush_seconds
        self._bounds = bounds
        self._open: dict[int, Partition] = {}
        self._standby = Standby(bootstrap_servers, self.log_topic, self.partition, self.catch_up)

    def partition(self, number: int) -> Partition:
        """A partition's database, opened when it is first asked for."""
        if number not in self._open:
            path = self.app.conf.tabledir / f"{self.name}-{number}.db"
            self._open[number] = Partition(path, self._layout, self._options)
        return self._open[number]

    async def catch_up(self, number: int) -> None:
        """Apply all of the log that isn't kept yet."""
        partition = self.partition(number)
        end = await self._bounds.end(self.log_topic, number)
        self._forget_if_unusable(partition, number, end)
        start = partition.progress.next_offset
        if start < end:
            async for records in read_range(
                self._bootstrap_servers, self.log_topic, number, start, end
            ):
                partition.apply(records)

    def _forget_if_unusable(self, partition: Partition, number: int, end: int) -> None:
        progress = partition.progress
        if progress.next_offset > end:
            log.error(
                "the log is shorter than the table, rebuilding", table=self.name, partition=number
            )
            partition.wipe()
        elif 0 < progress.next_offset < end and time.time() - progress.kept > _STALE_SECONDS:
            log.info(
                "the table's folder is too old to catch up, rebuilding",
                table=self.name,
                partition=number,
            )
            partition.wipe()

    async def on_start(self) -> None:
        """Flush from time to time; nothing to declare: topics are made by the `topics` command."""
        self.add_future(self._flush())

    async def on_stop(self) -> None:
        await self._standby.stop()
        self._close(set(self._open))

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        await self._standby.stop()
        ours = {tp.partition for tp in assigned if tp.topic == self.log_topic}
        self._close(set(self._open) - ours)

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        await self._standby.stop()
        # Faust passes over what is raised here: nothing may come between a lane and its start.
        lanes_of(self.app).start_lanes(self, {tp.partition for tp in active_tps})
        self._standby.follow({tp.partition for tp in standby_tps - active_tps})

    async def _flush(self) -> None:
        """Flush one partition after the other, each within the time that is set."""
        for number in cycle(range(self._count)):
            await asyncio.sleep(self._flush_seconds / self._count)
            if number in self._open:
                self._open[number].flush()

    def _close(self, numbers: set[int]) -> None:
        for number in numbers:
            self._open.pop(number).close()
        if numbers:
            # Once for all of them: nothing else moves meanwhile, for up to a second if many rows are in memory.
            gc.collect()

    def persisted_offset(self, tp: TP) -> int | None:
        return None


class _Recovery(Recovery):
    """Faust's part of a rebalance, without reading changelogs: each lane reads its own to the end anyway."""

    def need_recovery(self) -> bool:
        return False

    async def _seek_offsets(self, *_: Any) -> None:
        """Nothing to seek: the consumer doesn't have changelogs."""

    async def _wait(self, coro: Any, timeout: Any = None) -> None:  # noqa: ASYNC109
        """Wait without a time limit, until it is done or another rebalance comes.

        Faust takes a limit that has passed for the end of the service: a broker that is away for longer, while
        committed offsets are asked for, would leave a worker that takes no partitions any more.
        """
        await super()._wait(coro)


class JournaledTables(TableManager):
    """Faust's table manager with that recovery."""

    async def on_rebalance(self, *args: Any, **kwargs: Any) -> None:
        await super().on_rebalance(*args, **kwargs)
        lanes_of(self.app).allow()

    async def on_stop(self) -> None:
        # Lanes write to the tables: they end first.
        await lanes_of(self.app).stop_all()
        await super().on_stop()

    @property
    def recovery(self) -> Any:
        if self._recovery is None:
            self._recovery = _Recovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery
