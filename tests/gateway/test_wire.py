import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import wire
from gateway.errors import Disconnect
from streams.errors import Code, Refused
from tests.gateway.fakes import message

UUID = "0b9f7f0c-6d6c-4a2b-9f2e-1c9e0a4f1a01"


def decode(**fields):
    return wire.decode(json.dumps(fields).encode())


def test_a_send_keeps_its_body_as_it_came():
    frame = wire.decode(
        b'{"op":"send","mailbox":"group:42","id":"%b","body":{"b": 1.50},"ref":3}' % UUID.encode()
    )
    assert isinstance(frame, wire.Send)
    assert bytes(frame.body) == b'{"b": 1.50}'
    assert frame.ref == 3


def test_a_hello_may_resume_mailboxes():
    frame = decode(op="hello", token="t", since={"group:42": ["e", 17]}, ack=True)
    assert isinstance(frame, wire.Hello)
    assert frame.since == {"group:42": ("e", 17)}


@pytest.mark.parametrize(
    ("fields", "hint"),
    [
        ({"op": "nonsense"}, "nonsense"),
        ({}, "op"),
        ({"op": "send", "mailbox": "group:42", "id": UUID}, "body"),
        ({"op": "send", "mailbox": "group:42", "id": "1", "body": 1}, "id"),
        ({"op": "watch", "mailbox": "nowhere"}, "mailbox"),
        ({"op": "watch", "mailbox": "group:42", "mode": "loud"}, "loud"),
        ({"op": "read", "mailbox": "group:42", "seq": -1}, "seq"),
        ({"op": "history", "mailbox": "group:42", "limit": 1_001}, "limit"),
        ({"op": "join", "mailbox": "group:42", "members": []}, "members"),
        ({"op": "ping", "extra": 1}, "extra"),
    ],
)
def test_a_wrong_frame_is_told_what_is_wrong(fields, hint):
    frame = decode(**fields, ref="r1")
    assert isinstance(frame, wire.BadFrame)
    assert frame.ref == "r1"
    assert frame.error.code is Code.BAD_REQUEST
    assert hint in frame.error.message


@pytest.mark.parametrize("data", [b"[1]", b"5", b'"hello"', b"null"])
def test_json_that_is_no_object_is_refused_without_a_ref(data):
    frame = wire.decode(data)
    assert isinstance(frame, wire.BadFrame)
    assert frame.ref is None


@pytest.mark.parametrize("data", [b"", b"hello", b'{"op":"ping"', b'{"op":"ping"} x', b"\xff"])
def test_what_is_no_json_ends_the_session(data):
    with pytest.raises(Disconnect):
        wire.decode(data)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_frame_a_refusal_or_the_end(data):
    try:
        frame = wire.decode(data)
    except Disconnect:
        return
    assert isinstance(frame, wire.Frame | wire.BadFrame)


def test_a_ref_that_is_no_ref_is_not_echoed():
    assert decode(op="nonsense", ref={"a": 1}).ref is None
    assert decode(op="nonsense", ref="x" * 200).ref is None
    assert decode(op="nonsense", ref=2**70).ref is None
    assert wire.decode(b'{"op":"nonsense","ref":1e999}').ref is None


@pytest.mark.parametrize("ref", [0, -7, 1.5, "", "a", "\u20ac", 2**53])
def test_a_ref_comes_back_as_it_was(ref):
    frame = decode(op="ping", ref=ref)
    assert json.loads(wire.event("pong", frame.ref))["ref"] == ref


def test_a_frame_names_only_its_user():
    assert decode(op="ping").names_only("alice")
    assert decode(op="ping", by="alice", **{"from": "alice"}).names_only("alice")
    assert not decode(op="ping", **{"from": "bob"}).names_only("alice")
    assert not decode(op="ping", user="bob").names_only("alice")


def test_a_message_is_encoded_with_its_body_as_stored():
    event = json.loads(wire.message_event("group:42", message(17)))
    assert event == {
        "op": "message",
        "mailbox": "group:42",
        "seq": 17,
        "id": "00000000-0000-0000-0000-000000000017",
        "from": "alice",
        "ts": 1_700_000_000_017,
        "body": {"n": 17},
    }


def test_a_recalled_message_has_no_body():
    fields = wire.message_fields(message(1, recalled=3, recalled_by="alice"))
    assert fields["recalled"] is True
    assert "body" not in fields


def test_an_error_says_whether_to_try_again():
    event = json.loads(wire.error_event(Refused(Code.RATE_LIMITED, "slow down", 0.5), "r"))
    assert event == {
        "op": "error",
        "ref": "r",
        "code": "rate_limited",
        "message": "slow down",
        "retriable": True,
        "retry_after": 0.5,
    }
    assert "retry_after" not in json.loads(wire.error_event(Refused(Code.FORBIDDEN, "no")))


def test_the_chunks_of_the_documentation_are_a_frame():
    text = (Path(__file__).resolve().parents[2] / "docs/protocol.md").read_text()
    (example,) = re.findall(r"```json\n(.*?)```", text.partition("### Chunks")[2], re.DOTALL)[:1]
    chunks = [wire.decode(line.encode()) for line in example.splitlines()]
    assert all(isinstance(chunk, wire.Chunk) for chunk in chunks)
    assert [(chunk.part, chunk.of) for chunk in chunks] == [(1, 3), (2, 3), (3, 3)]
    frame = wire.decode("".join(chunk.data for chunk in chunks).encode())
    assert isinstance(frame, wire.Send)
    assert {chunk.ref for chunk in chunks} == {frame.ref}
    assert bytes(frame.body) == b'{"text":"Once upon a time"}'


@pytest.mark.parametrize(
    ("frame", "ref"),
    [
        (rb'{"op":"ping","ref":3,"more":"cut \ud83d"}', 3),
        (rb'{"op":"ping","ref":"a","more":"\udc00 x"}', "a"),
        (rb'{"op":"ping","ref":"\ud83d x"}', None),
        (b'{"op":"ping","ref":3,"more":' + b"[" * 20_000 + b"]" * 20_000 + b"}", None),
        (rb'["\ud83d"]', None),
    ],
    ids=["half a pair", "the other half", "in the ref", "too deep", "no object"],
)
def test_json_that_not_all_parsers_read_is_refused_and_no_end(frame, ref):
    bad = wire.decode(frame)
    assert isinstance(bad, wire.BadFrame)
    assert (bad.ref, bad.error.code) == (ref, Code.BAD_REQUEST)


@pytest.mark.parametrize("frame", [rb'{"ref":NaN,"more":"\ud83d"}', rb'{"more":"\ud83d"', b"\xff"])
def test_what_is_no_json_is_the_end(frame):
    with pytest.raises(Disconnect):
        wire.decode(frame)
