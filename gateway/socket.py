"""aiohttp's WebSocket, closed in this protocol's terms."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.hdrs import SEC_WEBSOCKET_EXTENSIONS
from aiohttp.http import WebSocketWriter
from multidict import CIMultiDict

from gateway import deflate
from gateway.codecs import SUBPROTOCOLS
from gateway.errors import CloseCode
from gateway.forms import FORMS, Form

CLOSE_SECONDS = 3.0
"""How long a client may take to answer a close frame."""

READ_BYTES = 256 * 1024
"""Bytes of a client's messages that wait for us before its socket is read no more, as aiohttp has it."""

_faults = {1009: CloseCode.TOO_LARGE, 1002: CloseCode.PROTOCOL, 1007: CloseCode.PROTOCOL}


class Socket(web.WebSocketResponse):
    """A WebSocket whose faults that the library finds have our close codes."""

    def __init__(self, request: web.Request, frame_bytes: int, *, compress: bool) -> None:
        super().__init__(
            protocols=SUBPROTOCOLS,
            autoping=False,
            compress=compress,
            decode_text=False,
            timeout=CLOSE_SECONDS,
            max_msg_size=frame_bytes,
        )
        self._request = request

    @property
    def form(self) -> Form:
        """What the client has asked for, once the socket is prepared."""
        return FORMS[self.ws_protocol or SUBPROTOCOLS[0], int(self.compress)]

    async def close(self, *, code: int = 1000, message: bytes = b"", drain: bool = True) -> bool:
        """Close; after a fault the client's last bytes are read until it has seen the code."""
        fault = _faults.get(code)
        if fault is None:
            return await super().close(code=code, message=message, drain=drain)
        transport = self._request.transport
        if transport is None:
            return False
        # Closing a socket with unread bytes resets the connection, and the code would be lost.
        # After a fault aiohttp reads on and drops what it reads, so waiting is enough.
        transport.write(_close_frame(fault, message))
        await self._gone()
        return await super().close(code=fault, message=message, drain=False)

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
        self, request: web.BaseRequest, protocol: str | None, writer: WebSocketWriter
    ) -> None:
        if not self.compress:
            super()._post_start(request, protocol, writer)
            return
        # As in aiohttp, but for the class of the reader.
        self._ws_protocol, self._writer = protocol, writer
        self._reader = WebSocketDataQueue(
            request.protocol, READ_BYTES, loop=asyncio.get_running_loop()
        )
        self._parser = deflate.InflatingReader(self._reader, self._max_msg_size)
        request.protocol.set_parser(self._parser)
        request.protocol.keep_alive(False)

    async def _gone(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + CLOSE_SECONDS
        while self._request.transport is not None and loop.time() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def _close_frame(code: int, reason: bytes) -> bytes:
    payload = code.to_bytes(2) + reason
    return bytes((0x88, len(payload))) + payload
