"""One WebSocket connection: its state, its frames in, its events out."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from enum import Enum, auto
from typing import Any, Protocol

import structlog
from aiohttp import WSMsgType

from gateway import wire
from gateway.auth import Identity
from gateway.boxes import Box, User
from gateway.chunks import Assembly, Room
from gateway.codecs import Codec
from gateway.errors import CloseCode, Disconnect
from gateway.forms import FORMS, chunked
from gateway.hub import Hub
from gateway.limits import FrameRate, Quota
from gateway.metrics import Metrics
from gateway.outlet import Outlet, Transport
from gateway.settings import Settings
from gateway.socket import Message, Socket
from gateway.watch import Mode, Watch
from streams.errors import Code, Refused

log = structlog.get_logger()

CONGESTED_SECONDS = 0.05
"""How often a full socket is looked at before more of the client's frames are read."""

_data_types = (WSMsgType.TEXT, WSMsgType.BINARY)
_closing_types = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED)


class State(Enum):
    """NEW until `hello`; OPEN; DRAINING while we leave; CLOSED for good."""

    NEW = auto()
    OPEN = auto()
    DRAINING = auto()
    CLOSED = auto()


class Handler(Protocol):
    """What a session does with the frames of its client."""

    async def hello(self, session: Session, frame: wire.Hello) -> None: ...
    async def handle(self, session: Session, frame: wire.AnyFrame) -> None: ...
    def left(self, session: Session) -> None: ...


