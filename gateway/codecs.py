"""How frames are written: as JSON or as Protobuf. A client chooses by the WebSocket's subprotocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Protocol

from aiohttp import WSMsgType

from gateway import wire
from gateway.proto import events as proto_events
from gateway.proto import frames as proto_frames
from gateway.proto.schema import ENCODING
from streams.errors import Refused

SHARED_EVENTS = 1_000
"""Events that are kept in Protobuf: whoever else gets one mostly does so in the same turn."""

SHARED_BYTES = 16 * 1024
"""Longest event that is kept: pages are one session's, and kept events are 32 MiB at most."""

CHUNK_OVERHEAD = 128
"""Bytes of a chunk besides its `data`, at most."""


class Codec(Protocol):
    """One way to write frames. Inside the gateway a frame is a struct and an event is JSON.

    encoding: makes bytes of the `data` of a chunk, which is text there.
    """

    subprotocol: str
    message_type: WSMsgType
    encoding: str

    def decode(self, data: bytes) -> wire.AnyFrame | wire.BadFrame:
        """Decode one client frame; `Disconnect` if it can't be one at all."""

    def payload(self, events: Sequence[bytes]) -> bytes:
        """What one server frame with these events has to say."""

    def pieces(self, payload: bytes, size: int) -> Iterator[bytes]:
        """A payload in pieces that fit as `data` into chunks of `size` bytes."""


class Json:
    """`readcast.json`: an object for a client frame, an array of objects for a server frame."""

    subprotocol = "readcast.json"
    message_type = WSMsgType.TEXT
    encoding = "utf-8"

    def decode(self, data: bytes) -> wire.AnyFrame | wire.BadFrame:
        return wire.decode(data)

    def payload(self, events: Sequence[bytes]) -> bytes:
        return b"[%b]" % b",".join(events)

    def pieces(self, payload: bytes, size: int) -> Iterator[bytes]:
        # As text in text, each quote and backslash of JSON takes two bytes.
        most, start = (size - CHUNK_OVERHEAD) // 2, 0
        while start < len(payload):
            end = start + most
            while end < len(payload) and _continues(payload[end]):
                end -= 1
            yield payload[start:end]
            start = end


class Proto:
    """`readcast.proto`: a `ClientFrame`, and a `ServerFrame`."""

    subprotocol = "readcast.proto"
    message_type = WSMsgType.BINARY
    encoding = ENCODING

    def decode(self, data: bytes) -> wire.AnyFrame | wire.BadFrame:
        frame = proto_frames.parse(data)
        try:
            return wire.decode(proto_frames.as_json(frame))
        except Refused as error:
            return wire.BadFrame(proto_frames.ref_of(frame), error)

    def payload(self, events: Sequence[bytes]) -> bytes:
        return b"".join(map(_server_frame, events))

    def pieces(self, payload: bytes, size: int) -> Iterator[bytes]:
        most = size - CHUNK_OVERHEAD
        return (payload[start : start + most] for start in range(0, len(payload), most))


def _continues(byte: int) -> bool:
    """Whether a character of UTF-8 goes on with this byte."""
    return byte & 0xC0 == 0x80


def _server_frame(event: bytes) -> bytes:
    if len(event) > SHARED_BYTES:
        return proto_events.server_frame(event)
    return _shared(event)


_shared = lru_cache(SHARED_EVENTS)(proto_events.server_frame)

CODECS: tuple[Codec, ...] = (Json(), Proto())
"""The first is for clients that don't choose."""

SUBPROTOCOLS = tuple(codec.subprotocol for codec in CODECS)
