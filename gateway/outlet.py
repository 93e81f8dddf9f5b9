"""What waits to be written to one connection."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate, takewhile
from typing import NamedTuple, Protocol

from gateway import wire
from gateway.boxes import Box
from gateway.errors import CloseCode
from gateway.forms import Form
from gateway.ring import Slice
from gateway.watch import Mode, Watch


class Transport(Protocol):
    """The part of an asyncio transport that an outlet needs."""

    def write(self, data: bytes) -> None: ...
    def get_write_buffer_size(self) -> int: ...
    def is_closing(self) -> bool: ...
    def abort(self) -> None: ...


class Written(NamedTuple):
    """What is to be written next: ready frames, and how many events and gaps are in them."""

    frames: tuple[bytes, ...]
    events: int
    gaps: int


class Outlet:
    """Events of its own, and the watches that are behind their rings.

    Only answers are held here as bytes. Deliveries stay in the rings until they are written, and
    `cursor` and `head` events are made when they are written: ten that wait are one.

    unwritten: frames that one write had no room for. They are shared, and come before anything else.
    """

    __slots__ = (
        "acks",
        "behind",
        "blocked_since",
        "blocked_size",
        "close",
        "closed",
        "cursors",
        "events",
        "form",
        "queued",
        "size",
        "transport",
        "unacked",
        "unwritten",
    )

    def __init__(
        self, transport: Transport, form: Form, close: Callable[[CloseCode, str], None]
    ) -> None:
        self.transport = transport
        self.form = form
        self.close = close
        self.events: list[bytes] = []
        self.size = 0
        self.unwritten: tuple[bytes, ...] = ()
        self.cursors: dict[Box, None] = {}
        self.behind: list[Watch] = []
        self.unacked: dict[Watch, None] = {}
        self.queued = False
        self.acks = False
        self.closed = False
        self.blocked_since = 0.0
        self.blocked_size = 0

    @property
    def is_waiting(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.unwritten or self.events or self.cursors or self.behind)

    def add(self, events: list[bytes]) -> None:
        """Add events of this session alone."""
        self.events += events
        self.size += sum(map(len, events))

    def put(self, frames: tuple[bytes, ...], max_bytes: int) -> None:
        """Write as many of the frames as have `max_bytes`, at least one; the others stay `unwritten`."""
        size = 0
        for number, frame in enumerate(frames):
            size += len(frame)
            if number and size > max_bytes:
                self.unwritten = frames[number:]
                return
            self.transport.write(frame)
        self.unwritten = ()

    def take(self, max_bytes: int) -> Written | None:
        """What waits, in order, up to about `max_bytes` (at least one event, or what one ring has)."""
        if len(self.behind) == 1 and not self.events and not self.cursors:
            return self._take_shared(max_bytes)
        events, gaps = self._take_own(max_bytes), 0
        if not self.events:
            events += [cursor_event(box) for box in self.cursors]
            self.cursors.clear()
            gaps = self._take_behind(events, max_bytes)
        return Written(self.form.frames(events), len(events), gaps) if events else None

    def rest(self, watch: Watch) -> list[bytes]:
        """All that a live watch lacks, whatever its size: its last delivery."""
        events: list[bytes] = []
        ring = watch.box.channel.ring
        self._pass_gap(watch, events)
        events += ring.rest(watch.place)
        return events

    def drop(self, watch: Watch) -> None:
        """Forget a watch."""
        self.unacked.pop(watch, None)
        if watch.behind:
            watch.behind = False
            self.behind.remove(watch)

    def clear(self) -> None:
        """Forget everything; nothing is written any more."""
        self.closed = True
        self.events, self.size, self.unwritten = [], 0, ()
        self.cursors.clear()
        self.unacked.clear()
        for watch in self.behind:
            watch.behind = False
        self.behind.clear()

    def advance(self, watch: Watch, part: Slice) -> None:
        """A part of the ring is written: the watch stands behind it."""
        watch.place, watch.seq = part.place, part.head
        watch.behind = part.place < watch.box.channel.ring.end
        if self.acks:
            self.unacked[watch] = None
        if watch.behind:
            self.behind.append(watch)

    def _take_shared(self, max_bytes: int) -> Written | None:
        watch = self.behind[0]
        ring = watch.box.channel.ring
        if watch.mode is Mode.LIVE and ring.first <= watch.place < ring.end:
            part = ring.since(watch.place, max_bytes)
            self.behind.clear()
            self.advance(watch, part)
            return Written(part.frames(self.form), len(part.events), 0)
        events: list[bytes] = []
        self.behind.clear()
        gaps = self._collect(watch, events, max_bytes)
        return Written(self.form.frames(events), len(events), gaps) if events else None

    def _take_own(self, max_bytes: int) -> list[bytes]:
        """The first of the events of this session alone: all of them, or `max_bytes`."""
        events = self.events
        if self.size <= max_bytes:
            self.events, self.size = [], 0
            return events
        sizes = accumulate(map(len, events))
        number = max(1, sum(1 for _ in takewhile(lambda size: size <= max_bytes, sizes)))
        taken, self.events = events[:number], events[number:]
        self.size -= sum(map(len, taken))
        return taken

    def _take_behind(self, events: list[bytes], max_bytes: int) -> int:
        """Collect from rings until there is enough; returns the number of gaps."""
        gaps, size = 0, sum(map(len, events))
        behind, self.behind = self.behind, []
        for number, watch in enumerate(behind):
            if events and size >= max_bytes:
                self.behind[:0] = behind[number:]
                break
            first = len(events)
            gaps += self._collect(watch, events, max_bytes)
            size += sum(map(len, events[first:]))
        return gaps

    def _collect(self, watch: Watch, events: list[bytes], max_bytes: int) -> int:
        if watch.mode is Mode.NOTIFY:
            watch.behind = False
            if watch.seq != watch.box.channel.head:
                watch.seq = watch.box.channel.head
                events.append(head_event(watch.box))
            return 0
        gap = self._pass_gap(watch, events)
        part = watch.box.channel.ring.since(watch.place, max_bytes)
        events += part.events
        self.advance(watch, part)
        return int(gap)

    def _pass_gap(self, watch: Watch, events: list[bytes]) -> bool:
        """Where the watch's place has left the ring: say so, and go on at the ring's start."""
        ring = watch.box.channel.ring
        if watch.place >= ring.first:
            return False
        missed = watch.seq < ring.base
        events.append(gap_event(watch, ring.base) if missed else lost_event(watch, ring.base))
        watch.place, watch.seq = ring.first, ring.base
        return missed


def cursor_event(box: Box, ref: wire.Ref = None, read: int | None = None) -> bytes:
    """A `cursor` event: where the user stands, or stands at `read`."""
    at = box.read if read is None else read
    return wire.event("cursor", ref, mailbox=box.channel.mailbox, read=at, unread=box.unread(at))


def head_event(box: Box) -> bytes:
    """A `head` event of a mailbox that is watched by notification."""
    channel = box.channel
    return wire.event("head", mailbox=channel.mailbox, head=channel.head, unread=box.unread())


def gap_event(watch: Watch, base: int) -> bytes:
    """A `gap` event: the messages that a watch lacks, up to `base`."""
    first = watch.seq + 1
    return wire.event("gap", mailbox=watch.box.channel.mailbox, **{"from": first, "to": base})


def lost_event(watch: Watch, base: int) -> bytes:
    """A `resumed` event for a watch that lacks no message, but recalls, or whose mailbox went back to `base`."""
    channel = watch.box.channel
    return wire.resumed_event(channel.mailbox, channel.epoch, base, recovered=False)
