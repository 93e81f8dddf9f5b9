"""What agents send besides rows: effects, answers, dead letters."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
import orjson

from streams.batches import DeadLetter, Reply
from streams.decisions import Effect, error_reply
from streams.errors import Code, Refused
from streams.partitioning import partition_of
from streams.routes.forwarding import Delivery
from streams.schemas import MailboxCommand
from streams.topics import MAX_RECORD, Topics
from tables.journal import NO_HEADERS, RECORD_OVERHEAD, BatchProducer, Headers, pieces

_MAX_QUOTED = 64_000

_HEADER_OVERHEAD = 10

_MOST_BYTES = MAX_RECORD - (64 << 10)
"""Of one answer: it is a record batch of its own."""

_TOO_LARGE = error_reply(
    Refused(Code.TOO_LARGE, "the answer is larger than a record: ask for less")
)

_encode = msgspec.json.Encoder().encode


_Record: TypeAlias = tuple[bytes, bytes | None, Headers]
"""Key, value and headers."""


def _size(record: _Record) -> int:
    key, value, headers = record
    size = RECORD_OVERHEAD + len(key) + len(value or b"")
    for name, content in headers:
        size += len(name) + len(content) + _HEADER_OVERHEAD
    return size


class Sender:
    """Sends records in whole batches and waits until they are stored."""

    def __init__(self, producer: BatchProducer, topics: Topics, partitions: int) -> None:
        self._producer = producer
        self._topics = topics
        self._partitions = partitions

    async def effects(self, effects: Iterable[Effect]) -> None:
        """Store effects: commands to the other agent, or to the same one."""
        by_place: defaultdict[tuple[str, int], list[_Record]] = defaultdict(list)
        for effect in effects:
            key, command, place = effect.key, effect.command, effect.partition
            if place is None:
                place = partition_of(key, self._partitions)
            record = key.encode(), _encode(command), NO_HEADERS
            by_place[self._topic(command), place].append(record)
        await asyncio.gather(
            *(self._store(topic, place, records) for (topic, place), records in by_place.items())
        )

    async def deliveries(self, deliveries: Mapping[int, Sequence[Delivery]]) -> None:
        """Store rows for gateways, in each one's partition."""
        await asyncio.gather(
            *(
                self._store(self._topics.deliveries, partition, rows)
                for partition, rows in deliveries.items()
            )
        )

    def _topic(self, command: Any) -> str:
        to_mailbox = isinstance(command, MailboxCommand)
        return self._topics.mailbox_commands if to_mailbox else self._topics.user_commands

    async def replies(self, replies: Iterable[Reply]) -> None:
        """Store answers, each in the partition that was asked for."""
        by_partition: defaultdict[int, list[_Record]] = defaultdict(list)
        for to, payload in replies:
            if to.partition < self._partitions:
                value = orjson.dumps({"ref": to.ref, **payload})
                if len(value) > _MOST_BYTES:
                    value = orjson.dumps({"ref": to.ref, "error": _TOO_LARGE})
                by_partition[to.partition].append((to.to.encode(), value, NO_HEADERS))
        for partition, records in by_partition.items():
            await self._store(self._topics.replies, partition, records)

    async def dead_letters(self, topic: str, partition: int, letters: Iterable[DeadLetter]) -> None:
        """Store records that are no commands; the same record again has the same key."""
        records: list[_Record] = [
            (
                f"{topic}/{partition}/{letter.record.offset}".encode(),
                _quote(topic, partition, letter),
                NO_HEADERS,
            )
            for letter in letters
        ]
        await self._store(self._topics.dead_letters, partition, records)

    async def _store(self, topic: str, partition: int, records: Sequence[_Record]) -> None:
        now = time.time_ns() // 1_000_000
        keys, values, headers = zip(*records, strict=True)
        for piece in pieces(list(map(_size, records)), range(1, len(records) + 1)):
            batch = self._producer.create_batch()
            batch.extend(now, keys[piece], values[piece], headers[piece])
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
