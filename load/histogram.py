"""Times in buckets that grow with them, as in HdrHistogram: exact to 1.6 %, and sums of parts are exact."""

from __future__ import annotations

import msgspec

HALF = 64
"""Buckets for each doubling."""

FIRST_BITS = 7
"""Values below 2 to the power of this have a bucket each."""


class Histogram(msgspec.Struct):
    """Counts of whole microseconds, by bucket."""

    counts: dict[int, int] = {}

    def add(self, micros: int) -> None:
        """Count one; what is below 0 counts as 0."""
        number = bucket(max(0, micros))
        self.counts[number] = self.counts.get(number, 0) + 1

    def merge(self, other: Histogram) -> None:
        """Add the counts of another part."""
        for number, count in other.counts.items():
            self.counts[number] = self.counts.get(number, 0) + count

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def percentile(self, percent: float) -> float | None:
        """Milliseconds that so many percent don't exceed; None if nothing was counted."""
        left = self.total * percent / 100
        for number in sorted(self.counts):
            left -= self.counts[number]
            if left <= 1e-9:
                return upper(number) / 1_000
        return None


def bucket(micros: int) -> int:
    """The number of the bucket of a value."""
    shift = max(0, micros.bit_length() - FIRST_BITS)
    return shift * HALF + (micros >> shift)


def upper(number: int) -> int:
    """The largest value of a bucket."""
    shift = max(0, number // HALF - 1)
    return ((number - shift * HALF + 1) << shift) - 1
