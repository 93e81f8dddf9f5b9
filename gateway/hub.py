"""The channels of this process, and the turn that writes what is new to whoever lacks it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple, Self

from gateway.boxes import Box
from gateway.channel import Channel
from gateway.errors import CloseCode
from gateway.interest import EVERYTHING, Interest
from gateway.metrics import Metrics
from gateway.outlet import Outlet
from gateway.ring import Budget, Ring
from gateway.settings import Settings
from gateway.watch import Mode, Watch

TURN_SECONDS = 0.002
"""Longest stretch of writing before sockets and the log get their turn again."""

LARGE = 64
"""Live watches from which on a channel is swept. Also how many a sweep serves before others have their turn."""

LOOK_AGAIN_SECONDS = 0.05
"""How often a socket that was full is looked at."""


class Sweep(NamedTuple):
    """A way through the live watches of a channel, and where its ring ended at the start."""

    watches: Iterator[Watch]
    end: int

    @classmethod
    def begin(cls, channel: Channel) -> Self:
        return cls(iter(list(channel.live)), channel.ring.end)


class Hub:
    """Fan-out without queues: each watch is a cursor, and each turn brings cursors to the end.

    A turn runs after new events (`call_soon`), gives every waiting outlet whose socket takes more
    one write, and continues in the next turn of the loop when time is up.

    The many watches of a large channel are swept instead: those that lack nothing else are
    written to one after the other, and wait in no queue before others. Sweeps and the queue take turns.
    """

    def __init__(
        self, settings: Settings, metrics: Metrics, interest: Interest = EVERYTHING
    ) -> None:
        self._settings = settings
        self._interest = interest
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._budget = Budget(settings.rings_bytes)
        self._dirty: dict[Channel, None] = {}
        self._touched: dict[Channel, None] = {}
        self._queue: deque[Outlet] = deque()
        self._sweeps: dict[Channel, Sweep] = {}
        self._blocked: dict[Outlet, None] = {}
        self._scheduled = False
        self._frames = self._events = self._gaps = 0
        self.channels: dict[str, Channel] = {}

    @property
    def ring_bytes(self) -> int:
        """Bytes that all rings hold."""
        return self._budget.used

    def channel(self, mailbox: str) -> Channel:
        """The channel of a mailbox: from here on it collects what the log brings."""
        channel = self.channels.get(mailbox)
        if channel is None:
            ring = Ring(self._settings.ring_events, self._settings.ring_bytes, self._budget)
            channel = self.channels[mailbox] = Channel(mailbox, ring)
            self._interest.want(mailbox)
        return channel

    def release(self, channel: Channel) -> None:
        """Drop a channel that nobody needs any more."""
        if channel.is_unused and self.channels.get(channel.mailbox) is channel:
            del self.channels[channel.mailbox]
            self._interest.release(channel.mailbox)
            channel.ring.close()
            self._dirty.pop(channel, None)
            self._touched.pop(channel, None)
            self._sweeps.pop(channel, None)

    @contextmanager
    def held(self, channel: Channel) -> Iterator[None]:
        """Keep a channel's ring collecting for a reader who comes later."""
        channel.holds += 1
        try:
            yield
        finally:
            channel.holds -= 1
            self.release(channel)

    def attach(self, outlet: Outlet, box: Box, mode: Mode, place: int, seq: int) -> Watch:
        """Start a watch at a place and seq of its ring."""
        watch = Watch(outlet, box, mode, place, seq)
        channel = box.channel
        (channel.live if mode is Mode.LIVE else channel.notify)[watch] = None
        # Whoever is notified hears of what has come since the head that they were told.
        lacks = place < channel.ring.end if mode is Mode.LIVE else seq < channel.head
        if lacks:
            self._touched[channel] = None
            self._mark(watch)
            self._schedule()
        return watch

    def detach(self, watch: Watch) -> None:
        """End a watch; what it hadn't got yet is not written."""
        channel = watch.box.channel
        channel.live.pop(watch, None)
        channel.notify.pop(watch, None)
        watch.mode = Mode.OFF
        watch.outlet.drop(watch)
        self.release(channel)

    def changed(self, channel: Channel) -> None:
        """The ring has new events, or starts elsewhere."""
        self._dirty[channel] = None
        if channel.notify and not channel.notice_due:
            channel.notice_due = True
            wait = channel.noticed + self._settings.head_seconds - self._loop.time()
            self._loop.call_later(max(0.0, wait), self._notice, channel)
        self._schedule()

    def emit(self, outlet: Outlet, *events: bytes) -> None:
        """Write events to one session in the next turn."""
        if outlet.closed:
            return
        outlet.add(list(events))
        if outlet.size > self._settings.outbox_bytes:
            outlet.close(CloseCode.SLOW, "too many answers wait to be read")
            return
        self._enqueue(outlet)

    def emit_cursor(self, outlet: Outlet, box: Box) -> None:
        """Write where the user stands now in the next turn."""
        if not outlet.closed:
            outlet.cursors[box] = None
            self._enqueue(outlet)

    def rewind(self, watch: Watch) -> None:
        """Deliver again what wasn't acknowledged."""
        watch.rewind()
        self._touched[watch.box.channel] = None
        self._mark(watch)
        self._schedule()

    def write_now(self, outlet: Outlet) -> None:
        """Write all that waits for one outlet, for the last time before it closes."""
        transport, limit = outlet.transport, self._settings.write_bytes
        self._touch(outlet)
        while (
            outlet.is_waiting
            and not transport.is_closing()
            and transport.get_write_buffer_size() <= limit
        ):
            self._write(outlet)

    def remove(self, outlet: Outlet) -> None:
        """Forget an outlet that has closed."""
        outlet.clear()
        self._blocked.pop(outlet, None)

    def turn(self) -> None:
        """Mark whoever is behind, then write until all are served or time is up."""
        self._scheduled = False
        self._mark_dirty()
        deadline = self._loop.time() + TURN_SECONDS
        while self._queue or self._sweeps:
            for _ in range(min(len(self._queue), LARGE)):
                self._serve(self._queue.popleft())
            if self._sweeps:
                self._sweep(next(iter(self._sweeps)))
            if self._loop.time() > deadline:
                break
        if self._queue or self._sweeps:
            self._schedule()
        else:
            self._unshare()
        self._count()

    def _count(self) -> None:
        self._metrics.written(self._frames, self._events, self._gaps)
        self._frames = self._events = self._gaps = 0

    def _mark_dirty(self) -> None:
        dirty, self._dirty = self._dirty, {}
        for channel in dirty:
            self._touched[channel] = None
            if len(channel.live) < LARGE:
                for watch in channel.live:
                    self._mark(watch)
            elif channel not in self._sweeps:
                self._sweeps[channel] = Sweep.begin(channel)

    def _sweep(self, channel: Channel) -> None:
        """Serve the next watches of a large channel; it comes after the others then."""
        sweep = self._sweeps.pop(channel)
        watches = list(islice(sweep.watches, LARGE))
        self._write_shared(channel, watches)
        if len(watches) == LARGE:
            self._sweeps[channel] = sweep
        elif sweep.end < channel.ring.end:
            # Those who were served before the last events came lack them.
            self._sweeps[channel] = Sweep.begin(channel)

    def _write_shared(self, channel: Channel, watches: list[Watch]) -> None:
        """Write to each what it lacks of the channel; whoever lacks more, or is full, is queued."""
        ring, limit = channel.ring, self._settings.write_bytes
        first, end = ring.first, ring.end
        shared, form, live = -1, None, Mode.LIVE
        frames_written = events_written = 0
        for watch in watches:
            place, outlet = watch.place, watch.outlet
            if place >= end or outlet.closed or watch.mode is not live:
                continue
            transport = outlet.transport
            if outlet.queued or place < first or transport.get_write_buffer_size():
                self._mark(watch)
                continue
            if transport.is_closing():
                continue
            if place != shared or outlet.form is not form:
                # The same for nearly all of them.
                shared, form = place, outlet.form
                part = ring.since(place, limit)
                frames, head = part.frames(form), part.head
                number, events = len(frames), len(part.events)
                in_one = number == 1 and part.place == end
            if in_one:
                # As `put` and `advance` do: it lacks nothing then, and it wasn't behind, or it would be queued.
                transport.write(frames[0])
                watch.place, watch.seq = end, head
                if outlet.acks:
                    outlet.unacked[watch] = None
            else:
                outlet.put(frames, limit)
                outlet.advance(watch, part)
                if outlet.behind or outlet.unwritten:
                    self._enqueue(outlet)
            frames_written += number
            events_written += events
        self._frames += frames_written
        self._events += events_written

    def _mark(self, watch: Watch) -> None:
        outlet = watch.outlet
        if outlet.closed or watch.behind:
            return
        watch.behind = True
        outlet.behind.append(watch)
        if not outlet.queued:
            outlet.queued = True
            self._queue.append(outlet)

    def _enqueue(self, outlet: Outlet) -> None:
        if not outlet.queued:
            outlet.queued = True
            self._queue.append(outlet)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.turn)

    def _serve(self, outlet: Outlet) -> None:
        if outlet.closed or outlet.transport.is_closing():
            outlet.queued = False
            return
        size = outlet.transport.get_write_buffer_size()
        if size > self._settings.write_bytes:
            self._block(outlet, size)
            return
        self._write(outlet)
        outlet.queued = outlet.is_waiting
        if outlet.queued:
            self._queue.append(outlet)

    def _write(self, outlet: Outlet) -> None:
        limit = self._settings.write_bytes
        if outlet.unwritten:
            outlet.put(outlet.unwritten, limit)
            return
        written = outlet.take(limit)
        if written is not None:
            outlet.put(written.frames, limit)
            self._frames += len(written.frames)
            self._events += written.events
            self._gaps += written.gaps

    def _block(self, outlet: Outlet, size: int) -> None:
        # A blocked outlet stays `queued`, so that nothing but the timer below takes it up again.
        outlet.blocked_since = self._loop.time()
        outlet.blocked_size = size
        if not self._blocked:
            self._loop.call_later(LOOK_AGAIN_SECONDS, self._look_again)
        self._blocked[outlet] = None

    def _look_again(self) -> None:
        now = self._loop.time()
        for outlet in list(self._blocked):
            size = outlet.transport.get_write_buffer_size()
            if size <= self._settings.write_bytes:
                del self._blocked[outlet]
                self._touch(outlet)
                self._queue.append(outlet)
                self._schedule()
            elif size < outlet.blocked_size:
                outlet.blocked_since, outlet.blocked_size = now, size
            elif now - outlet.blocked_since > self._settings.slow_seconds:
                del self._blocked[outlet]
                seconds = self._settings.slow_seconds
                outlet.close(CloseCode.SLOW, f"nothing was read for {seconds:g} s")
        if self._blocked:
            self._loop.call_later(LOOK_AGAIN_SECONDS, self._look_again)

    def _notice(self, channel: Channel) -> None:
        channel.notice_due = False
        channel.noticed = self._loop.time()
        for watch in channel.notify:
            self._mark(watch)
        self._schedule()

    def _touch(self, outlet: Outlet) -> None:
        """Have frames dropped in the end that are made for one who is late: nobody else may read these rings now."""
        for watch in outlet.behind:
            self._touched[watch.box.channel] = None

    def _unshare(self) -> None:
        for channel in self._touched:
            channel.ring.unshare()
        self._touched.clear()