class Session:
    """One client. Frames are handled in order; answers that take time come when they come."""

    _assembly: Assembly | None = None

    def __init__(
        self,
        socket: Socket,
        transport: Transport,
        identity: Identity | None,
        handler: Handler,
        hub: Hub,
        settings: Settings,
        metrics: Metrics,
        room: Room,
    ) -> None:
        self._socket = socket
        self._handler = handler
        self._hub = hub
        self._settings = settings
        self._metrics = metrics
        self._room = room
        self._loop = asyncio.get_running_loop()
        self._rate = FrameRate(settings.frame_rate, settings.frame_burst)
        self._tasks: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[Any] | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self.id = uuid.uuid4().hex
        self.state = State.NEW
        self.identity = identity
        self.outlet = Outlet(transport, socket.form, self.close)
        self.quota = Quota(settings.requests_per_session)
        self.watches: dict[str, Watch] = {}
        self.resuming: dict[str, asyncio.Future[None]] = {}
        self.synced = False
        self.mode: Mode | None = None
        self.claims: Mapping[str, Any] = {}
        self.renewed = 0.0
        self.last_seen = self._loop.time()
        self._user: User | None = None

    @property
    def _codec(self) -> Codec:
        return self.outlet.form.codec

    @property
    def user(self) -> User:
        """The user, once `hello` has said who it is."""
        if self._user is None:
            raise Refused(Code.UNAUTHORIZED, "say hello with a token first")
        return self._user

    @property
    def is_known(self) -> bool:
        """Whether `hello` has said who it is."""
        return self._user is not None

    @property
    def is_operator(self) -> bool:
        """Whether the last token has the role."""
        return self.identity is not None and self.identity.is_operator

    def belong(self, user: User) -> None:
        """The session is a user's from here on."""
        if user.rate is None and len(user.sessions) > 1:
            settings = self._settings
            user.rate = FrameRate(settings.frame_rate_per_user, settings.frame_burst_per_user)
        self._user = user
        self.state = State.OPEN

    def renew(self, identity: Identity) -> None:
        """Take a token's claims and time limit."""
        self.identity = identity
        self.claims, self.renewed = identity.claims, self._loop.time()
        if self._expiry is not None:
            self._expiry.cancel()
        left = max(0.0, identity.expires - time.time())
        self._expiry = self._loop.call_later(
            left, self.close, CloseCode.EXPIRED, "the token has expired"
        )

    async def run(self) -> None:
        """Serve the client until either side closes."""
        self._task = asyncio.current_task()
        try:
            await self._read_hello()
            while (data := await self._receive()) is not None:
                await self._take(data)
        except Disconnect as end:
            self.close(end.code, end.reason)
        finally:
            self._end()
        await self._socket.ended()

    def emit(self, *events: bytes) -> None:
        """Write events in the next turn."""
        self._hub.emit(self.outlet, *events)

    def refuse(self, error: Refused, ref: wire.Ref = None, mailbox: str | None = None) -> None:
        """Answer with an error."""
        self._metrics.errors.labels(error.code).inc()
        self.emit(wire.error_event(error, ref, mailbox))

    def refuse_each(self, error: Refused, ref: wire.Ref, mailboxes: Iterable[str]) -> None:
        """Answer with an error for each mailbox that was asked about."""
        for mailbox in mailboxes:
            self.refuse(error, ref, mailbox)

    def spawn(self, work: Coroutine[Any, Any, None], ref: wire.Ref) -> None:
        """Go on with a request while the next frames are read."""
        if len(self._tasks) >= self._settings.requests_per_session:
            work.close()
            message = "too many of your requests wait for their answer"
            raise Refused(Code.RATE_LIMITED, message, retry_after=1.0)
        task = self._loop.create_task(self._guard(work, ref))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Where the session ends first, the task does before it has begun with the work.
        task.add_done_callback(lambda _: work.close())

    async def resumed(self, mailbox: str) -> None:
        """Wait for the end of a mailbox's resume: what comes otherwise would come before what was missed, and again."""
        while (resume := self.resuming.get(mailbox)) is not None:
            await asyncio.wait((resume,))

    def take_chunks(self) -> None:
        """From here on large frames go out in chunks."""
        codec, window = self.outlet.form.codec, self.outlet.form.window
        self.outlet.form = chunked(FORMS[codec.subprotocol, window], self._settings.chunk_bytes)

    def may_watch(self) -> bool:
        """Whether one more mailbox may be watched."""
        return len(self.watches) < self._settings.watched

    def attach(self, box: Box, mode: Mode, place: int, seq: int, acked: int | None = None) -> None:
        """Watch a mailbox from a place on, instead of whatever was watched of it before."""
        if self.outlet.closed:
            return
        mailbox = box.channel.mailbox
        watch = self._hub.attach(self.outlet, box, mode, place, seq)
        if acked is not None and acked < seq and self.outlet.acks:
            watch.acked = acked
            self.outlet.unacked[watch] = None
        before = self.watches.get(mailbox)
        self.watches[mailbox] = watch
        if before is not None:
            self._hub.detach(before)

    def unwatch(self, mailbox: str, *, flush: bool = False) -> None:
        """Stop watching; with `flush`, what the session lacks still comes."""
        watch = self.watches.pop(mailbox, None)
        if watch is None:
            return
        if flush and watch.mode is Mode.LIVE:
            self.emit(*self.outlet.rest(watch))
        self._hub.detach(watch)

    def beat(self, now: float) -> None:
        """Ping, or give up a client that has been silent for too long."""
        if self.outlet.closed or self.outlet.transport.is_closing():
            return
        if now - self.last_seen > self._settings.idle_seconds:
            self.close(CloseCode.IDLE, "no frame and no pong")
        else:
            self._socket.ping()

    def check_acks(self, now: float) -> None:
        """Send again what is due to be acknowledged, once; then close."""
        for watch in list(self.outlet.unacked):
            if watch.seq <= watch.acked:
                del self.outlet.unacked[watch]
            elif not watch.ack_due:
                watch.ack_due = now + self._settings.ack_seconds
            elif now >= watch.ack_due and watch.resent:
                self.close(CloseCode.SLOW, "messages were not acknowledged")
                return
            elif now >= watch.ack_due:
                watch.ack_due = now + self._settings.ack_seconds
                self._hub.rewind(watch)

    def ack(self, mailbox: str, seq: int) -> None:
        """Everything up to `seq` has arrived."""
        watch = self.watches.get(mailbox)
        if watch is not None:
            watch.ack(seq, self._loop.time() + self._settings.ack_seconds)

    def drain(self, after_ms: int) -> None:
        """Tell the client to come back elsewhere."""
        if self.state is not State.CLOSED:
            self.state = State.DRAINING
            self.emit(wire.event("reconnect", after_ms=after_ms))

    def close(self, code: CloseCode, reason: str) -> None:
        """Close from our side; what waits is written first where the socket takes it."""
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        log.info("session closed", session=self.id, code=int(code), reason=reason)
        self._metrics.closes.labels(str(int(code))).inc()
        self._hub.write_now(self.outlet)
        self._hub.remove(self.outlet)
        self._socket.close(code, reason)

    async def closed(self) -> None:
        """Wait for the end of the connection."""
        if self._task is not None:
            await asyncio.wait((self._task,))

    def _end(self) -> None:
        self.state = State.CLOSED
        for task in list(self._tasks):
            task.cancel()
        for mailbox in list(self.watches):
            self.unwatch(mailbox)
        self._hub.remove(self.outlet)
        if self._assembly is not None:
            self._assembly.drop()
        if self._expiry is not None:
            self._expiry.cancel()
        self._handler.left(self)

    async def _read_hello(self) -> None:
        deadline = self._loop.time() + self._settings.hello_seconds
        while not self.is_known:
            try:
                async with asyncio.timeout_at(deadline):
                    data = await self._receive()
            except TimeoutError:
                raise Disconnect(CloseCode.IDLE, "no hello in time") from None
            if data is None:
                return
            await self._take(data)

    async def _receive(self) -> bytes | None:
        """The next frame of the client's codec; None at the end."""
        while self.state is not State.CLOSED:
            await self._decongest()
            message = await self._socket.receive()
            self.last_seen = self._loop.time()
            if message.type is self._codec.message_type:
                self._metrics.frames_in.inc()
                return bytes(message.data)
            if message.type in _data_types:
                raise Disconnect(CloseCode.PROTOCOL, f"frames are {self._codec.message_type.name}")
            if message.type in _closing_types:
                return None
            self._control(message)
        return None

    def _control(self, message: Message) -> None:
        """A ping or pong: within the rate, a ping is answered; beyond, it isn't."""
        if self._wait():
            self._check_abuse()
        elif message.type is WSMsgType.PING:
            self._socket.pong(message.data)

    async def _take(self, data: bytes) -> None:
        wait = self._wait()
        if wait:
            self._check_abuse()
        frame = self._codec.decode(data)
        if wait:
            self._limit(frame, wait)
        elif isinstance(frame, wire.BadFrame):
            self.refuse(frame.error, frame.ref)
        else:
            await self._guard(self._dispatch(frame), frame.ref)

    async def _dispatch(self, frame: wire.AnyFrame) -> None:
        if isinstance(frame, wire.Hello):
            await self._handler.hello(self, frame)
        elif isinstance(frame, wire.Chunk):
            await self._take_chunk(frame)
        elif not frame.names_only(self.user.name):
            raise Refused(Code.FORBIDDEN, "a frame may only name the token's user")
        else:
            await self._handler.handle(self, frame)

    async def _take_chunk(self, chunk: wire.Chunk) -> None:
        """Once the last chunk is here, handle the frame like one that came whole."""
        if not chunk.names_only(self.user.name):
            raise Refused(Code.FORBIDDEN, "a frame may only name the token's user")
        data = self._chunks.take(chunk, chunk.data.encode(self._codec.encoding))
        if data is None:
            return
        frame = self._codec.decode(data)
        if isinstance(frame, wire.BadFrame):
            self.refuse(frame.error, frame.ref)
        elif isinstance(frame, wire.Hello | wire.Chunk):
            message = f"`{wire.op_of(frame)}` does not come in chunks"
            self.refuse(Refused(Code.BAD_REQUEST, message), frame.ref)
        else:
            await self._guard(self._dispatch(frame), frame.ref)

    @property
    def _chunks(self) -> Assembly:
        if self._assembly is None:
            self._assembly = Assembly(self._room, self._settings, self.refuse)
        return self._assembly

    async def _guard(self, work: Coroutine[Any, Any, None], ref: wire.Ref) -> None:
        try:
            await work
        except Refused as error:
            self.refuse(error, ref)
        except (Disconnect, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("request failed", session=self.id)
            self.refuse(Refused(Code.UNAVAILABLE, "the gateway failed; try again", 1.0), ref)

    def _limit(self, frame: wire.AnyFrame | wire.BadFrame, wait: float) -> None:
        if isinstance(frame, wire.Chunk):
            self._chunks.give_up(frame)
        one, user = self._settings.frame_rate, self._settings.frame_rate_per_user
        message = f"at most {one:g} frames a second, of all your connections {user:g}"
        self.refuse(Refused(Code.RATE_LIMITED, message, wait), frame.ref)

    def _wait(self) -> float:
        """0 for a frame within the rates of the connection and of its user, else the seconds to wait."""
        now = self._loop.time()
        wait = self._rate.take(now)
        if not wait and self._user is not None and self._user.rate is not None:
            wait = self._user.rate.take(now)
        return wait

    def _check_abuse(self) -> None:
        of_user = self._user.rate if self._user is not None else None
        if self._rate.abused or (of_user is not None and of_user.abused):
            raise Disconnect(CloseCode.PROTOCOL, "far too many frames")

    async def _decongest(self) -> None:
        """Whoever doesn't read our answers isn't asked for more."""
        transport = self.outlet.transport
        full, seconds = self._settings.write_bytes, self._settings.slow_seconds
        size, read_at = transport.get_write_buffer_size(), self._loop.time()
        # A timer, as in the hub: the transport's own signal is taken by aiohttp.
        while size > full and not transport.is_closing() and self.state is not State.CLOSED:
            await asyncio.sleep(CONGESTED_SECONDS)
            # Not read by us, its pongs wait.
            self.last_seen = self._loop.time()
            before, size = size, transport.get_write_buffer_size()
            if size < before:
                read_at = self.last_seen
            elif self.last_seen - read_at > seconds:
                raise Disconnect(CloseCode.SLOW, f"nothing was read for {seconds:g} s")


Handle = Callable[[Session, Any], Awaitable[None]]
"""Does what the frames of one kind ask for; raises `Refused`."""
