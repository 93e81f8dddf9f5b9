"""A WebSocket without a task or a queue of its own: thousands fit in one process."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import ssl
from collections.abc import Callable, Mapping
from typing import NamedTuple, cast
from urllib.parse import SplitResult, urlsplit

from readcast.frames import CLOSE, CONTINUATION, PING, PONG, TEXT, encode, next_frame

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
NORMAL_CLOSE, NO_CODE, BROKEN, BAD_FRAME = 1000, 1005, 1006, 1002
SWITCHING = 101
DIAL_SECONDS = 30.0
"""Patience with a gateway to which all others come back, too: whoever gives up early makes it work in vain."""

HEAD_BYTES = 16 * 1024

Take = Callable[[bytes], None]
"""Is given the payload of each text message."""


class Ending(NamedTuple):
    """How a connection ended: a close code, 1006 if it just broke, or the status of a refused handshake.

    retry_after: seconds that the server asked to wait, 0 if it did not.
    """

    code: int
    reason: str
    retry_after: float = 0.0


class HandshakeRefused(ConnectionError):
    """The server answered the handshake with something else than a WebSocket."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(f"the handshake was refused: {ending.code} {ending.reason}")
        self.ending = ending


class WebSocket(asyncio.Protocol):
    """One connection; made by `dial`."""

    def __init__(self, handshake: bytes, key: bytes, take: Take) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._handshake = handshake
        self._accept = base64.b64encode(hashlib.sha1(key + MAGIC).digest())  # noqa: S324
        self._take = take
        self._rest = b""
        self._parts: list[bytes] = []
        self._is_open = False
        self._ending = Ending(BROKEN, "the connection broke")
        self._transport: asyncio.Transport
        self.last_heard = loop.time()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[Ending] = loop.create_future()

    def send(self, text: bytes) -> None:
        """Send a text message; what follows the end of the connection is dropped."""
        self._write(TEXT, text)

    def close(self) -> None:
        """Say goodbye, and end."""
        if not self.ended.done():
            self._ending = Ending(NORMAL_CLOSE, "")
            self._write(CLOSE, NORMAL_CLOSE.to_bytes(2))
            self._transport.close()

    def abort(self) -> None:
        """End at once, as a network that fails would."""
        self._transport.abort()

    def pause(self) -> None:
        """Read no more until `resume`."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._handshake)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(HandshakeRefused(self._ending))
            self.opened.exception()  # nobody has to wait for it
        self.ended.set_result(self._ending)

    def data_received(self, data: bytes) -> None:
        self.last_heard = self._loop.time()
        data = self._rest + data if self._rest else data
        if not self._is_open:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._rest = head
                if len(head) > HEAD_BYTES:
                    self.abort()
                return
            self._open(head)
        place = 0
        while self._is_open and (frame := next_frame(data, place)) is not None:
            place = frame.end
            self._receive(frame.opcode, frame.payload, is_final=frame.is_final)
        self._rest = data[place:]

    def _open(self, head: bytes) -> None:
        status, headers = parse_head(head)
        if status == SWITCHING and headers.get(b"sec-websocket-accept") == self._accept:
            self._is_open = True
            self.opened.set_result(None)
            return
        retry_after = headers.get(b"retry-after", b"")
        seconds = float(retry_after) if retry_after.isdigit() else 0.0
        self._ending = Ending(status, head.partition(b"\r\n")[0].decode(errors="replace"), seconds)
        self.abort()

    def _receive(self, opcode: int, payload: bytes, *, is_final: bool) -> None:
        if opcode in (TEXT, CONTINUATION):
            self._parts.append(payload)
            if is_final:
                whole = b"".join(self._parts)
                self._parts.clear()
                self._take(whole)
        elif opcode == PING:
            self._write(PONG, payload)
        elif opcode == CLOSE:
            self._closed_by_server(payload)
        elif opcode != PONG:
            self._ending = Ending(BAD_FRAME, f"a frame of the unknown kind {opcode}")
            self.abort()

    def _closed_by_server(self, payload: bytes) -> None:
        code = int.from_bytes(payload[:2]) if payload else NO_CODE
        self._ending = Ending(code, payload[2:].decode(errors="replace"))
        self._is_open = False
        self._write(CLOSE, payload[:2])
        self._transport.close()

    def _write(self, opcode: int, payload: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(encode(opcode, payload, os.urandom(4)))


async def dial(
    url: str,
    take: Take,
    *,
    source: str | None = None,
    tls: ssl.SSLContext | None = None,
    headers: Mapping[str, str] | None = None,
) -> WebSocket:
    """Open a WebSocket at a `ws:` or `wss:` URL.

    source: the local address to connect from. headers: more of them for the handshake.
    Raises HandshakeRefused, another OSError, or TimeoutError after DIAL_SECONDS.
    """
    place = urlsplit(url)
    is_secure = place.scheme in ("wss", "https")
    key = base64.b64encode(os.urandom(16))
    request = handshake(place, key, headers or {})
    socket = WebSocket(request, key, take)
    async with asyncio.timeout(DIAL_SECONDS):
        await asyncio.get_running_loop().create_connection(
            lambda: socket,
            place.hostname or "",
            place.port or (443 if is_secure else 80),
            ssl=(tls or ssl.create_default_context()) if is_secure else None,
            local_addr=(source, 0) if source else None,
        )
        try:
            await socket.opened
        except BaseException:
            socket.abort()
            raise
    return socket


def handshake(place: SplitResult, key: bytes, headers: Mapping[str, str]) -> bytes:
    """The request that asks for a WebSocket."""
    lines = {
        "Host": place.netloc.rpartition("@")[2],
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": key.decode(),
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "readcast.json",
        **headers,
    }
    target = (place.path or "/") + (f"?{place.query}" if place.query else "")
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"GET {target} HTTP/1.1\r\n{head}\r\n".encode()


def parse_head(head: bytes) -> tuple[int, dict[bytes, bytes]]:
    """Status and headers of an answer; status 0 if it is no HTTP."""
    first, *lines = head.split(b"\r\n")
    parts = first.split(b" ", 2)
    status = int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0
    pairs = (line.partition(b":") for line in lines)
    return status, {name.strip().lower(): value.strip() for name, _, value in pairs}
