"""What agents send besides rows: effects, answers, dead letters."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec
import orjson
from msgspec.structs import astuple

from streams.batches import DeadLetter, Reply
from streams.decisions import Effect
from streams.partitioning import partition_of
from streams.schemas import MailboxCommand
from streams.topics import Topics
from tables.journal import BATCH_BYTES, BatchProducer

_MAX_QUOTED = 64_000

_encode = msgspec.json.Encoder().encode


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
            by_place[self._topic(command), place].append((key.encode(), _encode(command)))
        await asyncio.gather(
            *(self._store(topic, place, records) for (topic, place), records in by_place.items())
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
                by_partition[to.partition].append((to.to.encode(), value))
        for partition, records in by_partition.items():
            await self._store(self._topics.replies, partition, records)

    async def dead_letters(self, topic: str, partition: int, letters: Iterable[DeadLetter]) -> None:
        """Store records that are no commands; the same record again has the same key."""
        records = [
            (
                f"{topic}/{partition}/{letter.record.offset}".encode(),
                _quote(topic, partition, letter),
            )
            for letter in letters
        ]
        await self._store(self._topics.dead_letters, partition, records)

    async def _store(self, topic: str, partition: int, records: list[tuple[bytes, bytes]]) -> None:
        batch, size = self._producer.create_batch(), 0
        for key, value in records:
            added = len(key) + len(value) + 40
            if size and size + added > BATCH_BYTES:
                await self._producer.send_batch(batch, topic, partition)
                batch, size = self._producer.create_batch(), 0
            batch.append(timestamp=None, key=key, value=value)
            size += added
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
