"""What happened: counts that add up over seconds and processes."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from load.histogram import Histogram

K = TypeVar("K")


class Tally(msgspec.Struct):
    """All that is counted; times are from when a message was due.

    failed: sends that were given up, by code. refused: refusals by code, each attempt counted.
    disconnected: by close code, 1006 if the connection broke. back: resumes by tenths of a second
    of the machine's monotonic clock. stored: messages in the groups. unstored: receipts of which
    another message has the seq, or none. twice: of these, under an id
    that another one has. lost, doubled, disordered: messages as they came to a listener.
    dropped, pulled: by the clients, what came again and what they had to fetch.
    """

    sent: int = 0
    acknowledged: int = 0
    delivered: int = 0
    receipts: Histogram = msgspec.field(default_factory=Histogram)
    deliveries: Histogram = msgspec.field(default_factory=Histogram)
    failed: dict[str, int] = {}
    refused: dict[str, int] = {}
    disconnected: dict[str, int] = {}
    back: dict[int, int] = {}
    reconnects: int = 0
    recovered: int = 0
    unrecovered: int = 0
    reset: int = 0
    stored: int = 0
    unstored: int = 0
    twice: int = 0
    lost: int = 0
    doubled: int = 0
    disordered: int = 0
    dropped: int = 0
    pulled: int = 0

    def merge(self, other: Tally) -> None:
        """Add another part."""
        for name in self.__struct_fields__:
            ours, theirs = getattr(self, name), getattr(other, name)
            if isinstance(ours, int):
                setattr(self, name, ours + theirs)
            elif isinstance(ours, dict):
                add(ours, theirs)
            else:
                ours.merge(theirs)

    @property
    def faults(self) -> dict[str, int]:
        """What must be 0: a promise that was broken.

        A message without a receipt may be stored or not, so there may be more stored than acknowledged.
        """
        return {
            "acknowledged, not stored": max(self.unstored, self.acknowledged - self.stored),
            "stored twice": self.twice,
            "lost": self.lost,
            "doubled": self.doubled,
            "out of order": self.disordered,
        }


def add(counts: dict[K, int], more: dict[K, int]) -> None:
    """Add counts by key."""
    for key, count in more.items():
        counts[key] = counts.get(key, 0) + count


def count(counts: dict[K, int], key: K) -> None:
    """Count one."""
    counts[key] = counts.get(key, 0) + 1
