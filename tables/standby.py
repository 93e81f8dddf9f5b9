"""Standbys: warm copies of partitions that another worker decides."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from tables.partition import Partition
from tables.reader import open_reader
from tables.tasks import end

Open = Callable[[int], Partition]
"""Gives a partition's database."""

CatchUp = Callable[[int], Awaitable[None]]
"""Brings a partition up to the end of its log; one that can't be is built anew."""

log = structlog.get_logger(__name__)

_RETRY_SECONDS = 1.0
_FAILED_SECONDS = 30.0


class Standby:
    """Follows the log of some partitions and applies what it brings.

    One that fails is only told of, and tried again: the worker goes on with what it decides.
    """

    def __init__(self, bootstrap_servers: str, topic: str, open_: Open, catch_up: CatchUp) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._topic = topic
        self._open = open_
        self._catch_up = catch_up
        self._task: asyncio.Task[None] | None = None

    def follow(self, numbers: set[int]) -> None:
        """Follow these partitions; call `stop` first."""
        if numbers:
            self._task = asyncio.create_task(self._run(numbers), name=f"standby {self._topic}")

    async def stop(self) -> None:
        """Let go of all partitions."""
        task, self._task = self._task, None
        if task is not None:
            await end(task)

    async def _run(self, numbers: set[int]) -> None:
        while True:
            try:
                await self._follow(numbers)
            except (KafkaError, TimeoutError) as error:
                log.warning(
                    "a standby lost its log, trying again", topic=self._topic, reason=repr(error)
                )
                await asyncio.sleep(_RETRY_SECONDS)
            except Exception:
                log.exception("a standby failed, trying again", topic=self._topic)
                await asyncio.sleep(_FAILED_SECONDS)

    async def _follow(self, numbers: set[int]) -> None:
        for number in numbers:
            await self._catch_up(number)
        partitions = {number: self._open(number) for number in numbers}
        async with open_reader(self._bootstrap_servers) as consumer:
            consumer.assign([TopicPartition(self._topic, number) for number in partitions])
            for number, partition in partitions.items():
                consumer.seek(TopicPartition(self._topic, number), partition.progress.next_offset)
            while True:
                for tp, records in (await consumer.getmany(timeout_ms=1_000)).items():
                    partition = partitions[tp.partition]
                    if records and records[0].offset < partition.progress.next_offset:
                        # The log ended before that, so the consumer has begun anew.
                        log.error("the log has lost its tail, rebuilding", table=str(tp))
                        partition.wipe()
                        return
                    partition.apply(records)
