"""What the gateway counts, in a registry of its own."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


class Metrics:
    """Counters and gauges; their names are documented in docs/operations.md."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.frames_in = self._counter("frames_in", "Frames from clients.")
        self.frames_out = self._counter("frames_out", "Frames to clients.")
        self.events_out = self._counter("events_out", "Events to clients: answers and deliveries.")
        self.gaps = self._counter("gaps", "Gap events: readers whose place had left the ring.")
        self.resyncs = self._counter("resyncs", "Mailboxes whose facts were asked again.")
        self.rows = self._counter("rows", "Records read from the logs.")
        self.rows_taken = self._counter(
            "rows_taken", "Of these, rows of local mailboxes and users."
        )
        self.tail_errors = self._counter("tail_errors", "Errors of the consumer of the logs.")
        self.touches = self._counter("touches", "Publishes newly shown to a user.")
        self.repeats = self._counter(
            "repeats", "Publishes shown again: after a reconnect, or without an answer."
        )
        self.withdrawals = self._counter("withdrawals", "Users told that a publish is withdrawn.")
        self.forgotten = self._counter(
            "forgotten", "Standing publishes dropped for want of memory."
        )
        self.feed_queries = self._counter("feed_queries", "Questions to agents about feeds.")
        self.feed_pages = Counter(
            "readcast_gateway_feed_pages",
            "Pages of feeds, by where they came from: memory or agents.",
            ["source"],
            registry=self.registry,
        )
        self.errors = Counter(
            "readcast_gateway_errors", "Refused requests.", ["code"], registry=self.registry
        )
        self.turned_away = Counter(
            "readcast_gateway_turned_away",
            "Sockets that did not become sessions: too many of an address or in all, a page of a "
            "foreign origin, a bad token in the handshake, a gateway that starts or leaves.",
            ["reason"],
            registry=self.registry,
        )
        self.closes = Counter(
            "readcast_gateway_closes", "Sessions closed by us.", ["code"], registry=self.registry
        )
        self.resumes = Counter(
            "readcast_gateway_resumes", "Resumed mailboxes.", ["recovered"], registry=self.registry
        )

    def watch(self, name: str, what: str, read: Callable[[], float]) -> None:
        """A gauge that is read when it is asked for."""
        gauge = Gauge(f"readcast_gateway_{name}", what, registry=self.registry)
        gauge.set_function(read)

    def written(self, frames: int, events: int, gaps: int) -> None:
        """Count the writes of one turn."""
        self.frames_out.inc(frames)
        self.events_out.inc(events)
        self.gaps.inc(gaps)

    def exposition(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, what: str) -> Counter:
        return Counter(f"readcast_gateway_{name}", what, registry=self.registry)
