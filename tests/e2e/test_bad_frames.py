"""Broken and hostile clients: the documented error or close code, and nobody else notices."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from gateway.proto import readcast_pb2 as pb
from tests.e2e.conftest import Connect, Party
from tests.e2e.protobuf import client_frame
from tests.processes import System
from tests.records import new_id, unique

Claims = Callable[[System], str]

GROUP = "group:anything"


def unsigned(claims: dict[str, Any]) -> str:
    """A token with `alg: none`, made by hand since libraries refuse to."""
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return ".".join(part.rstrip("=") for part in encoded) + "."


def in_an_hour() -> int:
    return int(time.time()) + 3600


BAD_TOKENS: dict[str, tuple[int, Claims]] = {
    "empty": (4501, lambda _: ""),
    "no token at all": (4501, lambda _: "hello"),
    "expired": (4502, lambda stack: stack.token("alice", exp=int(time.time()) - 60)),
    "signed otherwise": (
        4501,
        lambda stack: stack.signed({"sub": "alice", "exp": in_an_hour()}, "x" * 32),
    ),
    "alg none": (4501, lambda _: unsigned({"sub": "alice", "exp": in_an_hour()})),
    "cut off": (4501, lambda stack: stack.token("alice")[:-5]),
    "no exp": (4501, lambda stack: stack.token("alice", exp=None)),
    "exp is no number": (4501, lambda stack: stack.token("alice", exp="tomorrow")),
    "no sub": (4501, lambda stack: stack.token("alice", sub=None)),
    "sub is system": (4501, lambda stack: stack.token("system")),
    "sub is no name": (4501, lambda stack: stack.token("alice/bob")),
    "sub with a newline": (4501, lambda stack: stack.token("alice\n")),
    "sub is empty": (4501, lambda stack: stack.token("")),
    "sub is too long": (4501, lambda stack: stack.token("a" * 65)),
    "sub is a number": (4501, lambda stack: stack.token("alice", sub=7)),
    "not yet valid": (4501, lambda stack: stack.token("alice", nbf=in_an_hour())),
}


@pytest.mark.parametrize("name", BAD_TOKENS)
async def test_a_bad_token_closes_the_socket(stack: System, dial: Connect, name: str):
    code, make = BAD_TOKENS[name]
    client = await dial()
    await client.put({"op": "hello", "token": make(stack)})
    assert await client.closed() == code
    assert not any(event["op"] == "welcome" for event in client.events)


@pytest.mark.parametrize("name", ["expired", "signed otherwise", "alg none", "sub is system"])
async def test_a_bad_token_in_the_handshake_gets_no_session(
    stack: System, dial: Connect, name: str
):
    code, make = BAD_TOKENS[name]
    try:
        client = await dial(headers={"Authorization": f"Bearer {make(stack)}"})
    except InvalidStatus as refused:
        status = refused.response.status_code
        assert status in (401, 403)
        return
    await client.put({"op": "hello"})
    assert await client.closed() == code


async def test_hello_without_a_token(dial: Connect):
    client = await dial()
    await client.put({"op": "hello"})
    assert await client.closed() == 4501


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_a_foreign_page_may_not_connect(dial: Connect, origin: str):
    with pytest.raises(InvalidStatus) as refused:
        await dial(origin=origin)
    assert refused.value.response.status_code == 403


async def test_our_own_page_may_connect(stack: System, dial: Connect):
    client = await dial(origin=stack.http)
    assert (await client.hello(stack.token("alice")))["op"] == "welcome"


def send(**fields: object) -> dict[str, object]:
    return {"op": "send", "mailbox": GROUP, "id": new_id(), "body": "x", **fields}


def chunk(**fields: object) -> dict[str, object]:
    return {"op": "chunk", "id": 1, "part": 1, "of": 2, "data": "", **fields}


BAD_FRAMES: dict[str, tuple[str, object]] = {
    "unknown op": ("bad_request", {"op": "explode"}),
    "no op": ("bad_request", {"mailbox": GROUP}),
    "op is a number": ("bad_request", {"op": 7}),
    "op is null": ("bad_request", {"op": None}),
    "send without id": ("bad_request", {"op": "send", "mailbox": GROUP, "body": "x"}),
    "send without body": ("bad_request", {"op": "send", "mailbox": GROUP, "id": new_id()}),
    "send without mailbox": ("bad_request", {"op": "send", "id": new_id(), "body": "x"}),
    "id is no UUID": ("bad_request", send(id="17")),
    "id is a number": ("bad_request", send(id=17)),
    "mailbox is a list": ("bad_request", send(mailbox=["group:a"])),
    "mailbox without a kind": ("bad_request", send(mailbox="lounge")),
    "mailbox of an unknown kind": ("bad_request", send(mailbox="secret:lounge")),
    "mailbox with a space": ("bad_request", send(mailbox="group:a b")),
    "mailbox with a slash": ("bad_request", send(mailbox="group:a/s")),
    "mailbox with NUL": ("bad_request", send(mailbox="group:a\x00b")),
    "mailbox with a newline": ("bad_request", send(mailbox="group:a\n")),
    "mailbox of 10,000 characters": ("bad_request", send(mailbox="group:" + "a" * 10_000)),
    "mailbox in another alphabet": ("bad_request", send(mailbox="group:чат")),
    "a field nobody knows": ("bad_request", send(colour="red")),
    "by another user": ("forbidden", send(by="somebody-else")),
    "by system": ("forbidden", send(by="system")),
    "from another user": ("forbidden", send(**{"from": "somebody-else"})),
    "as another user": ("forbidden", {"op": "read", "mailbox": GROUP, "seq": 1, "user": "bob"}),
    "negative seq": ("bad_request", {"op": "read", "mailbox": GROUP, "seq": -1}),
    "seq is a fraction": ("bad_request", {"op": "read", "mailbox": GROUP, "seq": 1.5}),
    "seq is text": ("bad_request", {"op": "read", "mailbox": GROUP, "seq": "1"}),
    "seq is true": ("bad_request", {"op": "read", "mailbox": GROUP, "seq": True}),
    "seq beyond 64 bits": ("bad_request", {"op": "read", "mailbox": GROUP, "seq": 2**70}),
    "limit of none": ("bad_request", {"op": "history", "mailbox": GROUP, "limit": 0}),
    "limit too high": ("bad_request", {"op": "history", "mailbox": GROUP, "limit": 10**6}),
    "an unknown mode": ("bad_request", {"op": "watch", "mailbox": GROUP, "mode": "loud"}),
    "an unknown policy": ("bad_request", {"op": "create", "mailbox": GROUP, "policy": {"a": 1}}),
    "members is text": ("bad_request", {"op": "join", "mailbox": GROUP, "members": "bob"}),
    "no members": ("bad_request", {"op": "join", "mailbox": GROUP, "members": []}),
    "members too many": (
        "bad_request",
        {"op": "join", "mailbox": GROUP, "members": [f"m{number}" for number in range(1_001)]},
    ),
    "a member that is no name": (
        "bad_request",
        {"op": "join", "mailbox": GROUP, "members": ["a b"]},
    ),
    "a chunk without a place": ("bad_request", {"op": "chunk", "id": 1, "data": "{"}),
    "a chunk of too many": ("bad_request", chunk(of=1_001)),
    "a chunk beyond the last": ("bad_request", chunk(part=3)),
    "a second chunk without a first": ("bad_request", chunk(part=2)),
    "a chunk by another user": ("forbidden", chunk(by="somebody-else")),
    "a list": ("bad_request", [send()]),
    "a number": ("bad_request", 17),
    "null": ("bad_request", None),
    "text": ("bad_request", "send"),
}


PROTOBUF = {"subprotocol": "readcast.proto"}
TOO_LARGE = pb.ClientFrame(send={"body": b'"%b"' % (b"x" * (200 * 1024))}).SerializeToString()
KNOWN = pb.ClientFrame(ref_number=1, ping={}).SerializeToString()
MALFORMED: dict[str, bytes] = {
    "an operation that there is not": b"\x10\x01\xc2\x3e\x00",
    "no operation": b"\x10\x01",
    "a field that there is not": KNOWN + b"\xc0\x3e\x01",
    "a body that is no JSON": pb.ClientFrame(
        ref_number=1, send={"mailbox": GROUP, "id": new_id(), "body": b"{"}
    ).SerializeToString(),
}
CLOSING_PROTOBUF: dict[str, tuple[int, str | bytes]] = {
    "text": (4503, "hello?"),
    "JSON": (4503, '{"op":"ping"}'),
    "binary JSON": (4503, b'{"op":"ping"}'),
    "half a frame": (4503, KNOWN[:-1]),
    "no UTF-8": (4503, b"\x0a\x02\xff\xff"),
    "above the frame size": (4504, TOO_LARGE),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
async def test_a_bad_frame_is_answered_and_the_session_goes_on(connect: Connect, name: str):
    code, frame = BAD_FRAMES[name]
    client = await connect(unique("alice"))
    if isinstance(frame, dict):
        frame = {**frame, "ref": "the bad one"}
    await client.put_raw(json.dumps(frame))
    error = await client.expect("error")
    assert error["code"] == code
    assert error["message"]
    assert error["retriable"] is False
    if isinstance(frame, dict):
        assert error["ref"] == "the bad one"
    assert (await client.request("ping"))["op"] == "pong"


def has_words(frame: object) -> bool:
    """Whether Protobuf can say it at all; an empty list is the same as none there."""
    try:
        return bool(client_frame(frame)) and [] not in frame.values()  # type: ignore[arg-type, union-attr]
    except (KeyError, ValueError, TypeError, AttributeError):
        return False


@pytest.mark.parametrize("name", [name for name in BAD_FRAMES if has_words(BAD_FRAMES[name][1])])
async def test_a_bad_frame_in_protobuf_is_answered_the_same(connect: Connect, name: str):
    code, frame = BAD_FRAMES[name]
    client = await connect(unique("alice"), **PROTOBUF)
    assert isinstance(frame, dict)
    await client.put({**frame, "ref": "the bad one"})
    error = await client.expect("error")
    assert (error["code"], error["ref"], error["retriable"]) == (code, "the bad one", False)
    assert error["message"]
    assert (await client.request("ping"))["op"] == "pong"


@pytest.mark.parametrize("name", MALFORMED)
async def test_what_the_schema_does_not_know_is_answered(connect: Connect, name: str):
    client = await connect(unique("alice"), **PROTOBUF)
    await client.put_raw(MALFORMED[name])
    error = await client.expect("error")
    assert (error["code"], error["ref"]) == ("bad_request", 1)
    assert (await client.request("ping"))["op"] == "pong"


@pytest.mark.parametrize("name", CLOSING_PROTOBUF)
async def test_what_is_no_protobuf_closes_the_socket(party: Party, connect: Connect, name: str):
    code, frame = CLOSING_PROTOBUF[name]
    group, alice, bob = await party("alice", "bob")
    client = await connect(bob.user, **PROTOBUF)
    await client.put_raw(frame)
    assert await client.closed() == code
    await alice.send(group, "fine")
    assert (await bob.message(group, 1))["body"] == "fine"


CLOSING_FRAMES: dict[str, tuple[int, str | bytes]] = {
    "binary": (4503, b"\x00\x01\xfe\xff"),
    "binary JSON": (4503, b'{"op":"ping"}'),
    "not JSON": (4503, "hello?"),
    "empty": (4503, ""),
    "half an object": (4503, '{"op":"ping"'),
    "two objects": (4503, '{"op":"ping"}{"op":"ping"}'),
    "NaN": (4503, '{"op":"ping","ref":NaN}'),
    "above the frame size": (4504, json.dumps({"op": "ping", "x": "x" * (200 * 1024)})),
    "far above the frame size": (4504, json.dumps({"op": "ping", "x": "x" * (4 << 20)})),
}


@pytest.mark.parametrize("name", CLOSING_FRAMES)
async def test_what_is_no_frame_closes_the_socket(connect: Connect, name: str):
    code, frame = CLOSING_FRAMES[name]
    client = await connect(unique("alice"))
    await client.put_raw(frame)
    assert await client.closed() == code


ODD_BUT_HARMLESS = {
    "nested deep": '{"op":"ping","ref":1,"x":' + "[" * 20_000 + "]" * 20_000 + "}",
    "a body nested deep": json.dumps(send(body="?")).replace('"?"', "[" * 20_000 + "]" * 20_000),
    "a body with a huge number": json.dumps(send(body="?")).replace('"?"', "1e999"),
    "a body of many digits": json.dumps(send(body="?")).replace('"?"', "9" * 5_000),
    "a body with half a surrogate": json.dumps(send(body="?")).replace("?", "\\ud800"),
    "the same name twice": '{"op":"ping","op":"ping","ref":1}',
    "a ref that is an object": '{"op":"ping","ref":{"a":1}}',
    "a very long ref": json.dumps({"op": "ping", "ref": "r" * 10_000}),
}


@pytest.mark.parametrize("name", ODD_BUT_HARMLESS)
async def test_an_odd_frame_is_answered_or_closes_only_its_own_socket(
    party: Party, connect: Connect, name: str
):
    group, alice, bob = await party("alice", "bob")
    client = await connect(alice.user)
    await client.put_raw(ODD_BUT_HARMLESS[name].replace(GROUP, group))
    await client.put({"op": "ping", "ref": "after"})
    await client.wait_or_close(lambda event: event.get("ref") == "after")
    assert client.close_code in (None, 4503, 4504)
    await alice.send(group, "next")
    latest = await bob.wait(
        lambda event: event["op"] == "message" and event["body"] == "next", "the next message"
    )
    assert bob.seqs(group) == list(range(1, latest["seq"] + 1))
    history = await bob.request("history", mailbox=group, after=0)
    assert [message["seq"] for message in history["messages"]] == bob.seqs(group)


async def test_too_many_frames_are_refused_then_the_socket_closes(party: Party, connect: Connect):
    group, alice, bob = await party("alice", "bob")
    flood = await connect(unique("mallory"))
    while flood.close_code is None:
        await flood.flood({"op": "ping"}, 500)
    assert flood.close_code == 4503
    refused = [event for event in flood.events if event["op"] == "error"]
    assert {event["code"] for event in refused} == {"rate_limited"}
    assert all(event["retry_after"] > 0 and event["retriable"] for event in refused)
    await alice.send(group, "undisturbed")
    assert (await bob.message(group, 1))["body"] == "undisturbed"


async def test_a_short_burst_above_the_rate_is_forgiven(connect: Connect):
    client = await connect(unique("alice"))
    refs = [await client.post("ping") for _ in range(300)]
    answers = [await client.wait(lambda e, ref=ref: e.get("ref") == ref, "answer") for ref in refs]
    assert {answer["op"] for answer in answers} <= {"pong", "error"}
    assert client.close_code is None


@pytest.mark.parametrize("name", [*CLOSING_FRAMES, "vanishes"])
async def test_others_are_unaffected_by_a_session_that_ends_badly(
    party: Party, connect: Connect, name: str
):
    group, alice, bob = await party("alice", "bob")
    bad = await connect(bob.user)
    await bad.sync()
    if name == "vanishes":
        bad.drop()
    else:
        await bad.put_raw(CLOSING_FRAMES[name][1])
    await bad.closed()
    await alice.send(group, "fine")
    assert (await bob.message(group, 1))["body"] == "fine"


async def test_too_many_sessions_of_a_user_leave_the_others_alone(
    stack: System, dial: Connect, connect: Connect
):
    mallory = unique("mallory")
    clients = [await dial() for _ in range(25)]
    for client in clients:
        await client.put({"op": "hello", "token": stack.token(mallory)})
        await client.wait_or_close(lambda event: event["op"] == "welcome")
    refused = [client for client in clients if client.close_code is not None]
    assert 0 < len(refused) < len(clients)
    assert (await connect(unique("alice"))).close_code is None


async def test_a_session_ends_when_its_token_expires(stack: System, dial: Connect):
    client = await dial()
    await client.hello(stack.token(unique("alice"), exp=int(time.time()) + 2))
    assert await client.closed() == 4502
