"""Protobuf: a schema that says what the structs say, and frames that mean what they mean in JSON."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from gateway import wire
from gateway.codecs import CODECS
from gateway.errors import Disconnect
from gateway.proto import frames
from gateway.proto import readcast_pb2 as pb
from gateway.proto.events import event_decoder
from gateway.proto.schema import fields_of, is_json, map_value, ops_of
from streams.errors import Code
from tests.e2e.protobuf import client_frame
from tests.gateway.conftest import House
from tests.records import new_id

ROOT = Path(__file__).resolve().parents[2]
UUID = "0b9f7f0c-6d6c-4a2b-9f2e-1c9e0a4f1a01"
FRAMES = get_args(wire.AnyFrame)
OF_EVERY_FRAME = {"ref", "by", "from", "user"}
"""`ref` stands beside the operation; a user has no words to say who they are."""

_, PROTO = CODECS


def test_the_generated_code_is_that_of_the_schema(tmp_path):
    command = [sys.executable, "-m", "grpc_tools.protoc", "--proto_path=."]
    outputs = [f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    subprocess.run([*command, *outputs, "gateway/proto/readcast.proto"], cwd=ROOT, check=True)
    for made in (tmp_path / "gateway/proto").iterdir():
        kept = ROOT / "gateway/proto" / made.name
        assert kept.read_text() == made.read_text(), f"{made.name}: run `make proto`"


@pytest.mark.parametrize("kind", FRAMES, ids=lambda kind: kind.__name__)
def test_every_frame_has_a_message_with_its_fields(kind):
    field = {one.name: one for one in ops_of(pb.ClientFrame)}[kind.__struct_config__.tag]
    assert field.message_type.name == kind.__name__
    own = {"user"} if kind is wire.Preview else set()
    assert_same(field, kind, OF_EVERY_FRAME - own)


def test_the_schema_has_no_operation_that_there_is_not():
    tags = {kind.__struct_config__.tag for kind in FRAMES}
    assert {field.name for field in ops_of(pb.ClientFrame)} == tags


def assert_same(field: FieldDescriptor, kind: type, but: set[str]) -> None:
    fields = {one.encode_name: one.type for one in msgspec.structs.fields(kind)}
    names = {one.name for one in fields_of(field)}
    assert names == fields.keys() - but, field.full_name
    for inner in fields_of(field):
        for one in (fields[inner.name], *get_args(fields[inner.name])):
            if isinstance(one, type) and issubclass(one, msgspec.Struct):
                assert_same(inner, one, set())


@pytest.mark.parametrize("op", ops_of(pb.Event), ids=lambda op: op.name)
def test_every_field_of_an_event_arrives(op):
    """The JSON of an event in which every field is set, and the Protobuf that is made of it."""
    event = msgspec.json.encode({"op": op.name, "ref": 3, **filled(op)})
    event_decoder(strict=True).decode(event)
    (read,) = pb.ServerFrame.FromString(PROTO.payload([event])).events
    assert (read.WhichOneof("op"), read.ref_number) == (op.name, 3)
    assert_all_set(getattr(read, op.name))


def filled(field: FieldDescriptor) -> Any:
    return {one.name: example(one) for one in fields_of(field)}


def example(field: FieldDescriptor) -> Any:
    if map_value(field) is not None:
        return {"group": 7}
    value = single(field)
    return [value] if field.is_repeated else value


def single(field: FieldDescriptor) -> Any:
    if field.message_type:
        values = filled(field)
        return [*values.values()] if field.message_type.name in ("Place", "Position") else values
    if is_json(field):
        return {"text": 1.5}
    return {str: "a", int: 7, float: 0.5, bool: True}[scalar(field)]


def scalar(field: FieldDescriptor) -> type:
    return {
        FieldDescriptor.TYPE_STRING: str,
        FieldDescriptor.TYPE_INT64: int,
        FieldDescriptor.TYPE_DOUBLE: float,
        FieldDescriptor.TYPE_BOOL: bool,
        FieldDescriptor.TYPE_BYTES: str,
    }[field.type]


def assert_all_set(message: Message) -> None:
    held = dict(message.ListFields())
    assert held.keys() == set(message.DESCRIPTOR.fields)
    for field, value in held.items():
        if field.message_type and map_value(field) is None:
            for one in value if field.is_repeated else [value]:
                assert_all_set(one)


def decode(**fields: Any) -> Any:
    return PROTO.decode(client_frame(fields))


def test_a_frame_is_the_same_in_both_forms():
    frame = decode(op="send", ref=3, mailbox="group:42", id=UUID, body={"b": 1.5})
    assert isinstance(frame, wire.Send)
    assert (bytes(frame.body), frame.ref, frame.id) == (b'{"b":1.5}', 3, UUID)


def test_arrays_and_maps_are_what_they_are_in_json():
    hello = decode(op="hello", token="t", since={"group:42": ["e", 17]}, ack=True)
    assert (hello.token, hello.since, hello.ack) == ("t", {"group:42": ("e", 17)}, True)
    page = decode(op="history", place=[5, "group:42", 17])
    assert (page.mailbox, page.place, page.limit) == (None, (5, "group:42", 17), 50)
    create = decode(op="create", mailbox="group:42", policy={"member_rate": [0.5, 2.0]})
    assert create.policy.member_rate == (0.5, 2.0)


def test_json_within_is_read():
    preview = decode(op="preview", mailbox="public:news", publish=1, user="bob", claims={"a": [1]})
    assert preview.claims == {"a": [1]}
    assert (preview.user, preview.names_only("olga")) == ("bob", True)


@pytest.mark.parametrize("ref", [0, -7, "", "a", "\u20ac", 2**53])
def test_a_ref_comes_back_as_it_was(ref):
    (pong,) = pb.ServerFrame.FromString(PROTO.payload([wire.event("pong", ref)])).events
    assert getattr(pong, pong.WhichOneof("ref")) == ref
    assert decode(op="ping", ref=ref).ref == ref


@pytest.mark.parametrize(
    ("fields", "hint"),
    [
        ({"op": "send", "mailbox": "group:42", "id": UUID}, "body"),
        ({"op": "send", "mailbox": "group:42", "id": "1", "body": 1}, "id"),
        ({"op": "watch", "mailbox": "nowhere"}, "mailbox"),
        ({"op": "read", "mailbox": "group:42", "seq": -1}, "seq"),
        ({"op": "read", "mailbox": "group:42", "seq": 2**60}, "seq"),
        ({"op": "history", "mailbox": "group:42", "limit": 1_001}, "limit"),
        ({"op": "block", "members": []}, "members"),
        ({"op": "create", "mailbox": "group:42", "policy": {"post": "nobody"}}, "policy"),
    ],
)
def test_a_wrong_frame_is_told_what_is_wrong(fields, hint):
    frame = decode(**fields, ref="r1")
    assert isinstance(frame, wire.BadFrame)
    assert (frame.ref, frame.error.code) == ("r1", Code.BAD_REQUEST)
    assert hint in frame.error.message


@pytest.mark.parametrize("body", [b"", b"{", b"1,2", b'1}{"op":"ping"', b'1,"by":"bob"', b"hello"])
@pytest.mark.parametrize("field", ["body", "audience"])
def test_what_should_be_json_is_refused_and_stays_where_it_was(body, field):
    publish = {"mailbox": "public:news", "id": UUID, "title": "t", "body": b"1", field: body}
    frame = PROTO.decode(pb.ClientFrame(ref_number=1, publish=publish).SerializeToString())
    assert isinstance(frame, wire.BadFrame)
    assert (frame.ref, frame.error.code) == (1, Code.BAD_REQUEST)
    assert field in frame.error.message


UNKNOWN = {
    "nothing": b"",
    "only a ref": pb.ClientFrame(ref_number=1).SerializeToString(),
    "an operation of tomorrow": b"\xc2\x3e\x00",
    "a field of tomorrow": pb.ClientFrame(ping={}).SerializeToString() + b"\xc0\x3e\x01",
    "a field within": b"\x62\x03\xc0\x3e\x01",
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_the_schema_does_not_know_is_refused(name):
    frame = PROTO.decode(UNKNOWN[name])
    assert isinstance(frame, wire.BadFrame)
    assert frame.error.code is Code.BAD_REQUEST
    assert "op" in frame.error.message


@pytest.mark.parametrize("data", [b"\xff", b"hello", b'{"op":"ping"}', b"\x0a\x02\xff\xff"])
def test_what_is_no_protobuf_ends_the_session(data):
    with pytest.raises(Disconnect):
        PROTO.decode(data)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_frame_a_refusal_or_the_end(data):
    try:
        frame = PROTO.decode(data)
    except Disconnect:
        return
    assert isinstance(frame, wire.Frame | wire.BadFrame)


@given(st.binary(max_size=40), st.sampled_from(["body", "mailbox", "id"]))
def test_any_field_is_taken_or_refused(value, name):
    send: dict[str, Any] = {"mailbox": "group:42", "id": UUID, "body": b"1"}
    send[name] = value if name == "body" else value.decode("latin-1")
    frame = PROTO.decode(pb.ClientFrame(send=send).SerializeToString())
    # A value of JSON may have whitespace around it, which isn't kept.
    assert isinstance(frame, wire.BadFrame) or bytes(frame.body) == send["body"].strip(b" \t\r\n")


def test_the_json_of_a_frame_is_one_object():
    frame = pb.ClientFrame(ping={}, ref_text='"},{')
    assert frames.as_json(frame) == b'{"op":"ping","ref":"\\"},{"}'


async def test_a_session_in_protobuf(house: House, group: str):
    client = await house.dial("alice", subprotocol="readcast.proto")
    await client.hello(house.token("alice"))
    assert await client.sync() == {}
    await client.request("create", mailbox=group)
    assert (await client.send(group, {"n": 1.5}))["seq"] == 1
    assert (await client.message(group, 1))["body"] == {"n": 1.5}


async def test_the_client_of_the_documentation(house: House, group: str):
    document = (ROOT / "docs/protocol.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", document.partition("### Protobuf")[2], re.DOTALL)
    client: dict[str, Any] = {}
    exec(code, client)
    alice = await house.synced("alice")
    await alice.request("create", mailbox=group)
    await alice.send(group, {"text": "hi"})
    token = house.token("alice")
    said = await client["last_messages"](house.url, token, group)
    assert said == [("alice", {"text": "hi"})]
    with pytest.raises(RuntimeError, match="refused"):
        await client["last_messages"](house.url, token, "group:nowhere")


@pytest.mark.parametrize("frame", ["hello", '{"op":"ping"}', b"\xff\xff"])
async def test_other_frames_end_the_session(house: House, frame: str | bytes):
    client = await house.dial("alice", subprotocol="readcast.proto")
    await client.hello(house.token("alice"))
    await client.put_raw(frame)
    assert await client.closed() == 4503


async def test_a_frame_too_large_ends_the_session(house: House):
    client = await house.dial("alice", subprotocol="readcast.proto")
    await client.put({"op": "send", "mailbox": "group:a", "id": new_id(), "body": "x" * 200_000})
    assert await client.closed() == 4504


async def test_too_many_frames_are_told_their_ref(house_of):
    house = await house_of(frame_rate=1, frame_burst=2)
    client = await house.dial("alice", subprotocol="readcast.proto")
    await client.hello(house.token("alice"))
    refs = [await client.post("ping") for _ in range(3)]
    refused = await client.wait(lambda event: event["ref"] == refs[-1], "the refusal")
    assert refused["code"] == "rate_limited"
