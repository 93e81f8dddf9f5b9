"""Puts the parts of a gateway together, and takes them apart again."""

from __future__ import annotations

import asyncio
import contextlib
import random
import uuid
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, cast

import structlog
from aiohttp import web
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from gateway.addresses import Proxies
from gateway.auth import Identity, Tokens
from gateway.boards import Boards, PublicBoard
from gateway.boxes import Users
from gateway.chunks import Room
from gateway.errors import CloseCode
from gateway.feed_operations import FeedOperations
from gateway.feed_pages import Pages
from gateway.feed_sources import FeedSources
from gateway.feeds import Feeds
from gateway.garbage import Garbage
from gateway.hub import Hub
from gateway.interest import EVERYTHING
from gateway.leases import Leases
from gateway.limits import Connections
from gateway.loader import Loader
from gateway.metrics import Metrics
from gateway.operations import Operations
from gateway.pace import Pace
from gateway.producer import Producer
from gateway.public_operations import PublicOperations
from gateway.pulse import Pulse
from gateway.requests import Requests
from gateway.routes import Routes
from gateway.rows import Rows, Take
from gateway.session import Session
from gateway.settings import Settings
from gateway.socket import Handshake, Socket
from gateway.spread import Spreads
from gateway.tail import Tail
from gateway.timeline import Timelines
from gateway.touching import Touching
from gateway.watching import Watching
from streams.topics import topics
from tables.rows import AnyEntry

if TYPE_CHECKING:
    from gateway.door import Door

log = structlog.get_logger()

CONNECT_SECONDS = 1.0
"""Pause between attempts to reach Kafka at start."""


