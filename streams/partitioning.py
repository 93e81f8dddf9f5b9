"""Which partition a key belongs to: Kafka's default partitioner."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from murmurhash2 import murmurhash2

_SEED = 0x9747B28C
_KEYS = 100_000


@lru_cache(_KEYS)
def partition_of(key: str, partitions: int) -> int:
    """The partition of a key among `partitions`."""
    return (murmurhash2(key.encode(), _SEED) & 0x7FFFFFFF) % partitions


class Home(NamedTuple):
    """Where some keys belong: a partition, and how many its topic has."""

    number: int
    partitions: int

    def holds(self, key: str) -> bool:
        """Whether a key belongs here."""
        return partition_of(key, self.partitions) == self.number
