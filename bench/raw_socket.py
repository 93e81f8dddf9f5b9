"""A WebSocket client that costs next to nothing: ready frames go out, whole frames come in.

For drivers that must be faster than the gateway, and for crowds of thousands in one process.
"""

import asyncio
from collections.abc import Callable

import orjson

from readcast.frames import CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, encode, next_frame

HOST = "127.0.0.1"
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class ClosedError(Exception):
    """The gateway closed the socket, or refused it."""


class RawSocket(asyncio.Protocol):
    """One connection; `take` is given each text message."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self._rest = b""
        self._parts: list[bytes] = []
        self._is_open = False
        self._transport: asyncio.Transport
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def send(self, frame: bytes) -> None:
        """Send a frame made by `text_frame`, or several of them."""
        self._transport.write(frame)

    def close(self) -> None:
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._transport.write(HANDSHAKE)

    def connection_lost(self, error: Exception | None) -> None:
        for end in (self.opened, self.closed):
            if not end.done():
                end.set_exception(ClosedError(f"connection lost: {error}"))
                end.exception()  # nobody has to wait for it

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        if not self._is_open:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._rest = head
                return
            self._open(head)
        place = 0
        while (frame := next_frame(data, place)) is not None:
            place = frame.end
            self._receive(frame)
        self._rest = data[place:]

    def _open(self, head: bytes) -> None:
        if not head.startswith(b"HTTP/1.1 101"):
            raise ClosedError(head.decode())
        self._is_open = True
        self.opened.set_result(None)

    def _receive(self, frame: Frame) -> None:
        if frame.opcode in (TEXT, CONTINUATION):
            self._parts.append(frame.payload)
            if frame.is_final:
                payload, self._parts = b"".join(self._parts), []
                self._take(payload)
        elif frame.opcode == PING:
            self._transport.write(encode(PONG, b""))
        elif frame.opcode == CLOSE:
            raise ClosedError(frame.payload[2:].decode())


async def connect(port: int, take: Callable[[bytes], None]) -> RawSocket:
    """Open a socket to the gateway on this machine."""
    loop = asyncio.get_running_loop()
    _, raw = await loop.create_connection(lambda: RawSocket(take), HOST, port)
    await raw.opened
    return raw


def text_frame(op: str, **fields: object) -> bytes:
    """A request as a frame of bytes; a mask of zeros leaves its JSON as it is."""
    return encode(TEXT, orjson.dumps({"op": op, **fields}))