class Gateway:
    """One gateway process; to be made inside its event loop."""

    def __init__(self, settings: Settings, tokens: Tokens) -> None:
        self.settings = settings
        self.tokens = tokens
        self.metrics = Metrics()
        self.connections = Connections(
            settings.connections, settings.connections_per_address, settings.connections_per_user
        )
        self.proxies = Proxies(settings.trusted_proxies)
        self.room = Room(settings.assemblies_bytes)
        self.draining = False
        self._topics = topics(settings.pipeline)
        self._instance = uuid.uuid4().hex
        self._producer = Producer(settings)
        self._routes = self._make_routes()
        interest = EVERYTHING if self._routes is None else self._routes
        self._users = Users(interest)
        self._hub = Hub(settings, self.metrics, interest)
        self._requests = Requests(self._producer, self._topics, self._instance, settings, interest)
        self._boards = Boards(self._requests, settings, self.metrics, self._board_changed)
        pace = Pace(settings)
        self._touching = Touching(
            self._requests, self._boards, self._users, pace, settings, self.metrics
        )
        sources = FeedSources(self._requests, self.metrics)
        self._feeds = Feeds(sources, settings, interest)
        self._pages = Pages(self._requests, sources, self._feeds, settings, self.metrics)
        self._spreads = Spreads(self._users, self._touching, self._requests)
        self._rows = Rows(
            self._hub,
            self._boards,
            self._feeds,
            self._users,
            self._requests,
            self.metrics,
            self._instance,
        )
        self._loader = Loader(self._requests, self._hub, self._rows, self.metrics)
        self._watching = Watching(
            self._loader, self._hub, self._boards, self._touching, settings, self.metrics
        )
        self._rows.loader, self._rows.watching = self._loader, self._watching
        self._rows.touching = self._touching
        self._tail = Tail(
            settings.pipeline, self._sources(), self._rows.failed, self._lost, self.metrics
        )
        self._leases = self._make_leases()
        self._pulse = Pulse(self._requests, settings)
        self._operations = Operations(
            self._requests,
            self._loader,
            self._watching,
            Timelines(self._requests, self._loader, self._boards),
            self._hub,
            self._users,
            PublicOperations(
                self._requests, self._loader, self._boards, self._touching, self._spreads, settings
            ),
            FeedOperations(self._requests, sources, self._feeds, self._pages, settings),
            tokens,
            self.connections,
            self._pulse,
            settings,
        )
        self._garbage = Garbage()
        self._tasks: set[asyncio.Task[None]] = set()
        self._boards_loading: asyncio.Task[None] | None = None
        self._measure()

    @property
    def is_ready(self) -> bool:
        """Whether clients may come: the logs are read, public mailboxes known, and we aren't leaving."""
        is_current = self._tail.reached_end.is_set() and self._boards.loaded.is_set()
        return is_current and not self.draining

    def start(self) -> None:
        """Start to read the logs and to keep time; Kafka may come later."""
        self._spawn(self._run())
        self._boards_loading = self._spawn(self._load_boards())
        if self._leases is not None:
            self._spawn(self._leases.run())
        self._spawn(self._pulse.run())
        self._spawn(self._garbage.run())
        self._spawn(self._touching.run())
        self._spawn(self._touching.take_turns())
        self._spawn(self._spreads.report())

    async def serve(self, request: web.Request, identity: Identity | None) -> web.StreamResponse:
        """Make a WebSocket of a request; from here on the socket has a task of its own."""
        handshake = Handshake(compress=self.settings.deflate)
        with contextlib.suppress(ConnectionResetError):
            await handshake.prepare(request)
        transport = request.transport
        if transport is None:
            return web.Response()  # to nobody: who asked has given up meanwhile
        socket = Socket(handshake.form, self.settings.frame_bytes)
        place = cast("Door", request.protocol).hand_over(socket)
        self._spawn(self._attend(socket, transport, place, identity))
        return handshake

    async def _attend(
        self,
        socket: Socket,
        transport: asyncio.Transport,
        place: str | None,
        identity: Identity | None,
    ) -> None:
        """Serve one WebSocket to its end; `place` is where it is counted."""
        try:
            if self.connections.open():
                await self._run_session(socket, transport, identity)
            else:
                socket.close(CloseCode.CROWDED)
                await socket.ended()
        finally:
            socket.leave()
            if place is not None:
                self.connections.depart(place)

    async def _run_session(
        self, socket: Socket, transport: asyncio.Transport, identity: Identity | None
    ) -> None:
        session = Session(
            socket,
            transport,
            identity,
            self._operations,
            self._hub,
            self.settings,
            self.metrics,
            self.room,
        )
        self._pulse.add(session)
        try:
            await session.run()
        finally:
            self._pulse.remove(session)
            self._garbage.ended()
            self.connections.close()

    async def drain(self) -> None:
        """Send all clients away, spread over time, once what they asked for is answered."""
        self.draining = True
        sessions = list(self._pulse.sessions)
        log.info("draining", sessions=len(sessions))
        spread = int(self.settings.reconnect_seconds * 1_000)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.settings.drain_seconds):
                await self._requests.settled(self.settings.drain_seconds / 2)
                for session in sessions:
                    session.drain(random.randint(0, spread))
                await asyncio.sleep(0)
                for session in sessions:
                    session.close(CloseCode.DRAINING, "the gateway is leaving")
                await asyncio.gather(*(session.closed() for session in sessions))

    async def stop(self) -> None:
        """Stop reading and writing Kafka."""
        self._loader.stop()
        self._spreads.stop()
        self._boards.stop()
        self._feeds.stop()
        self._pages.stop()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(self.settings.drain_seconds):
                if self._leases is not None:
                    self._leases.end()
                await self._producer.stop()

    async def _run(self) -> None:
        while True:
            try:
                await self._producer.start()
                break
            except (KafkaError, OSError) as error:
                log.warning("no Kafka yet", error=str(error))
                await asyncio.sleep(CONNECT_SECONDS)
        await self._tail.run()

    async def _load_boards(self) -> None:
        # Rows come from here on, so nothing falls between them and the answers.
        await self._tail.reached_end.wait()
        if self._leases is not None:
            await self._leases.held.wait()
        await self._boards.load()

    async def _reload_boards(self) -> None:
        await self._load_boards()
        for board, publish in self._boards.withdrawn_unseen():
            self._spreads.withdraw(board, publish)
        for board in self._boards.all():
            self._spreads.start(board)

    def _board_changed(self, board: PublicBoard, entry: AnyEntry) -> None:
        self._spreads.changed(board, entry)

    def _sources(self) -> dict[TopicPartition, Take]:
        """What is read from the start on: with routes, the deliveries come before it."""
        sources: dict[TopicPartition, Take] = {}
        if self._routes is None:
            for number in range(self.settings.pipeline.partitions):
                sources[TopicPartition(self._topics.mailbox_log, number)] = self._rows.take_mailbox
                sources[TopicPartition(self._topics.user_log, number)] = self._rows.take_user
        # Replies last: who gets an answer then sees its rows, too.
        own = TopicPartition(self._topics.replies, self._requests.partition)
        return sources | {own: self._rows.take_reply}

    def _make_routes(self) -> Routes | None:
        if self.settings.delivery == "tail":
            return None
        return Routes(
            self._producer,
            self._topics,
            self._instance,
            self.settings.pipeline.partitions,
            self.settings.request_seconds,
        )

    def _make_leases(self) -> Leases | None:
        if self._routes is None:
            return None
        return Leases(
            self._requests,
            self._routes,
            self._topics,
            self._instance,
            self.settings,
            self._follow,
            self._lost,
        )

    async def _follow(self, partition: int) -> None:
        """Read our partition of the deliveries."""
        own = TopicPartition(self._topics.deliveries, partition)
        await self._tail.follow(own, self._rows.take_delivery)

    def _lost(self) -> None:
        self._boards.start_over()
        # What an earlier load has been told is gone with the boards.
        if self._boards_loading is not None:
            self._boards_loading.cancel()
        self._boards_loading = self._spawn(self._reload_boards())
        for user in self._rows.lost():
            self._loader.reload(user)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a background task failed", error=repr(error))

    def _measure(self) -> None:
        watch = self.metrics.watch
        watch("connections", "Open WebSockets.", lambda: self.connections.total)
        watch("requests_pending", "Requests without an answer yet.", lambda: len(self._requests))
        watch("channels", "Mailboxes with local listeners.", lambda: len(self._hub.channels))
        watch("assembly_bytes", "Bytes of frames in chunks.", lambda: self.room.used)
        watch("ring_bytes", "Bytes of events kept for readers.", lambda: self._hub.ring_bytes)
        watch("boards", "Public mailboxes in memory.", lambda: len(self._boards))
        watch("board_bytes", "Bytes of them, about.", lambda: self._boards.bytes)
        watch("feed_views", "Feeds in memory.", lambda: len(self._feeds))
        watch("feed_bytes", "Bytes of posts for them.", lambda: self._feeds.outboxes.bytes)
        watch("routes", "Mailboxes and users forwarded here.", lambda: len(self._routes or ()))
        watch("spread_left", "Users whom a release has still to reach.", lambda: self._spreads.left)
        watch("looks_left", "Users whose look waits for its turn.", lambda: self._touching.left)
        watch("tail_lag", "Records in the logs that aren't read yet.", lambda: self._tail.lag)
        watch("ready", "Whether clients may come.", lambda: self.is_ready)
