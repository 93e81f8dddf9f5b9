"""One connection of a client: requests with their answers, within the gateway's limits."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, Self

import orjson

from readcast.chunks import Unfinished, cut
from readcast.errors import Refused, Unanswered
from readcast.inflow import Event
from readcast.websocket import Ending, Take, WebSocket

Dial = Callable[[str, Take], Awaitable[WebSocket]]

ANSWER_SECONDS = 15.0
"""How long an answer may take: longer than the gateway's own limit of 10 s."""

SILENT_HEARTBEATS = 2.5
"""After so many of the gateway's heartbeats without a byte the connection counts as broken."""

UPLOAD_BYTES = 16_000
"""Bytes per second of the slowest upload that is waited for; the gateway waits as long for a frame."""

GOODBYE_SECONDS = 1.0
"""How long a close may take to be written."""


class Lost(Exception):
    """The connection ended before an answer came."""


class TakeEvent(Protocol):
    """Is given each event, and whether it answers a request."""

    def __call__(self, event: Event, *, answers: bool) -> None: ...


class Pace:
    """Spreads frames so that the gateway's frame rate is kept: times in seconds of a steady clock."""

    def __init__(self, per_second: float, at_once: float) -> None:
        self._interval = 1 / per_second
        self._burst = at_once / per_second
        self._full_at = 0.0

    def reserve(self, now: float) -> float:
        """Take the next place; returns the seconds until it."""
        self._full_at = max(self._full_at, now) + self._interval
        return max(0.0, self._full_at - now - self._burst)


class Connection:
    """From the handshake to the end; `ended` says how it ended."""

    def __init__(self, take: TakeEvent) -> None:
        self._loop = asyncio.get_running_loop()
        self._take = take
        self._socket: WebSocket
        self._refs = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Event]] = {}
        self._promises: set[asyncio.Future[Any]] = set()
        self._pace = Pace(per_second=50, at_once=50)
        self._limits: dict[str, float] = {}
        self._unfinished = Unfinished()
        self._large = asyncio.Lock()
        self._watchdog: asyncio.TimerHandle | None = None
        self.ended: asyncio.Future[Ending]

    @classmethod
    async def open(cls, dial: Dial, url: str, take: TakeEvent) -> Self:
        """Dial; raises what `readcast.websocket.dial` raises."""
        connection = cls(take)
        socket = await dial(url, connection._receive)
        connection._socket, connection.ended = socket, socket.ended
        socket.ended.add_done_callback(connection._lose)
        return connection

    async def ask(self, op: str, fields: Mapping[str, Any]) -> Event:
        """Send a request and wait for its answer; raises Refused, Unanswered or Lost."""
        ref = next(self._refs)
        frame = orjson.dumps({"op": op, "ref": ref, **fields})
        self._check_size(frame)
        answer = self._answers[ref] = self.promise()
        try:
            await self._send(frame, ref, answer)
            async with asyncio.timeout(ANSWER_SECONDS + len(frame) / UPLOAD_BYTES):
                event: Event = await answer
        except TimeoutError:
            raise Unanswered(op) from None
        finally:
            self._answers.pop(ref, None)
        if event["op"] == "error":
            raise Refused(event)
        return event

    def promise(self) -> asyncio.Future[Any]:
        """A future that raises Lost if the connection ends before it is done."""
        promise: asyncio.Future[Any] = self._loop.create_future()
        if self.ended.done():
            promise.set_exception(Lost())
        self._promises.add(promise)
        promise.add_done_callback(self._promises.discard)
        return promise

    def welcomed(self, welcome: Event) -> None:
        """Keep to the gateway's limits, with room for pongs, and expect its heartbeat."""
        limits = self._limits = welcome["limits"]
        self._pace = Pace(0.9 * limits["frames_per_second"], 0.75 * limits["frames_at_once"])
        self._expect_heartbeat(SILENT_HEARTBEATS * welcome["heartbeat_ms"] / 1_000)

    async def close(self) -> None:
        """Say goodbye; what does not go out in GOODBYE_SECONDS is dropped."""
        self._socket.close()
        await asyncio.wait([self.ended], timeout=GOODBYE_SECONDS)
        self.abort()

    def abort(self) -> None:
        """End at once."""
        self._socket.abort()

    async def _send(self, frame: bytes, ref: int, answer: asyncio.Future[Event]) -> None:
        if len(frame) <= self._limits.get("frame_bytes", len(frame)):
            await self._write(frame)
            return
        async with self._large:  # the gateway puts one frame together at a time
            for chunk in cut(frame, ref, int(self._limits["frame_bytes"])):
                if answer.done():
                    return
                await self._write(chunk)

    async def _write(self, frame: bytes) -> None:
        if wait := self._pace.reserve(self._loop.time()):
            await asyncio.sleep(wait)
        self._socket.send(frame)

    def _check_size(self, frame: bytes) -> None:
        limit = self._limits.get("assembly_bytes", len(frame))
        if len(frame) > limit:
            message = f"a frame has at most {limit} bytes"
            raise Refused({"code": "too_large", "message": message, "retriable": False})

    def _receive(self, payload: bytes | str) -> None:
        for event in orjson.loads(payload):
            if event["op"] == "chunk":
                if (frame := self._unfinished.take(event)) is not None:
                    self._receive(frame)
                continue
            answer = self._answers.pop(event.get("ref"), None)
            self._take(event, answers=answer is not None)
            if answer is not None and not answer.done():
                answer.set_result(event)

    def _expect_heartbeat(self, seconds: float) -> None:
        left = self._socket.last_heard + seconds - self._loop.time()
        if left <= 0:
            self.abort()
        elif not self.ended.done():
            self._watchdog = self._loop.call_later(left, self._expect_heartbeat, seconds)

    def _lose(self, _: object) -> None:
        if self._watchdog:
            self._watchdog.cancel()
        for promise in self._promises:
            if not promise.done():
                promise.set_exception(Lost())
                promise.exception()  # nobody has to wait for it
