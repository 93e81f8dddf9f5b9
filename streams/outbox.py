"""What agents send besides rows: effects, answers, dead letters."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
import orjson
from msgspec.structs import astuple

from streams.batches import DeadLetter, Reply
from streams.decisions import Effect
from streams.partitioning import partition_of
from streams.routes.forwarding import Delivery
from streams.schemas import MailboxCommand
from streams.topics import Topics
from tables.journal import BATCH_BYTES, BatchProducer

_MAX_QUOTED = 64_000

_RECORD_OVERHEAD = 40
_HEADER_OVERHEAD = 10

_encode = msgspec.json.Encoder().encode


class _Record(NamedTuple):
    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]] = []  # noqa: RUF012

    @property
    def size(self) -> int:
        headers = sum(len(name) + len(value) + _HEADER_OVERHEAD for name, value in self.headers)
        return len(self.key) + len(self.value or b"") + headers + _RECORD_OVERHEAD


class Outbox:
    """Sends records in whole batches and waits until they are stored."""

    def __init__(self, producer: BatchProducer, topics: Topics, partitions: int) -> None:
        self._producer = producer
        self._topics = topics
        self._partitions = partitions

    async def effects(self, effects: Iterable[Effect]) -> None:
        """Store effects: commands to the other agent, or to the same one."""
        by_place = defaultdict(list)
        for key, command, partition in map(astuple, effects):
            place = partition_of(key, self._partitions) if partition is None else partition
            by_place[self._topic(command), place].append(_Record(key.encode(), _encode(command)))
        await asyncio.gather(
            *(self._store(topic, place, records) for (topic, place), records in by_place.items())
        )

    async def deliveries(self, deliveries: Mapping[int, Iterable[Delivery]]) -> None:
        """Store rows for gateways, in each one's partition."""
        await asyncio.gather(
            *(
                self._store(self._topics.deliveries, partition, [_Record(*row) for row in rows])
                for partition, rows in deliveries.items()
            )
        )

    def _topic(self, command: Any) -> str:
        to_mailbox = isinstance(command, MailboxCommand)
        return self._topics.mailbox_commands if to_mailbox else self._topics.user_commands

    async def replies(self, replies: Iterable[Reply]) -> None:
        """Store answers, each in the partition that was asked for."""
        by_partition = defaultdict(list)
        for to, payload in replies:
            if to.partition < self._partitions:
                value = orjson.dumps({"ref": to.ref, **payload})
                by_partition[to.partition].append(_Record(to.to.encode(), value))
        for partition, records in by_partition.items():
            await self._store(self._topics.replies, partition, records)

    async def dead_letters(self, topic: str, partition: int, letters: Iterable[DeadLetter]) -> None:
        """Store records that are no commands; the same record again has the same key."""
        records = [
            _Record(
                f"{topic}/{partition}/{letter.record.offset}".encode(),
                _quote(topic, partition, letter),
            )
            for letter in letters
        ]
        await self._store(self._topics.dead_letters, partition, records)

    async def _store(self, topic: str, partition: int, records: Iterable[_Record]) -> None:
        batch, size = self._producer.create_batch(), 0
        for record in records:
            if size and size + record.size > BATCH_BYTES:
                await self._producer.send_batch(batch, topic, partition)
                batch, size = self._producer.create_batch(), 0
            key, value, headers = record
            batch.append(timestamp=None, key=key, value=value, headers=headers)
            size += record.size
        if size:
            await self._producer.send_batch(batch, topic, partition)


def _quote(topic: str, partition: int, letter: DeadLetter) -> bytes:
    record, error = letter
    return orjson.dumps(
        {
            "topic": topic,
            "partition": partition,
            "offset": record.offset,
            "ts": record.timestamp,
            "code": error.code,
            "message": error.message,
            "key": _text(record.key),
            "value": _text(record.value),
        }
    )


def _text(value: bytes | None) -> str | None:
    return None if value is None else value[:_MAX_QUOTED].decode(errors="replace")
