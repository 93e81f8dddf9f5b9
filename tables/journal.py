"""Appending rows to a table's changelog: atomic record batches, checked for where they landed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from msgspec import Struct

from tables.rows import Position, position_header

BATCH_BYTES = 900_000
"""Where a record batch is split, between two commands; the topics take more."""

_RECORD_OVERHEAD = 40
_NO_HEADERS: list[tuple[str, bytes]] = []


class Entry(NamedTuple):
    """A row on its way into the log. `value` None removes the key."""

    key: bytes
    value: bytes | None
    at: Position


class Entries(Struct, frozen=True, gc=False):
    """Rows on their way into the log that are stored all or none, in columns: most of them are handled as such."""

    keys: Sequence[bytes]
    values: Sequence[bytes | None]
    places: Sequence[Position]

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[Entry]:
        return map(Entry, self.keys, self.values, self.places)

    @property
    def headers(self) -> list[list[tuple[str, bytes]]]:
        """What a removal carries, since it has no value that says its place."""
        pairs = zip(self.values, self.places, strict=True)
        return [_NO_HEADERS if value is not None else [position_header(at)] for value, at in pairs]

    @property
    def size(self) -> int:
        """Bytes that they take in a record batch, at most."""
        bytes_of_values = sum(map(len, filter(None, self.values)))
        return sum(map(len, self.keys)) + bytes_of_values + _RECORD_OVERHEAD * len(self)


class Displaced(Exception):
    """Rows landed at another offset than the next one: somebody else's lie between. Read the log, decide again."""


class BatchProducer(Protocol):
    """What the journal needs of a Kafka producer: whole record batches."""

    def create_batch(self) -> Any: ...

    async def send_batch(self, batch: Any, topic: str, partition: int) -> int:
        """Store a batch; returns the offset of its first record, once all in-sync replicas have it."""


def _split(all_entries: Iterable[Entries]) -> Iterator[list[Entries]]:
    batch: list[Entries] = []
    size = 0
    for entries in all_entries:
        added = entries.size
        if batch and size + added > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(entries)
        size += added
    if batch:
        yield batch


async def append(
    producer: BatchProducer,
    topic: str,
    partition: int,
    next_offset: int,
    all_entries: Iterable[Entries],
    timestamp: int,
) -> int:
    """Append rows to a log whose next offset should be `next_offset`.

    Each `Entries` is in one record batch, which the broker stores all or none. Returns
    the log's next offset. `Displaced` if the rows landed elsewhere. timestamp: ms since 1970.
    """
    for some in _split(all_entries):
        batch = producer.create_batch()
        for entries in some:
            batch.extend(timestamp, entries.keys, entries.values, entries.headers)
        landed = await producer.send_batch(batch, topic, partition)
        if landed != next_offset:
            raise Displaced(
                f"{topic}/{partition}: expected offset {next_offset}, landed at {landed}"
            )
        next_offset += sum(map(len, some))
    return next_offset
