"""A small client of the WebSocket protocol, written from docs/protocol.md alone."""

import asyncio
import contextlib
import itertools
import socket
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlsplit

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.e2e import protobuf
from tests.records import Refused, new_id

Event = dict[str, Any]

PROTO = "readcast.proto"
ANSWER_SECONDS = 20
SMALL_BUFFER = 4096


class Client:
    """One session. All events are kept in `events`; those nobody has asked for yet in `inbox`.

    chunks: those received, whose events are in `events`, too. frames: the sizes of what was received.
    """

    def __init__(self, connection: ClientConnection, user: str) -> None:
        self.user = user
        self.events: list[Event] = []
        self.inbox: list[Event] = []
        self.chunks: list[Event] = []
        self.frames: list[int] = []
        self.epochs: dict[str, str] = {}
        self._connection = connection
        self._refs = itertools.count(1)
        self._news = asyncio.Condition()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(
        cls,
        url: str,
        user: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        subprotocol: str | None = "readcast.json",
        deflate: bool = False,
        small_buffers: bool = False,
        **options: Any,
    ) -> Self:
        """Connect, without a `hello`."""
        if small_buffers:
            options["sock"] = await slow_socket(url)
        connection = await connect(
            url,
            additional_headers=headers,
            subprotocols=[subprotocol] if subprotocol else None,
            max_size=None,
            compression="deflate" if deflate else None,
            ping_interval=None,
            proxy=None,
            **options,
        )
        return cls(connection, user)

    @property
    def subprotocol(self) -> str | None:
        return self._connection.subprotocol

    # Requests

    async def post(self, op: str, **fields: Any) -> int:
        """Send a request and don't wait; returns its ref."""
        ref = next(self._refs)
        await self.put({"op": op, "ref": ref, **fields})
        return ref

    async def put(self, frame: Any) -> None:
        await self.put_raw(self.written(frame))

    def written(self, frame: Any) -> str | bytes:
        """A frame as it goes over the socket."""
        if self.subprotocol == PROTO:
            return protobuf.client_frame(frame)
        return orjson.dumps(frame).decode()

    def cut(self, frame: Any, size: int = 50_000, stream: int | None = None) -> list[Event]:
        """The chunks of a frame, each with `size` characters or bytes of it."""
        whole = self.written(frame)
        pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
        fields = {"op": "chunk", "id": next(self._refs) if stream is None else stream}
        if frame.get("ref") is not None:
            fields["ref"] = frame["ref"]
        return [
            {**fields, "part": part, "of": len(pieces), "data": piece}
            for part, piece in enumerate(pieces, 1)
        ]

    async def post_in_chunks(self, op: str, **fields: Any) -> int:
        """Send a request in chunks and don't wait; returns its ref."""
        ref = next(self._refs)
        for chunk in self.cut({"op": op, "ref": ref, **fields}):
            await self.put(chunk)
        return ref

    async def put_raw(self, frame: str | bytes) -> None:
        await self._connection.send(frame)

    async def flood(self, frame: Any, count: int) -> None:
        """Send a frame many times without waiting for anything but the socket."""
        with contextlib.suppress(ConnectionClosed):
            for _ in range(count):
                await self.put(frame)
                # Let the reader see what comes back, a close above all.
                await asyncio.sleep(0)

    async def request(self, op: str, **fields: Any) -> Event:
        """Send a request and return its answer; Refused if that is an error."""
        return await self.answer(await self.post(op, **fields))

    async def answer(self, ref: Any) -> Event:
        event = await self.wait(lambda event: event.get("ref") == ref, f"the answer to {ref!r}")
        if event["op"] == "error":
            raise Refused(event)
        return event

    async def refusal(self, op: str, **fields: Any) -> str:
        """The error code of a request that must be refused."""
        try:
            answer = await self.request(op, **fields)
        except Refused as refused:
            return refused.code
        raise AssertionError(f"{op} {fields} was not refused: {answer}")

    async def hello(self, token: str | None = None, **fields: Any) -> Event:
        fields |= {"token": token} if token is not None else {}
        return await self.request("hello", **fields)

    async def send(self, mailbox: str, body: Any, id: str | None = None) -> Event:  # noqa: A002
        return await self.request("send", mailbox=mailbox, id=id or new_id(), body=body)

    async def sync(self) -> dict[str, Event]:
        """What `sync` says of each mailbox."""
        answer = await self.request("sync")
        return {entry["mailbox"]: entry for entry in answer["mailboxes"]}

    async def unread(self, mailbox: str) -> int:
        unread = (await self.sync())[mailbox]["unread"]
        assert isinstance(unread, int)
        return unread

    # Events

    async def expect(self, op: str, **fields: Any) -> Event:
        """Take the first event with these fields, one that is there or the next to come."""

        def wanted(event: Event) -> bool:
            return event["op"] == op and all(event.get(name) == fields[name] for name in fields)

        return await self.wait(wanted, f"{op} {fields}")

    async def wait(self, wanted: Any, what: str, within: float = ANSWER_SECONDS) -> Event:
        try:
            async with asyncio.timeout(within), self._news:
                while not (found := next(filter(wanted, self.inbox), None)):
                    if self._reader.done():
                        raise AssertionError(f"closed with {self.close_code} before {what}")
                    await self._news.wait()
        except TimeoutError:
            latest = self.events[-5:]
            raise AssertionError(f"{what}: not within {within:g} s; latest: {latest}") from None
        self.inbox.remove(found)
        return found

    async def wait_or_close(self, wanted: Any) -> None:
        """Return once such an event has come or the socket is closed."""
        async with asyncio.timeout(ANSWER_SECONDS), self._news:
            while not (self._reader.done() or any(map(wanted, self.events))):
                await self._news.wait()

    async def message(self, mailbox: str, seq: int) -> Event:
        return await self.expect("message", mailbox=mailbox, seq=seq)

    def seqs(self, mailbox: str) -> list[int]:
        """The messages delivered so far, in the order in which they came."""
        return [event["seq"] for event in self.delivered("message", mailbox)]

    def delivered(self, op: str, mailbox: str) -> list[Event]:
        return [one for one in self.events if one["op"] == op and one.get("mailbox") == mailbox]

    # The connection

    def pause(self) -> None:
        """Read no more; the buffers fill, then the server can't write."""
        self._may_read.clear()

    def resume(self) -> None:
        self._may_read.set()

    async def closed(self, within: float = ANSWER_SECONDS) -> int | None:
        """The server's close code."""
        async with asyncio.timeout(within):
            await asyncio.wait([self._reader])
        return self.close_code

    @property
    def close_code(self) -> int | None:
        return self._connection.close_code

    async def close(self) -> None:
        self.resume()
        await self._connection.close()
        await self._reader

    def drop(self) -> None:
        """Vanish without a close frame, as a phone in a tunnel does."""
        self.resume()
        self._connection.transport.abort()

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self._may_read.wait()
                frame = await self._connection.recv()
                await self._take(frame)
        async with self._news:
            self._news.notify_all()

    async def _take(self, frame: str | bytes) -> None:
        self.frames.append(len(frame.encode() if isinstance(frame, str) else frame))
        events = self._read_events(frame)
        if any(event["op"] == "chunk" for event in events):
            events = self._join(events)
        async with self._news:
            self.events += events
            self.inbox += events
            self._news.notify_all()

    def _join(self, events: list[Event]) -> list[Event]:
        """The events of the frame that a chunk completes; none before that."""
        (chunk,) = events
        self.chunks.append(chunk)
        stream = [one for one in self.chunks if one["id"] == chunk["id"]]
        assert [one["part"] for one in stream] == list(range(1, len(stream) + 1))
        assert {one["of"] for one in stream} == {chunk["of"]}
        if chunk["part"] < chunk["of"]:
            return []
        return self._read_events(type(chunk["data"])().join(one["data"] for one in stream))

    def _read_events(self, frame: str | bytes) -> list[Event]:
        if self.subprotocol == PROTO:
            assert isinstance(frame, bytes)
            return [*protobuf.server_events(frame)]
        assert isinstance(frame, str)
        protobuf.check_known(frame)
        events = orjson.loads(frame)
        if not isinstance(events, list):
            raise TypeError(f"a server frame is an array of events, got {frame[:200]!r}")
        return events


async def slow_socket(url: str) -> socket.socket:
    """A connected socket whose receive buffer holds next to nothing."""
    place = urlsplit(url)
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    small.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(small, (place.hostname, place.port))
    except OSError:
        small.close()
        raise
    return small


def seqs(history: Event) -> list[int]:
    """The seqs in a history answer."""
    return [message["seq"] for message in history["messages"]]
