"""The Protobuf form, as a client in Python writes and reads it: a frame or an event is what it is in JSON."""

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from gateway.proto import readcast_pb2 as pb
from gateway.proto.events import event_decoder

ARRAYS = (pb.Rate, pb.Since, pb.Place, pb.Position)

_known = event_decoder(strict=True).decode


class Event(dict[str, Any]):
    """Null and missing are the same."""

    def __missing__(self, _name: str) -> None:
        return None


def client_frame(frame: Mapping[str, Any]) -> bytes:
    """A frame as bytes; ValueError or TypeError where Protobuf has no words for it."""
    fields = dict(frame)
    op, ref = fields.pop("op"), fields.pop("ref", None)
    made = pb.ClientFrame()
    if ref is not None:
        setattr(made, "ref_text" if isinstance(ref, str) else "ref_number", ref)
    content = getattr(made, op, None)
    if not isinstance(content, Message):
        raise ValueError(f"no operation {op!r}")
    content.SetInParent()
    fill(content, fields)
    return made.SerializeToString()


def fill(message: Message, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        field = message.DESCRIPTOR.fields_by_name.get(name)
        if field is None:
            raise ValueError(f"{message.DESCRIPTOR.name} has no {name!r}")
        if value is not None or is_json(field):
            put(message, field, value)


def put(message: Message, field: FieldDescriptor, value: Any) -> None:
    held = getattr(message, field.name)
    if is_map(field):
        for key, one in value.items():
            fill_one(held[key], one)
    elif field.is_repeated:
        if not isinstance(value, list | tuple):
            raise TypeError(f"{field.name} is a list, not {value!r}")
        held.extend(value)
    elif isinstance(held, Message):
        fill_one(held, value)
    else:
        setattr(message, field.name, orjson.dumps(value) if is_json(field) else value)


def fill_one(message: Message, value: Any) -> None:
    message.SetInParent()
    if isinstance(message, ARRAYS):
        names = [field.name for field in message.DESCRIPTOR.fields]
        value = dict(zip(names, value, strict=True))
    fill(message, value)


def server_events(frame: bytes) -> list[Event]:
    """The events of a frame."""
    return [event_of(event) for event in pb.ServerFrame.FromString(frame).events]


def event_of(event: pb.Event) -> Event:
    op, ref = event.WhichOneof("op"), event.WhichOneof("ref")
    assert op is not None, f"an event that the schema doesn't know: {event}"
    known = Event(op=op, **read(getattr(event, op)))
    if ref is not None:
        known["ref"] = getattr(event, ref)
    return known


def read(message: Message) -> Any:
    if isinstance(message, ARRAYS):
        return [getattr(message, field.name) for field in message.DESCRIPTOR.fields]
    return Event(
        {
            field.name: take(field, getattr(message, field.name))
            for field in message.DESCRIPTOR.fields
            if field.is_repeated or message.HasField(field.name)
        }
    )


def take(field: FieldDescriptor, value: Any) -> Any:
    if is_map(field):
        return dict(value)
    if field.is_repeated:
        return [read(one) if field.message_type else one for one in value]
    if is_json(field):
        return orjson.loads(value)
    return read(value) if field.message_type else value


def is_json(field: FieldDescriptor) -> bool:
    return field.type == FieldDescriptor.TYPE_BYTES and not field.full_name.endswith(".Chunk.data")


def is_map(field: FieldDescriptor) -> bool:
    return bool(field.message_type and field.message_type.GetOptions().map_entry)


def check_known(frame: str | bytes) -> None:
    """Every event of a JSON frame, and every field of it, is in the schema."""
    for event in msgspec.json.decode(frame, type=list[msgspec.Raw]):
        _known(event)
