"""Metrics of a worker, in Prometheus' terms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from streams.batches import Batch

REGISTRY = CollectorRegistry()

_LANE = ("topic", "partition")

COMMANDS = Counter(
    "readcast_commands",
    "Commands by outcome: done, an error code, dead_letter.",
    ("topic", "outcome"),
    registry=REGISTRY,
)
ROWS = Counter("readcast_rows", "Rows written to the log.", ("topic",), registry=REGISTRY)
BATCH = Histogram(
    "readcast_batch_records",
    "Records decided together.",
    ("topic",),
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000),
    registry=REGISTRY,
)
DONE = Gauge("readcast_lane_done_offset", "Next offset to decide.", _LANE, registry=REGISTRY)


class LaneMetrics:
    """What one lane reports."""

    def __init__(self, topic: str, partition: int) -> None:
        self._labels = (topic, str(partition))
        self._topic = topic
        self._done = DONE.labels(*self._labels)
        self._batch = BATCH.labels(topic)
        self._rows = ROWS.labels(topic)

    def stands_at(self, offset: int) -> None:
        """Where the lane begins."""
        self._done.set(offset)

    def observe(self, records: Sequence[Any], batch: Batch) -> None:
        """Count a batch that is kept."""
        if records:
            self._done.set(records[-1].offset + 1)
            self._batch.observe(len(records))
        self._rows.inc(len(batch.entries))
        for outcome, count in batch.outcomes.items():
            COMMANDS.labels(self._topic, outcome).inc(count)

    def remove(self) -> None:
        """The lane has ended here."""
        DONE.remove(*self._labels)
