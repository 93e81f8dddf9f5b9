"""The last events of one mailbox, encoded once and shared by all who read them."""

from __future__ import annotations

from bisect import bisect_left

from gateway.forms import FRAGMENT_BYTES, Form, large


class Budget:
    """Bytes that all rings of the process may hold together."""

    __slots__ = ("_rings", "limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._rings: dict[Ring, None] = {}

    def grown(self, ring: Ring) -> None:
        """A ring has a new event. Where that is too much, those that stand still for longest give theirs up."""
        self.release(ring)
        while self.used > self.limit and self._rings:
            next(iter(self._rings)).shed()
        self._rings[ring] = None

    def release(self, ring: Ring) -> None:
        """A ring has nothing any more."""
        self._rings.pop(ring, None)


class Slice:
    """Events between two places: what a reader at the first one gets. Shared by all who are there.

    `place` and `head` are those after the last event.
    """

    __slots__ = ("_frames", "events", "head", "place")

    def __init__(self, events: list[bytes], place: int, head: int) -> None:
        self.events = events
        self.place = place
        self.head = head
        self._frames: dict[Form, tuple[bytes, ...]] = {}

    def frames(self, form: Form) -> tuple[bytes, ...]:
        """The events as ready frames, made for the first who asks in this form."""
        ready = self._frames.get(form)
        if ready is None:
            ready = self._frames[form] = self._make(form)
        return ready

    def _make(self, form: Form) -> tuple[bytes, ...]:
        if len(self.events) == 1 and len(self.events[0]) > FRAGMENT_BYTES:
            return large(form, self.events[0])
        return form.frames(self.events)


class Ring:
    """Events in log order, each at a *place*: 0, 1, 2 ... since the ring was made.

    Messages have a seq; an event without one (`recalled`) carries the head as it was. `base` is
    the head before the first event, `head` the head after the last. A reader keeps its place
    and the last seq it has; a place before `first` has fallen out of the ring.
    """

    __slots__ = (
        "_budget",
        "_bytes",
        "_events",
        "_heads",
        "_max_bytes",
        "_max_events",
        "_shared",
        "_whole",
        "base",
        "first",
        "head",
    )

    def __init__(self, max_events: int, max_bytes: int, budget: Budget, head: int = 0) -> None:
        self._events: list[bytes] = []
        self._heads: list[int] = []
        self._bytes = 0
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._budget = budget
        self._shared: dict[int, Slice] = {}
        self.first = 0
        self.base = self.head = head
        self._whole = _whole_from(head)

    def __len__(self) -> int:
        return len(self._events)

    @property
    def end(self) -> int:
        """The place of the next event."""
        return self.first + len(self._events)

    def reset(self, head: int) -> None:
        """Forget everything: whoever isn't beyond the end by now has missed something."""
        self.first = self.end + 1
        self._clear(head)

    def skip(self, head: int) -> None:
        """Move on to `head` without keeping anything; for a ring that nobody reads."""
        self.first = self.end
        self._clear(head)

    def append(self, event: bytes, head: int) -> None:
        """Add an event; `head` is the mailbox's head with it."""
        self._events.append(event)
        self._heads.append(head)
        self._bytes += len(event)
        self._budget.used += len(event)
        self.head = head
        self._shared.clear()
        self._budget.grown(self)
        if len(self._events) > self._max_events or self._is_heavy():
            self._evict()

    def replace(self, seq: int, event: bytes) -> None:
        """Change the event of message `seq`, where it is still here: who lacks it gets this one."""
        index = bisect_left(self._heads, seq)
        if seq > self.base and index < len(self._heads):
            grown = len(event) - len(self._events[index])
            self._events[index] = event
            self._bytes += grown
            self._budget.used += grown
            self._shared.clear()

    def covers(self, seq: int) -> bool:
        """Whether all that happened after message `seq` is here, recalls of older ones included."""
        return self._whole <= seq <= self.head

    def place_after(self, seq: int) -> int:
        """The place after message `seq`; only if the ring `covers` it."""
        if seq <= self.base:
            return self.first
        return self.first + bisect_left(self._heads, seq) + 1

    def since(self, place: int, max_bytes: int) -> Slice:
        """Events from a place that hasn't fallen out, up to about `max_bytes`, at least one."""
        shared = self._shared.get(place)
        if shared is None:
            shared = self._shared[place] = self._slice(place, max_bytes)
        return shared

    def rest(self, place: int) -> list[bytes]:
        """All events from a place that hasn't fallen out."""
        return self._events[place - self.first :]

    def unshare(self) -> None:
        """Drop the frames that were made: whoever needed them has them."""
        self._shared.clear()

    def shed(self) -> None:
        """Drop all events: who has them misses nothing."""
        self._drop(len(self._events))
        self._budget.release(self)

    def close(self) -> None:
        """Give the bytes back to the budget."""
        self._clear(self.head)

    def _slice(self, place: int, max_bytes: int) -> Slice:
        start = place - self.first
        stop = len(self._events)
        if self._bytes > max_bytes and start < stop:
            stop, size = start + 1, len(self._events[start])
            while stop < len(self._events) and size + len(self._events[stop]) <= max_bytes:
                size += len(self._events[stop])
                stop += 1
        head = self._heads[stop - 1] if stop else self.base
        return Slice(self._events[start:stop], self.first + stop, head)

    def _is_heavy(self) -> bool:
        return self._bytes > self._max_bytes or self._budget.used > self._budget.limit

    def _evict(self) -> None:
        while len(self._events) > 1 and (len(self._events) > self._max_events or self._is_heavy()):
            self._drop(1)

    def _drop(self, count: int) -> None:
        for index in range(count):
            self._forget(index)
        del self._events[:count], self._heads[:count]
        self._shared.clear()
        self.first += count

    def _forget(self, index: int) -> None:
        head = self._heads[index]
        # An event that doesn't raise the head is a recall: readers at that head need it too.
        self._whole = head if head > self.base else head + 1
        self.base = head
        self._bytes -= len(self._events[index])
        self._budget.used -= len(self._events[index])

    def _clear(self, head: int) -> None:
        self._budget.used -= self._bytes
        self._budget.release(self)
        self._bytes = 0
        self._events.clear()
        self._heads.clear()
        self._shared.clear()
        self.base = self.head = head
        self._whole = _whole_from(head)


def _whole_from(head: int) -> int:
    # A ring that starts at `head` knows nothing of earlier recalls, unless nothing was ever sent.
    return head + 1 if head else 0
