"""Appending rows to a table's changelog: atomic record batches, checked for where they landed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from msgspec import Struct

from tables.rows import Position, position_header

BATCH_BYTES = 900_000
"""Where a record batch is split, between two commands; the topics take more."""

_RECORD_OVERHEAD = 40
_NO_HEADERS: list[tuple[str, bytes]] = []


class Entry(Struct, frozen=True, gc=False):
    """A row on its way into the log. `value` None removes the key."""

    key: bytes
    value: bytes | None
    at: Position


class Displaced(Exception):
    """Rows landed at another offset than the next one: somebody else's lie between. Read the log, decide again."""


class BatchProducer(Protocol):
    """What the journal needs of a Kafka producer: whole record batches."""

    def create_batch(self) -> Any: ...

    async def send_batch(self, batch: Any, topic: str, partition: int) -> int:
        """Store a batch; returns the offset of its first record, once all in-sync replicas have it."""


def _split(commands: Iterable[Sequence[Entry]]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    size = 0
    for entries in commands:
        added = 0
        for entry in entries:
            added += len(entry.key) + len(entry.value or b"") + _RECORD_OVERHEAD
        if batch and size + added > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch += entries
        size += added
    if batch:
        yield batch


async def append(
    producer: BatchProducer,
    topic: str,
    partition: int,
    next_offset: int,
    commands: Iterable[Sequence[Entry]],
    timestamp: int,
) -> int:
    """Append each command's rows to a log whose next offset should be `next_offset`.

    The rows of one command share a record batch, which the broker stores all or none. Returns
    the log's next offset. `Displaced` if the rows landed elsewhere. timestamp: ms since 1970.
    """
    for entries in _split(commands):
        batch = producer.create_batch()
        for entry in entries:
            headers = _NO_HEADERS if entry.value is not None else [position_header(entry.at)]
            batch.append(timestamp=timestamp, key=entry.key, value=entry.value, headers=headers)
        landed = await producer.send_batch(batch, topic, partition)
        if landed != next_offset:
            raise Displaced(
                f"{topic}/{partition}: expected offset {next_offset}, landed at {landed}"
            )
        next_offset += len(entries)
    return next_offset
