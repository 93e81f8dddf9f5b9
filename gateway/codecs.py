"""How frames are written: as JSON or as Protobuf. A client chooses by the WebSocket's subprotocol."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from aiohttp import WSMsgType

from gateway import wire
from gateway.proto import events as proto_events
from gateway.proto import frames as proto_frames
from streams.errors import Refused

SHARED_EVENTS = 1_000
"""Events that are kept in Protobuf: whoever else gets one mostly does so in the same turn."""

SHARED_BYTES = 16 * 1024
"""Longest event that is kept: pages are one session's, and kept events are 32 MiB at most."""


class Codec(Protocol):
    """One way to write frames. Inside the gateway a frame is a struct and an event is JSON."""

    subprotocol: str
    message_type: WSMsgType

    def decode(self, data: bytes) -> wire.AnyFrame | wire.BadFrame:
        """Decode one client frame; `Disconnect` if it can't be one at all."""

    def ref(self, data: bytes) -> wire.Ref:
        """The `ref` of a client frame whatever else is in it; `Disconnect` as in `decode`."""

    def payload(self, events: Sequence[bytes]) -> bytes:
        """What one server frame with these events has to say."""


class Json:
    """`readcast.json`: an object for a client frame, an array of objects for a server frame."""

    subprotocol = "readcast.json"
    message_type = WSMsgType.TEXT

    def decode(self, data: bytes) -> wire.AnyFrame | wire.BadFrame:
        return wire.decode(data)

    def ref(self, data: bytes) -> wire.Ref:
        return wire.frame_ref(data)

    def payload(self, events: Sequence[bytes]) -> bytes:
        return b"[%b]" % b",".join(events)


class Proto:
    """`readcast.proto`: a `ClientFrame`, and a `ServerFrame`."""

    subprotocol = "readcast.proto"
    message_type = WSMsgType.BINARY

    def decode(self, data: bytes) -> wire.AnyFrame | wire.BadFrame:
        frame = proto_frames.parse(data)
        try:
            return wire.decode(proto_frames.as_json(frame))
        except Refused as error:
            return wire.BadFrame(proto_frames.ref_of(frame), error)

    def ref(self, data: bytes) -> wire.Ref:
        return proto_frames.ref_of(proto_frames.parse(data))

    def payload(self, events: Sequence[bytes]) -> bytes:
        return b"".join(map(_server_frame, events))


def _server_frame(event: bytes) -> bytes:
    if len(event) > SHARED_BYTES:
        return proto_events.server_frame(event)
    return _shared(event)


_shared = lru_cache(SHARED_EVENTS)(proto_events.server_frame)

CODECS: tuple[Codec, ...] = (Json(), Proto())
"""The first is for clients that don't choose."""

SUBPROTOCOLS = tuple(codec.subprotocol for codec in CODECS)
