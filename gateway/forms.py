"""The forms of a server frame: each codec, plain and deflated. A frame is made once for all who share it."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct as Layout

from gateway.codecs import CODECS, Codec
from gateway.deflate import WINDOWS, deflated

_FINAL = 0x80
_DEFLATED = 0x40

_short = Layout("!BB").pack
_medium = Layout("!BBH").pack
_long = Layout("!BBQ").pack


class Form:
    """What one client understands: a codec, and the bits of the deflate window (0: not deflated)."""

    __slots__ = ("_first", "codec", "window")

    def __init__(self, codec: Codec, window: int) -> None:
        self.codec = codec
        self.window = window
        self._first = _FINAL | codec.message_type

    def frame(self, events: Sequence[bytes]) -> bytes:
        """The bytes of one WebSocket frame that holds these events."""
        payload = self.codec.payload(events)
        packed = deflated(payload, self.window) if self.window else None
        if packed is not None:
            return _header(self._first | _DEFLATED, len(packed)) + packed
        return _header(self._first, len(payload)) + payload


def _header(first: int, length: int) -> bytes:
    if length < 126:
        return _short(first, length)
    if length < 1 << 16:
        return _medium(first, 126, length)
    return _long(first, 127, length)


FORMS = {
    (codec.subprotocol, window): Form(codec, window) for codec in CODECS for window in (0, *WINDOWS)
}
"""All forms, by subprotocol and window."""
