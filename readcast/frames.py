"""WebSocket frames as bytes (RFC 6455, section 5)."""

from __future__ import annotations

from typing import NamedTuple

CONTINUATION, TEXT, CLOSE, PING, PONG = 0x0, 0x1, 0x8, 0x9, 0xA
FINAL, MASKED = 0x80, 0x80
MEDIUM, LONG = 126, 127
MEDIUM_LIMIT = 1 << 16
NO_MASK = bytes(4)


class Frame(NamedTuple):
    """A frame of the server, and the place in the bytes after it."""

    opcode: int
    is_final: bool
    payload: bytes
    end: int


def encode(opcode: int, payload: bytes, mask: bytes = NO_MASK) -> bytes:
    """A whole frame of a client; a mask of zeros leaves the payload as it is."""
    length = len(payload)
    if length < MEDIUM:
        size = bytes((MASKED | length,))
    elif length < MEDIUM_LIMIT:
        size = bytes((MASKED | MEDIUM,)) + length.to_bytes(2)
    else:
        size = bytes((MASKED | LONG,)) + length.to_bytes(8)
    return bytes((FINAL | opcode,)) + size + mask + masked(payload, mask)


def masked(payload: bytes, mask: bytes) -> bytes:
    """A payload under a mask of 4 bytes, or out of it."""
    if mask == NO_MASK:
        return payload
    length = len(payload)
    stretched = (mask * (length // 4 + 1))[:length]
    return (int.from_bytes(payload) ^ int.from_bytes(stretched)).to_bytes(length)


def next_frame(data: bytes, place: int) -> Frame | None:
    """The server's frame that begins at a place, once all of it is there."""
    if len(data) < place + 2:
        return None
    length, begin = data[place + 1], place + 2
    if length >= MEDIUM:
        begin += 2 if length == MEDIUM else 8
        length = int.from_bytes(data[place + 2 : begin])
    end = begin + length
    if len(data) < end:
        return None
    return Frame(data[place] & 0xF, bool(data[place] & FINAL), data[begin:end], end)
