"""Appending rows to a table's changelog: atomic record batches, checked for where they landed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple, Protocol, TypeAlias

from tables.rows import Position, position_header

BATCH_BYTES = 900_000
"""Where a record batch is split, between two commands; the topics take more."""

MOST_BYTES = 5 << 19
"""What may be stored all or none, by `sizes_of`: with Kafka's own bytes it is less than the largest record batch."""

RECORD_OVERHEAD = 40
"""Bytes that Kafka adds to a record, roughly."""

Headers: TypeAlias = list[tuple[str, bytes]]

NO_HEADERS: Headers = []


class Entry(NamedTuple):
    """A row on its way into the log. `value` None removes the key."""

    key: bytes
    value: bytes | None
    at: Position


class Entries:
    """Rows on their way into the log, in columns, since most of them are handled as such.

    values: None removes the key. ends: after how many rows one may cut; what is between two is stored all or none.
    """

    __slots__ = ("ends", "keys", "positions", "values")

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.values: list[bytes | None] = []
        self.positions: list[Position] = []
        self.ends: list[int] = []

    def add(
        self,
        keys: Sequence[bytes],
        values: Sequence[bytes | None],
        positions: Sequence[Position],
    ) -> None:
        """Add rows that are to be stored all or none."""
        self.keys += keys
        self.values += values
        self.positions += positions
        self.ends.append(len(self.keys))

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[Entry]:
        return map(Entry, self.keys, self.values, self.positions)


class Displaced(Exception):
    """Rows landed at another offset than the next one: somebody else's lie between. Read the log, decide again."""


class CutOff(Displaced):
    """Rows landed before the next offset, at `landed`: the log has lost its tail, the table has rows that it lacks."""

    def __init__(self, message: str, landed: int) -> None:
        super().__init__(message)
        self.landed = landed


class BatchProducer(Protocol):
    """What the journal needs of a Kafka producer: whole record batches."""

    def create_batch(self) -> Any: ...

    async def send_batch(self, batch: Any, topic: str, partition: int) -> int:
        """Store a batch; returns the offset of its first record, once all in-sync replicas have it."""


def sizes_of(keys: Sequence[bytes], values: Sequence[bytes | None]) -> list[int]:
    """Bytes of each record, with what Kafka adds."""
    pairs = zip(keys, values, strict=True)
    return [RECORD_OVERHEAD + len(key) + len(value or b"") for key, value in pairs]


def pieces(sizes: Sequence[int], ends: Sequence[int]) -> Iterator[slice]:
    """Pieces of records that fit into a batch, cut only at `ends`; what is larger between two is one of its own."""
    start = last = 0
    if sum(sizes) > BATCH_BYTES:
        filled = list(accumulate(sizes, initial=0))
        for end in ends:
            if last > start and filled[end] - filled[start] > BATCH_BYTES:
                yield slice(start, last)
                start = last
            last = end
    if start < len(sizes):
        yield slice(start, len(sizes))


def _headers(values: Sequence[bytes | None], positions: Sequence[Position]) -> list[Headers]:
    """What a removal carries, since it has no value that says its position."""
    pairs = zip(values, positions, strict=True)
    return [NO_HEADERS if value is not None else [position_header(at)] for value, at in pairs]


async def append(
    producer: BatchProducer,
    topic: str,
    partition: int,
    next_offset: int,
    entries: Entries,
    timestamp: int,
) -> int:
    """Append rows to a log whose next offset should be `next_offset`.

    What is stored all or none shares a record batch, as the broker stores those. Returns
    the log's next offset. `Displaced` if the rows landed elsewhere, `CutOff` if before. timestamp: ms since 1970.
    """
    for piece in pieces(sizes_of(entries.keys, entries.values), entries.ends):
        keys, values = entries.keys[piece], entries.values[piece]
        batch = producer.create_batch()
        batch.extend(timestamp, keys, values, _headers(values, entries.positions[piece]))
        landed = await producer.send_batch(batch, topic, partition)
        if landed != next_offset:
            message = f"{topic}/{partition}: expected offset {next_offset}, landed at {landed}"
            raise CutOff(message, landed) if landed < next_offset else Displaced(message)
        next_offset += len(keys)
    return next_offset
