"""aiohttp's WebSocket, closed in this protocol's terms."""

from __future__ import annotations

import asyncio

from aiohttp import web

from gateway.errors import CloseCode

CLOSE_SECONDS = 3.0
"""How long a client may take to answer a close frame."""

_faults = {1009: CloseCode.TOO_LARGE, 1002: CloseCode.PROTOCOL, 1007: CloseCode.PROTOCOL}


class Socket(web.WebSocketResponse):
    """A WebSocket whose faults that the library finds have our close codes."""

    def __init__(self, request: web.Request, frame_bytes: int, subprotocol: str) -> None:
        super().__init__(
            protocols=(subprotocol,),
            autoping=False,
            compress=False,
            decode_text=False,
            timeout=CLOSE_SECONDS,
            max_msg_size=frame_bytes,
        )
        self._request = request

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

    async def _gone(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + CLOSE_SECONDS
        while self._request.transport is not None and loop.time() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def _close_frame(code: int, reason: bytes) -> bytes:
    payload = code.to_bytes(2) + reason
    return bytes((0x88, len(payload))) + payload
