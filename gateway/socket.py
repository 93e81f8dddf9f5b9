"""A WebSocket once HTTP is done with it.

aiohttp takes the handshake and parses the frames. All else that it has for a request, two tasks, headers, a parser and
writers, is given back then: it would stay as long as the connection, and is more than all that a session needs.
"""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.base_protocol import BaseProtocol
from aiohttp.hdrs import SEC_WEBSOCKET_EXTENSIONS
from aiohttp.http import WebSocketError, WebSocketReader, WebSocketWriter, WSMessage, WSMsgType
from aiohttp.http_websocket import WS_CLOSED_MESSAGE, WS_CLOSING_MESSAGE, WSMessageTextBytes
from aiohttp.streams import EofStream
from multidict import CIMultiDict

from gateway import deflate
from gateway.codecs import SUBPROTOCOLS
from gateway.errors import CloseCode, Disconnect
from gateway.forms import FORMS, Form

CLOSE_SECONDS = 3.0
"""How long a client may take to answer a close frame."""

READ_BYTES = 256 * 1024
"""Bytes of a client's messages that wait for us before its socket is read no more, as aiohttp has it."""

Message = WSMessage | WSMessageTextBytes
"""A message, its data as bytes, or a control frame."""

_NORMAL = 1000
_CLOSE = 0x88
_PING = 0x89
_PONG = 0x8A

_faults = {1009: CloseCode.TOO_LARGE, 1002: CloseCode.PROTOCOL, 1007: CloseCode.PROTOCOL}


class Handshake(web.WebSocketResponse):
    """aiohttp's answer to a request for a WebSocket, in our subprotocols and with our compression."""

    def __init__(self, *, compress: bool) -> None:
        super().__init__(protocols=SUBPROTOCOLS, compress=compress)

    @property
    def form(self) -> Form:
        """What the client has asked for, once the answer is prepared."""
        return FORMS[self.ws_protocol or SUBPROTOCOLS[0], int(self.compress)]

    async def write_eof(self) -> None:  # type: ignore[override]
        """Write nothing: the connection is the socket's."""

    def _handshake(
        self, request: web.BaseRequest
    ) -> tuple[CIMultiDict[str], str | None, int, bool]:
        headers, protocol, bits, _ = super()._handshake(request)
        window = deflate.window_within(bits)
        headers.popall(SEC_WEBSOCKET_EXTENSIONS, None)
        if window:
            headers[SEC_WEBSOCKET_EXTENSIONS] = deflate.extension(window)
        return headers, protocol, window, True

    def _post_start(
        self, _request: web.BaseRequest, protocol: str | None, _writer: WebSocketWriter
    ) -> None:
        self._ws_protocol = protocol


class Socket(BaseProtocol):
    """One client's WebSocket, with aiohttp's parser and flow control. Frames are written to its transport."""

    __slots__ = ("_cutoff", "_has_closed", "_queue", "_reader", "form")

    def __init__(self, form: Form, frame_bytes: int) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(loop)
        self._upgraded = True
        self._queue: WebSocketDataQueue | None = WebSocketDataQueue(self, READ_BYTES, loop=loop)
        self._reader: WebSocketReader | None = _reader(form, self._queue, frame_bytes)
        self._cutoff: asyncio.TimerHandle | None = None
        self._has_closed = False
        self.form = form

    def data_received(self, data: bytes) -> None:
        """Parse; after a fault nothing more is."""
        if self._reader is not None:
            self._reader.feed_data(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection is gone."""
        super().connection_lost(exc)
        if self._queue is not None:
            self._queue.feed_eof()
        if self._cutoff is not None:
            self._cutoff.cancel()

    def pause_writing(self) -> None:
        """The hub looks at the transport itself."""

    def resume_writing(self) -> None:
        """As above."""

    async def receive(self) -> Message:
        """The next message. CLOSE: the client's last. CLOSING: we have closed. CLOSED: the connection is gone.

        Raises `Disconnect` for what is no WebSocket frame, or too large.
        """
        if self._has_closed or self._queue is None:
            return WS_CLOSED_MESSAGE
        try:
            message: Message = await self._queue.read()
        except EofStream:
            message = WS_CLOSED_MESSAGE
        except WebSocketError as error:
            raise Disconnect(_faults.get(error.code, CloseCode.PROTOCOL), str(error)) from None
        self._has_closed = message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
        return message

    def ping(self) -> None:
        """Ask for a sign of life."""
        self._write(_PING, b"")

    def pong(self, data: bytes) -> None:
        """Answer a ping."""
        self._write(_PONG, data)

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame, once; without an answer the connection is cut off after CLOSE_SECONDS."""
        transport = self.transport
        if transport is None or self._queue is None or self._cutoff is not None:
            return
        self._write(_CLOSE, code.to_bytes(2) + reason.encode("ascii", "replace")[:120])
        self._cutoff = self._loop.call_later(CLOSE_SECONDS, transport.abort)
        self._queue.feed_data(WS_CLOSING_MESSAGE, 0)

    def leave(self) -> None:
        """Cut the connection off, unless it is closing, and drop what was read of it.

        The rest is in cycles, and waits for the collector.
        """
        self._queue = self._reader = None
        if self.transport is not None and not self.transport.is_closing():
            self.transport.abort()

    async def ended(self) -> None:
        """Close, if that isn't done, and read on until the client has closed, too."""
        self.close(_NORMAL)
        try:
            while not self._has_closed:
                await self.receive()
        except Disconnect:
            # To close a socket with unread bytes resets the connection, and the code would be lost.
            await self._gone()
        if self.transport is not None:
            self.transport.close()

    async def _gone(self) -> None:
        while self.transport is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    def _write(self, first: int, payload: bytes) -> None:
        """Write a control frame."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(bytes((first, len(payload))) + payload)


def _reader(form: Form, queue: WebSocketDataQueue, frame_bytes: int) -> WebSocketReader:
    beyond = frame_bytes + 1  # both take what is shorter than their limit
    if form.window:
        return deflate.InflatingReader(queue, beyond)
    return WebSocketReader(queue, beyond, compress=False, decode_text=False)
