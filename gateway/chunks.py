"""Frames of clients that come in chunks, put together within limits of memory and time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway import wire
from gateway.settings import Settings
from streams.errors import Code, Refused

Refuse = Callable[[Refused, wire.Ref], None]


class Room:
    """Bytes of the unfinished frames of all sessions."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def take(self, size: int) -> bool:
        """Take so many bytes, if they are free."""
        if self.used + size > self.limit:
            return False
        self.used += size
        return True

    def give(self, size: int) -> None:
        """Give bytes back."""
        self.used -= size


class Unfinished:
    """A frame of which chunks are missing."""

    __slots__ = ("first", "pieces", "size", "timer")

    def __init__(self, first: wire.Chunk, timer: asyncio.TimerHandle) -> None:
        self.first = first
        self.pieces: list[bytes] = []
        self.size = 0
        self.timer = timer


class Assembly:
    """What one session sends in chunks: one frame at a time, its chunks in order.

    A frame of which a chunk is refused is given up, and what follows of it is passed over; so is one
    that is not complete when another begins.
    """

    __slots__ = ("_passed", "_refuse", "_room", "_settings", "_unfinished")

    def __init__(self, room: Room, settings: Settings, refuse: Refuse) -> None:
        self._room = room
        self._settings = settings
        self._refuse = refuse
        self._unfinished: Unfinished | None = None
        self._passed: int | None = None

    def take(self, chunk: wire.Chunk, piece: bytes) -> bytes | None:
        """Take the bytes of a chunk; returns the frame with its last one. Raises `Refused`."""
        if chunk.id == self._passed and chunk.part > 1:
            return None
        frame = self._go_on(chunk) or self._begin(chunk)
        self._keep(frame, chunk, piece)
        if chunk.part < chunk.of:
            return None
        self.drop()
        return b"".join(frame.pieces)

    def give_up(self, chunk: wire.Chunk) -> None:
        """A chunk is lost, and its frame with it."""
        if self._has(chunk.id):
            self.drop()
        self._passed = chunk.id

    def drop(self) -> None:
        """Forget the unfinished frame, and give its bytes back."""
        frame, self._unfinished = self._unfinished, None
        if frame is not None:
            frame.timer.cancel()
            self._room.give(frame.size)

    def _has(self, stream: int) -> bool:
        """Whether the unfinished frame is that of these chunks."""
        return self._unfinished is not None and self._unfinished.first.id == stream

    def _go_on(self, chunk: wire.Chunk) -> Unfinished | None:
        """The frame of which the chunk is the next; None if it is the first of one."""
        frame = self._unfinished if self._has(chunk.id) else None
        place = (len(frame.pieces) + 1, frame.first.of) if frame else (1, chunk.of)
        if (chunk.part, chunk.of) != place:
            message = "chunk {} of {} was to come: begin again with the first".format(*place)
            raise self._lost(chunk, Code.BAD_REQUEST, message)
        if frame is None and self._unfinished is not None:
            message = "another frame in chunks began before this one was complete"
            self._abandon(self._unfinished, Refused(Code.CONFLICT, message))
        return frame

    def _begin(self, chunk: wire.Chunk) -> Unfinished:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._settings.assembly_seconds, self._expire)
        self._unfinished = Unfinished(chunk, timer)
        if self._passed == chunk.id:
            self._passed = None
        return self._unfinished

    def _keep(self, frame: Unfinished, chunk: wire.Chunk, piece: bytes) -> None:
        limit = self._settings.assembly_bytes
        if frame.size + len(piece) > limit:
            raise self._lost(chunk, Code.TOO_LARGE, f"a frame in chunks has at most {limit} bytes")
        if not self._room.take(len(piece)):
            message = "too many unfinished frames; try again"
            raise self._lost(chunk, Code.UNAVAILABLE, message, retry_after=1.0)
        frame.pieces.append(piece)
        frame.size += len(piece)

    def _lost(
        self, chunk: wire.Chunk, code: Code, message: str, retry_after: float | None = None
    ) -> Refused:
        self.give_up(chunk)
        return Refused(code, message, retry_after)

    def _expire(self) -> None:
        frame = self._unfinished
        if frame is not None:
            message = f"not complete within {self._settings.assembly_seconds:g} s; try again"
            self._abandon(frame, Refused(Code.UNAVAILABLE, message))

    def _abandon(self, frame: Unfinished, error: Refused) -> None:
        self.give_up(frame.first)
        self._refuse(error, frame.first.ref)
