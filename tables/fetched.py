"""Fetched records, handed on as aiokafka's parser makes them.

aiokafka copies each into a `ConsumerRecord`, which takes longer than parsing it. All that this adds
is the topic and the partition, by which fetched records are grouped anyway.
"""

from __future__ import annotations

from typing import Any, Protocol

from aiokafka.consumer import fetcher


class Record(Protocol):
    """What is read of a fetched record. `timestamp` is in ms since 1970."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> list[tuple[str, bytes]]: ...


class _Parsed(fetcher.PartitionRecords):  # type: ignore[misc]
    def _consumer_record(self, _: Any, record: Record) -> Record:
        return record


def hand_on_parsed_records() -> None:
    """Have every consumer of this process hand on records as they are parsed."""
    fetcher.PartitionRecords = _Parsed
