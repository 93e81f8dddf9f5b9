"""Events in Protobuf, from their JSON."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_
from types import GenericAlias
from typing import Any

import msgspec
from google.protobuf.descriptor import FieldDescriptor
from msgspec import Raw, Struct

from gateway.proto import readcast_pb2 as pb
from gateway.proto.schema import ENCODING, fields_of, is_array, is_json, map_value, ops_of

_scalars = {
    FieldDescriptor.TYPE_STRING: str,
    FieldDescriptor.TYPE_INT64: int,
    FieldDescriptor.TYPE_DOUBLE: float,
    FieldDescriptor.TYPE_BOOL: bool,
    FieldDescriptor.TYPE_BYTES: str,
}


def event_decoder(*, strict: bool = False) -> msgspec.json.Decoder[Struct]:
    """A decoder for the JSON of any event, into structs that have the fields of the schema.

    strict: what the schema doesn't have is an error; else it is passed over.
    """
    ref = ("ref", str | int | float | None, None)
    structs = [
        msgspec.defstruct(
            field.name,
            [ref, *_typed(fields_of(field), strict)],
            tag_field="op",
            tag=field.name,
            forbid_unknown_fields=strict,
        )
        for field in ops_of(pb.Event)
    ]
    return msgspec.json.Decoder(reduce(or_, structs))


def server_frame(event: bytes) -> bytes:
    """A `ServerFrame` that holds one event. Two of them in a row are one that holds both."""
    decoded = _decode(event)
    op, fields = str(decoded.__struct_config__.tag), _plain(decoded)
    ref = fields.pop("ref")
    if op == "chunk":
        fields["data"] = fields["data"].encode(ENCODING)
    content: dict[str, Any] = {op: fields}
    if ref is not None:
        content["ref_text" if isinstance(ref, str) else "ref_number"] = ref
    return pb.ServerFrame(events=[content]).SerializeToString()


def _typed(fields: Iterable[FieldDescriptor], strict: bool) -> list[tuple[str, Any, Any]]:
    return [(field.name, _type(field, strict), None) for field in fields]


def _type(field: FieldDescriptor, strict: bool) -> Any:
    if is_json(field):
        return Raw
    values = map_value(field)
    if values is not None:
        return GenericAlias(dict, (str, _scalars[values.type])) | None
    single = _struct(field, strict) if field.message_type else _scalars[field.type]
    return (GenericAlias(list, (single,)) if field.is_repeated else single) | None


def _struct(field: FieldDescriptor, strict: bool) -> Any:
    return msgspec.defstruct(
        field.name,
        _typed(fields_of(field), strict),
        array_like=is_array(field),
        forbid_unknown_fields=strict,
    )


def _plain(value: Any) -> Any:
    """What Protobuf makes a message from: null is nothing, JSON in JSON is bytes."""
    if isinstance(value, Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return bytes(value) if isinstance(value, Raw) else value


_decode = event_decoder().decode
