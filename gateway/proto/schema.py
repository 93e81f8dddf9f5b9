"""What the fields of the schema stand for in JSON."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from gateway.proto import readcast_pb2 as pb

_ARRAYS = frozenset(
    kind.DESCRIPTOR.full_name for kind in (pb.Rate, pb.Since, pb.Place, pb.Position)
)

_PIECES = frozenset(
    f"{kind.DESCRIPTOR.full_name}.data" for kind in (pb.ClientFrame.Chunk, pb.Event.Chunk)
)

ENCODING = "latin-1"
"""What bytes are in JSON: each is the character of its number."""


def ops_of(frame: type[Message]) -> list[FieldDescriptor]:
    """What a frame or event can be: a field for each `op`."""
    oneof: Any = frame.DESCRIPTOR.oneofs_by_name["op"]
    return list(oneof.fields)


def fields_of(field: FieldDescriptor) -> list[FieldDescriptor]:
    """The fields of the message that a field holds, in their order; none in a scalar."""
    return list(field.message_type.fields) if field.message_type else []


def is_array(field: FieldDescriptor) -> bool:
    """Whether a field holds a message that is an array, of its fields in their order."""
    return field.message_type is not None and field.message_type.full_name in _ARRAYS


def is_json(field: FieldDescriptor) -> bool:
    """Whether a field holds JSON as text."""
    return field.type == FieldDescriptor.TYPE_BYTES and not is_piece(field)


def is_piece(field: FieldDescriptor) -> bool:
    """Whether a field holds a piece of a frame; in JSON it is text of the ENCODING."""
    return field.full_name in _PIECES


def map_value(field: FieldDescriptor) -> FieldDescriptor | None:
    """The values of a map; None if the field is none."""
    kind = field.message_type
    if kind is None or not kind.GetOptions().map_entry:
        return None
    return kind.fields_by_name["value"]
