"""Commands on their way to Kafka."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaTimeoutError

from gateway.settings import Settings
from tables.dispatch import BatchBuilder, Dispatch
from tables.journal import NO_HEADERS

_BATCH_BYTES = 128 << 10
"""Bytes of commands in a batch; a larger one is alone."""


class _Command(NamedTuple):
    key: bytes
    value: bytes
    deadline: float
    stored: asyncio.Future[int]


class Producer:
    """Stores commands, those of a partition in the order in which they come.

    One that comes alone is sent at once; what comes while others of its partition are on their way follows
    them as one batch. What Kafka doesn't take is tried again, so a command may be stored twice.
    """

    def __init__(self, settings: Settings) -> None:
        self._seconds = settings.request_seconds
        self._client = AIOKafkaClient(
            bootstrap_servers=settings.pipeline.bootstrap_servers,
            client_id=f"{settings.pipeline.app_id}-gateway",
            request_timeout_ms=int(1_000 * self._seconds),
            retry_backoff_ms=50,
        )
        self._dispatch = Dispatch(self._client, self._seconds)
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[TopicPartition, deque[_Command]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Reach Kafka; raises `KafkaError`, and may be called again then."""
        await self._client.bootstrap()

    async def stop(self) -> None:
        """Let what is on its way arrive; when cancelled, give it up, and leave its futures as they are."""
        tasks = list(self._tasks)
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            await self._client.close()

    def send(self, topic: str, value: bytes, key: bytes, partition: int) -> asyncio.Future[int]:
        """Give a command its place in the order of its partition.

        The future holds the offset at which it is stored. It fails, mostly with a `KafkaError`, if it is not, which
        it may be all the same where Kafka has not answered.
        """
        place = TopicPartition(topic, partition)
        waiting = self._waiting.get(place)
        if waiting is None:
            waiting = self._waiting[place] = deque()
            task = self._loop.create_task(self._send_all(place, waiting))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        stored: asyncio.Future[int] = self._loop.create_future()
        waiting.append(_Command(key, value, self._loop.time() + self._seconds, stored))
        return stored

    async def _send_all(self, place: TopicPartition, waiting: deque[_Command]) -> None:
        try:
            while waiting:
                if commands := self._take(waiting):
                    await self._send(place, commands)
        finally:
            del self._waiting[place]

    def _take(self, waiting: deque[_Command]) -> list[_Command]:
        """As many commands as make a batch; those that have waited too long fail."""
        commands: list[_Command] = []
        room, now = _BATCH_BYTES, self._loop.time()
        while waiting:
            room -= len(waiting[0].value)
            if room < 0 and commands:
                break
            command = waiting.popleft()
            if command.deadline < now:
                command.stored.set_exception(KafkaTimeoutError())
            else:
                commands.append(command)
        return commands

    async def _send(self, place: TopicPartition, commands: Sequence[_Command]) -> None:
        keys, values, _, all_stored = zip(*commands, strict=True)
        batch = BatchBuilder()
        batch.extend(time.time_ns() // 1_000_000, keys, values, [NO_HEADERS] * len(keys))
        try:
            offset = await self._dispatch.send(batch, *place)
        except Exception as error:  # noqa: BLE001  raised by each that waits
            for stored in all_stored:
                stored.set_exception(error)
        else:
            for number, stored in enumerate(all_stored):
                stored.set_result(offset + number)
