"""The forms of a server frame: each codec, plain and deflated, whole and in chunks.

A frame is made once for all who share it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import count
from struct import Struct as Layout

from gateway import wire
from gateway.codecs import CODECS, Codec
from gateway.deflate import WINDOWS, deflated

FRAGMENT_BYTES = 256 * 1024
"""A longer WebSocket message is written in fragments: what one write may have, and pings come between."""

KEPT_EVENTS = 32
"""Events longer than that whose frames are kept, for readers who get there later than others."""

_FINAL = 0x80
_DEFLATED = 0x40
_CONTINUATION = 0x0

_short = Layout("!BB").pack
_medium = Layout("!BBH").pack
_long = Layout("!BBQ").pack

_chunk_ids = count(1)


class Form:
    """What one client understands: a codec, and the bits of the deflate window (0: not deflated).

    chunk_bytes: the longest frame that it takes, before it is deflated; what is longer comes in chunks. 0: any.
    """

    __slots__ = ("_opcode", "chunk_bytes", "codec", "window")

    def __init__(self, codec: Codec, window: int, chunk_bytes: int = 0) -> None:
        self.codec = codec
        self.window = window
        self.chunk_bytes = chunk_bytes
        self._opcode = int(codec.message_type)

    def frames(self, events: Sequence[bytes]) -> tuple[bytes, ...]:
        """Ready WebSocket frames that hold these events; several where one would be too long."""
        payload = self.codec.payload(events)
        if not self.chunk_bytes or len(payload) <= self.chunk_bytes:
            return tuple(self._message(payload))
        if len(events) > 1:
            half = len(events) // 2
            return self.frames(events[:half]) + self.frames(events[half:])
        return tuple(self._chunks(payload))

    def _chunks(self, payload: bytes) -> Iterator[bytes]:
        pieces = list(self.codec.pieces(payload, self.chunk_bytes))
        stream = next(_chunk_ids)
        for part, piece in enumerate(pieces, 1):
            data = piece.decode(self.codec.encoding)
            chunk = wire.event("chunk", id=stream, part=part, of=len(pieces), data=data)
            yield from self._message(self.codec.payload([chunk]))

    def _message(self, payload: bytes) -> Iterator[bytes]:
        """A WebSocket message as frames, between which control frames may come (RFC 6455, section 5.4)."""
        packed = deflated(payload, self.window) if self.window else None
        content, first = payload, self._opcode
        if packed is not None:
            content, first = packed, first | _DEFLATED
        for start in range(0, len(content), FRAGMENT_BYTES):
            part = content[start : start + FRAGMENT_BYTES]
            final = _FINAL if start + len(part) == len(content) else 0
            yield _header(final | (_CONTINUATION if start else first), len(part)) + part


def _header(first: int, length: int) -> bytes:
    if length < 126:
        return _short(first, length)
    if length < 1 << 16:
        return _medium(first, 126, length)
    return _long(first, 127, length)


@cache
def chunked(form: Form, chunk_bytes: int) -> Form:
    """The same form for clients that take frames of at most so many bytes."""
    return Form(form.codec, form.window, chunk_bytes)


@lru_cache(KEPT_EVENTS)
def large(form: Form, event: bytes) -> tuple[bytes, ...]:
    """The frames of one event for many that is longer than FRAGMENT_BYTES."""
    return form.frames([event])


FORMS = {
    (codec.subprotocol, window): Form(codec, window) for codec in CODECS for window in (0, *WINDOWS)
}
"""The forms with whole frames, by subprotocol and window."""
