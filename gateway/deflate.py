"""permessage-deflate (RFC 7692) without context takeover: nothing of zlib outlives a message.

So a frame for many is compressed once, and a connection that is idle holds no window.
"""

from __future__ import annotations

import zlib
from typing import Any

from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.http import WebSocketError, WebSocketReader, WSCloseCode, WSMsgType

WINDOWS = (15, 12)
"""Bits of the windows that we compress with: all there is, and what clients with little memory ask for."""

LEVEL = 3
"""Level 6 makes a page of messages a tenth smaller in twice the time."""

LEAST_BYTES = 160
"""Shorter payloads go as they are: the answer to a `send` is one, a message seldom."""

_TAIL = b"\x00\x00\xff\xff"
"""What each sync flush ends with, and no message carries (RFC 7692, section 7.2.1)."""

_DATA_TYPES = (WSMsgType.CONTINUATION, WSMsgType.TEXT, WSMsgType.BINARY)


def window_within(bits: int) -> int:
    """Bits of our largest window that a client with one of `bits` can read; 0 if there is none."""
    return next((window for window in WINDOWS if window <= bits), 0)


def extension(window: int) -> str:
    """The answer to a client that has offered to compress."""
    answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    return f"{answer}; server_max_window_bits={window}"


def deflated(payload: bytes, window: int) -> bytes | None:
    """A payload as one compressed message; None where that isn't worth it."""
    if len(payload) < LEAST_BYTES:
        return None
    bits = min(window, max(WINDOWS[-1], len(payload).bit_length()))
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -bits, memLevel=bits - 7)
    packed = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return packed.removesuffix(_TAIL) if len(packed) < len(payload) else None


class InflatingReader(WebSocketReader):
    """aiohttp's reader, but for its decompressor, which would stay with the connection.

    A message may inflate to `max_bytes`; no more than that is ever inflated.
    """

    def __init__(self, queue: WebSocketDataQueue, max_bytes: int) -> None:
        super().__init__(queue, max_bytes, compress=True, decode_text=False)
        self._max_bytes = self._room = max_bytes
        self._inflater: Any = None

    def _handle_frame(
        self, fin: bool, opcode: int, payload: bytes | bytearray, compressed: int
    ) -> None:
        if compressed and opcode in _DATA_TYPES:
            payload = self._inflate(payload, fin)
        super()._handle_frame(fin, opcode, payload, 0)

    def _inflate(self, payload: bytes | bytearray, is_last: bool) -> bytes:
        if self._inflater is None:
            self._inflater = zlib.decompressobj(-WINDOWS[0])
            self._room = self._max_bytes
        try:
            part: bytes = self._inflater.decompress(
                payload + _TAIL if is_last else payload, self._room
            )
        except zlib.error as error:
            raise WebSocketError(WSCloseCode.PROTOCOL_ERROR, f"not deflated: {error}") from None
        self._room -= len(part)
        if self._room <= 0:
            raise WebSocketError(WSCloseCode.MESSAGE_TOO_BIG, "inflates to too much")
        if is_last:
            self._inflater = None
        return part
