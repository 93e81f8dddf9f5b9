"""Reads the two logs and our replies as they grow, in no consumer group."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from functools import partial

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from gateway.metrics import Metrics
from gateway.rows import Take
from streams.settings import Settings
from tables.fetching import Fetcher, Record, fetch_fast, fetcher_of

log = structlog.get_logger()

RETRY_SECONDS = 0.5
"""Pause before a broken consumer is made anew."""

START_SECONDS = 15.0
"""Time limit for finding the ends of the logs."""

POLL_MS = 1_000
"""Time that one look for records may take: how long another partition waits to be read."""

MAX_RECORDS = 2_000
"""Records handled at a time, as they come or in a turn of the loop; then sockets get theirs."""


class Tail:
    """One consumer with partitions of its own choice, which is made anew whenever it fails.

    Positions are kept here, so a new consumer goes on where the last one stood. If the log no
    longer has that place, reading starts again at the end, and `lost` is called. Of what comes
    together, sources are taken in the order in which they are given.
    """

    def __init__(
        self,
        settings: Settings,
        sources: dict[TopicPartition, Take],
        failed: Callable[[bytes], None],
        lost: Callable[[], None],
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._sources = sources
        self._assigned: list[TopicPartition] = []
        self._placed = asyncio.Event()
        self._has_lost = False
        self._failed = failed
        self._lost = lost
        self._metrics = metrics
        self._positions: dict[TopicPartition, int] = {}
        self._consumer: AIOKafkaConsumer | None = None
        self._goal: dict[TopicPartition, int] = {}
        self.reached_end = asyncio.Event()

    @property
    def lag(self) -> int:
        """Records that are in the logs and not read yet."""
        consumer = self._consumer
        if consumer is None:
            return 0
        ends = ((tp, consumer.highwater(tp)) for tp in self._positions)
        return sum(max(0, end - self._positions[tp]) for tp, end in ends if end is not None)

    async def follow(self, partition: TopicPartition, take: Take) -> None:
        """Read one more partition, before all others; returns once it is certain from where on."""
        self._placed.clear()
        self._sources = {partition: take} | self._sources
        await self._placed.wait()

    async def run(self) -> None:
        """Read for ever; an error pauses reading, and never ends it."""
        while True:
            try:
                await self._read()
            except OffsetOutOfRangeError as error:
                self._start_over(error)
            except (KafkaError, OSError, AssertionError, TimeoutError) as error:
                log.warning("reading the logs failed", error=repr(error))
            except Exception:
                log.exception("reading the logs failed")
            self._metrics.tail_errors.inc()
            await asyncio.sleep(RETRY_SECONDS)

    async def _read(self) -> None:
        consumer = self._make_consumer()
        try:
            await consumer.start()
            self._assigned = []
            self._consumer = consumer
            fetcher = fetcher_of(consumer)
            # In the step in which they come: whoever waits for them waits the shortest.
            fetcher.on_arrival = partial(self._take_some, fetcher)
            while True:
                if len(self._assigned) < len(self._sources):
                    await self._assign(consumer)
                await asyncio.sleep(0)
                if not self._take_some(fetcher):
                    await fetcher.wait(POLL_MS / 1_000)
        finally:
            self._consumer = None
            if (fetcher := fetcher_of(consumer)) is not None:
                fetcher.on_arrival = None
            with contextlib.suppress(KafkaError, OSError):
                await consumer.stop()

    def _make_consumer(self) -> AIOKafkaConsumer:
        fetch_fast()
        return AIOKafkaConsumer(
            bootstrap_servers=self._settings.bootstrap_servers,
            client_id=f"{self._settings.app_id}-gateway",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=POLL_MS,
            max_partition_fetch_bytes=4 << 20,
            retry_backoff_ms=50,
            metadata_max_age_ms=60_000,
        )

    async def _assign(self, consumer: AIOKafkaConsumer) -> None:
        self._assigned = list(self._sources)
        consumer.assign(self._assigned)
        await self._seek(consumer)
        self._placed.set()
        if self._has_lost:
            # Only now: whatever is asked from here on is answered after the place where we read.
            self._has_lost = False
            self._lost()
        self._compare()

    async def _seek(self, consumer: AIOKafkaConsumer) -> None:
        unknown = [tp for tp in self._sources if tp not in self._positions]
        if unknown:
            async with asyncio.timeout(START_SECONDS):
                ends = await consumer.end_offsets(unknown)
            self._goal.update(ends)
            self._positions.update(ends)
        for tp, position in self._positions.items():
            consumer.seek(tp, position)

    def _take_some(self, fetcher: Fetcher) -> bool:
        batches = fetcher.take(MAX_RECORDS)
        for partition in sorted(batches, key=self._assigned.index):
            self._take(partition, batches[partition])
        self._compare()
        return bool(batches)

    def _take(self, partition: TopicPartition, records: Sequence[Record]) -> None:
        take = self._sources[partition]
        for record in records:
            try:
                take(partition.partition, record.key or b"", record.value, record.headers)
            except Exception:
                log.exception("record not understood", topic=partition.topic, offset=record.offset)
                self._failed(record.key or b"")
        self._positions[partition] = records[-1].offset + 1
        self._metrics.rows.inc(len(records))

    def _compare(self) -> None:
        if self._goal and all(self._positions[tp] >= end for tp, end in self._goal.items()):
            self._goal.clear()
            self.reached_end.set()

    def _start_over(self, error: OffsetOutOfRangeError) -> None:
        log.error("the log no longer has what comes next; starting at its end", error=repr(error))
        self._positions.clear()
        self._has_lost = True
