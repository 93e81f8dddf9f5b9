"""Reading topics directly: a range of one partition, or a log without end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition

from tables.fetching import Record

_POLL_MS = 1_000
_FETCH_BYTES = 4 << 20
_ASK_SECONDS = 10.0

_Question = Callable[[AIOKafkaConsumer, list[TopicPartition]], Awaitable[dict[TopicPartition, int]]]


@asynccontextmanager
async def open_reader(bootstrap_servers: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that is in no group and starts where it is told to."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=_FETCH_BYTES,
        fetch_max_wait_ms=_POLL_MS,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def read_range(
    bootstrap_servers: str, topic: str, partition: int, start: int, stop: int
) -> AsyncIterator[list[Record]]:
    """Records with start <= offset < stop, in lists; what compaction or retention took is missing."""
    tp = TopicPartition(topic, partition)
    async with open_reader(bootstrap_servers) as consumer:
        consumer.assign([tp])
        consumer.seek(tp, start)
        while await consumer.position(tp) < stop:
            found = await consumer.getmany(tp, timeout_ms=_POLL_MS)
            records = [record for record in found.get(tp, ()) if record.offset < stop]
            if records:
                yield records


class Bounds:
    """Asks where partitions begin and end, on a connection of its own.

    On the connection that fetches, the question would wait behind a long poll, and with it
    everything else that is asked of that consumer.
    """

    def __init__(self, bootstrap_servers: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._consumer: AIOKafkaConsumer | None = None
        self._starting = asyncio.Lock()

    async def first(self, topic: str, partition: int) -> int:
        """The offset of a partition's first record that is still there."""
        return await self._ask(AIOKafkaConsumer.beginning_offsets, topic, partition)

    async def end(self, topic: str, partition: int) -> int:
        """The offset that the next record of a partition gets."""
        return await self._ask(AIOKafkaConsumer.end_offsets, topic, partition)

    async def since(self, topic: str, partition: int, timestamp: int) -> int | None:
        """The offset of a partition's first record that is not older (ms since 1970), if there is one."""
        tp = TopicPartition(topic, partition)
        async with asyncio.timeout(_ASK_SECONDS):
            found = (await (await self._started()).offsets_for_times({tp: timestamp}))[tp]
        return None if found is None else found.offset

    async def _ask(self, question: _Question, topic: str, partition: int) -> int:
        tp = TopicPartition(topic, partition)
        async with asyncio.timeout(_ASK_SECONDS):
            return (await question(await self._started(), [tp]))[tp]

    async def _started(self) -> AIOKafkaConsumer:
        async with self._starting:
            if self._consumer is None:
                consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap_servers)
                try:
                    await consumer.start()
                except BaseException:
                    await consumer.stop()
                    raise
                self._consumer = consumer
            return self._consumer

    async def close(self) -> None:
        """Let go of the connection."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()
