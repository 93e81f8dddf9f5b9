"""Client frames in Protobuf, as the JSON that they stand for."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from gateway.errors import CloseCode, Disconnect
from gateway.proto import readcast_pb2 as pb
from gateway.proto.schema import ENCODING, fields_of, is_array, is_json, is_piece, map_value
from streams.errors import Code, Refused

_check_json = msgspec.json.Decoder(msgspec.Raw).decode


def parse(data: bytes) -> pb.ClientFrame:
    """Parse a frame; `Disconnect` if it is none."""
    try:
        return pb.ClientFrame.FromString(data)
    except DecodeError as error:
        raise Disconnect(CloseCode.PROTOCOL, f"a frame is one ClientFrame: {error}"[:120]) from None


def ref_of(frame: pb.ClientFrame) -> str | int | None:
    """The ref that answers carry."""
    name = frame.WhichOneof("ref")
    return None if name is None else getattr(frame, name)


def as_json(frame: pb.ClientFrame) -> bytes:
    """The same frame in the JSON form; `Refused` if the schema doesn't know all of it."""
    size = frame.ByteSize()
    frame.DiscardUnknownFields()
    if frame.ByteSize() != size:
        raise Refused(Code.BAD_REQUEST, "an op or a field that readcast.proto does not have")
    op = frame.WhichOneof("op")
    if op is None:
        raise Refused(Code.BAD_REQUEST, "a frame has one `op`")
    return orjson.dumps({"op": op, "ref": ref_of(frame), **_object(getattr(frame, op))})


def _object(message: Message) -> dict[str, Any]:
    return {field.name: _value(field, value) for field, value in message.ListFields()}


def _value(field: FieldDescriptor, value: Any) -> Any:
    values = map_value(field)
    if values is not None:
        return {key: _single(values, value[key]) for key in value}
    return list(value) if field.is_repeated else _single(field, value)


def _single(field: FieldDescriptor, value: Any) -> Any:
    if is_json(field):
        return _json(field.name, value)
    if is_piece(field):
        return value.decode(ENCODING)
    if is_array(field):
        return [getattr(value, one.name) for one in fields_of(field)]
    return _object(value) if field.message_type else value


def _json(name: str, text: bytes) -> orjson.Fragment:
    try:
        _check_json(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Code.BAD_REQUEST, f"{name}: {error}") from None
    return orjson.Fragment(text)
