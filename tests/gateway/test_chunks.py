"""Frames in chunks, both ways, over real sockets."""

import operator
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway import wire
from gateway.codecs import CHUNK_OVERHEAD, CODECS
from gateway.forms import FORMS, chunked
from tests.e2e.client import Client
from tests.e2e.protobuf import server_events
from tests.gateway.conftest import House, Open
from tests.gateway.fakes import until
from tests.gateway.test_forms import opened
from tests.records import new_id

pytestmark = pytest.mark.parametrize("wire_form", ["readcast.json", "readcast.proto"])

MEGABYTE = 1 << 20
KIB = 1024


@pytest.fixture
def meet(wire_form: str) -> Callable[..., Awaitable[Client]]:
    """meet(house, user, **hello): a session in the form of the test."""

    async def meet(house: House, user: str, **hello: Any) -> Client:
        client = await house.dial(user, subprotocol=wire_form)
        await client.hello(house.token(user), **hello)
        return client

    return meet


def body(size: int) -> str:
    """A body with quotes, escapes and characters of all lengths, of so many bytes as JSON."""
    some = '"\\ab€😀é' * (size // 4)
    while (rest := size - len(orjson.dumps(some))) < 0:
        some = some[: len(some) + rest // 4]
    return some + "." * rest


def test_the_body_of_these_tests_has_its_size(wire_form: str):
    assert [len(orjson.dumps(body(size))) for size in (100, MEGABYTE)] == [100, MEGABYTE]


async def test_a_megabyte_goes_to_whoever_takes_chunks_and_whoever_does_not(
    house: House, group: str, meet: Any
):
    house.pipeline.make(group, "alice", "bob", "carol")
    alice, bob = await meet(house, "alice"), await meet(house, "bob", chunks=True)
    carol = await meet(house, "carol")
    for client in (alice, bob, carol):
        await client.sync()
    large = body(MEGABYTE)
    ref = await alice.post_in_chunks("send", mailbox=group, id=new_id(), body=large)
    assert (await alice.answer(ref))["seq"] == 1
    for client in (alice, bob, carol):
        assert (await client.message(group, 1))["body"] == large
    assert len(bob.chunks) > 15
    assert max(bob.frames) <= 64 * KIB
    assert carol.chunks == alice.chunks == []
    assert max(carol.frames) > MEGABYTE
    for client in (bob, carol):
        page = await client.request("history", mailbox=group, after=0)
        assert [message["body"] for message in page["messages"]] == [large]
    assert max(bob.frames) <= 64 * KIB
    assert house.gateway.room.used == 0


async def test_small_messages_keep_their_order_among_large_ones(
    house: House, group: str, meet: Any
):
    house.pipeline.make(group, "alice", "bob")
    alice, bob = await meet(house, "alice"), await meet(house, "bob", chunks=True)
    plain = await meet(house, "bob")
    for client in (alice, bob, plain):
        await client.sync()
    for seq in range(1, 10):
        if seq % 3:
            await alice.post("send", mailbox=group, id=new_id(), body=seq)
        else:
            await alice.post_in_chunks("send", mailbox=group, id=new_id(), body=body(400 * KIB))
    for client in (bob, plain):
        await client.message(group, 9)
        assert client.seqs(group) == list(range(1, 10))


async def test_other_frames_have_their_turn_between_chunks(house: House, group: str, meet: Any):
    house.pipeline.make(group, "alice")
    alice = await meet(house, "alice")
    send = {"op": "send", "ref": "large", "mailbox": group, "id": new_id(), "body": body(300_000)}
    for chunk in alice.cut(send):
        await alice.put(chunk)
        pong = await alice._connection.ping()
        assert (await alice.request("ping"))["op"] == "pong"
        await pong
    assert (await alice.answer("large"))["seq"] == 1


async def test_a_posts_body_may_be_as_large(house: House, meet: Any):
    alice = await meet(house, "alice")
    house.pipeline.silent = True
    for fields in ({"op": "post"}, {"op": "edit", "post": "1-1-alice"}):
        frame = {**fields, "ref": 1, "body": body(MEGABYTE)}
        for chunk in alice.cut(frame):
            await alice.put(chunk)
    await until(lambda: len(bodies(house)) == 2)
    assert [len(one) for one in bodies(house)] == [MEGABYTE] * 2


def bodies(house: House) -> list[bytes]:
    return [command.body for command in house.pipeline.commands if hasattr(command, "body")]


async def test_bodies_end_at_a_megabyte_and_those_of_publishes_at_64_kib(
    house: House, wire_form: str
):
    olga = await house.dial("olga", subprotocol=wire_form)
    await olga.hello(house.token("olga", role="operator"))
    send = {"mailbox": "group:g", "id": new_id(), "body": body(MEGABYTE + 1)}
    publish = {"mailbox": "public:g", "title": "t", "body": body(64 * KIB + 1)}
    for op, fields in (
        ("send", send),
        ("post", {"body": body(MEGABYTE + 1)}),
        ("publish", publish),
    ):
        ref = await olga.post_in_chunks(op, **fields)
        assert (await olga.expect("error", ref=ref))["code"] == "too_large"


def changed(chunks: list[dict[str, Any]], number: int, **fields: Any) -> list[dict[str, Any]]:
    return [{**chunk, **fields} if place == number else chunk for place, chunk in enumerate(chunks)]


FAULTS = {
    "one is missing": ("bad_request", lambda chunks: chunks[:1] + chunks[2:]),
    "one comes twice": ("bad_request", lambda chunks: [chunks[0], *chunks[:1], *chunks[1:]]),
    "out of order": ("bad_request", lambda chunks: [chunks[0], *chunks[:0:-1]]),
    "another total": ("bad_request", lambda chunks: changed(chunks, 1, of=17)),
    "another begins": ("conflict", lambda chunks: [chunks[0], {**chunks[0], "id": 7, "ref": 0}]),
    "too large": ("too_large", lambda chunks: chunks),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_chunk_that_does_not_fit_is_refused_once_and_the_next_frame_is_fine(
    house_of: Open, group: str, meet: Any, name: str
):
    code, spoil = FAULTS[name]
    house = await house_of(assembly_bytes=100_000 if name == "too large" else 500_000)
    house.pipeline.make(group, "alice")
    alice = await meet(house, "alice")
    send = {"op": "send", "mailbox": group, "id": new_id(), "body": body(150_000)}
    for chunk in spoil(alice.cut({**send, "ref": "spoilt"}, size=20_000, stream=1)):
        await alice.put(chunk)
    assert (await alice.expect("error", ref="spoilt"))["code"] == code
    if name != "another begins":
        assert (await alice.request("ping"))["op"] == "pong"
        assert house.gateway.room.used == 0
    for chunk in alice.cut({**send, "ref": "well", "body": body(60_000)}, stream=1):
        await alice.put(chunk)
    assert (await alice.answer("well"))["seq"] == 1
    refused = [event["ref"] for event in alice.events if event["op"] == "error"]
    assert refused == (["spoilt", 0] if name == "another begins" else ["spoilt"])


async def test_what_may_not_come_in_chunks_is_refused(house: House, meet: Any):
    alice = await meet(house, "alice")
    hello = {"op": "hello", "ref": 71, "token": house.token("alice")}
    (inner,) = alice.cut({"op": "ping", "ref": 72})
    for frame in (hello, {**inner, "ref": 72}):
        for chunk in alice.cut(frame, size=20):
            await alice.put(chunk)
        refused = await alice.expect("error", ref=frame["ref"])
        assert refused["code"] == "bad_request"
        assert frame["op"] in refused["message"]


async def test_a_chunk_before_hello_is_unauthorized(house: House, wire_form: str):
    client = await house.dial("alice", subprotocol=wire_form)
    for chunk in client.cut({"op": "ping", "ref": 7}, size=5):
        await client.put(chunk)
        assert (await client.expect("error", ref=7))["code"] == "unauthorized"
    assert house.gateway.room.used == 0


async def test_what_is_no_frame_when_put_together_is_told_or_closes(house: House, meet: Any):
    alice = await meet(house, "alice")
    for chunk in alice.cut({"op": "watch", "ref": 7, "mailbox": "nowhere"}, size=9):
        await alice.put(chunk)
    assert (await alice.expect("error", ref=7))["code"] == "bad_request"
    data: Any = "}" if alice.subprotocol == "readcast.json" else b"\xff"
    await alice.put({"op": "chunk", "id": 1, "part": 1, "of": 1, "data": data})
    assert await alice.closed() == 4503


async def test_a_frame_that_is_not_complete_in_time_is_given_up(
    house_of: Open, group: str, meet: Any
):
    house = await house_of(assembly_seconds=0.2)
    house.pipeline.make(group, "alice")
    alice = await meet(house, "alice")
    send = {"op": "send", "ref": 9, "mailbox": group, "id": new_id(), "body": body(150_000)}
    first, *others = alice.cut(send)
    await alice.put(first)
    late = await alice.expect("error", ref=9)
    assert (late["code"], late["retriable"]) == ("unavailable", True)
    assert house.gateway.room.used == 0
    for chunk in others:
        await alice.put(chunk)
    await alice.request("ping")
    ref = await alice.post_in_chunks("send", mailbox=group, id=new_id(), body="small")
    assert (await alice.answer(ref))["seq"] == 1
    assert len([event for event in alice.events if event["op"] == "error"]) == 1


async def test_chunks_count_as_frames_and_one_that_is_refused_spoils_its_frame_alone(
    house_of: Open, group: str, meet: Any
):
    house = await house_of(frame_rate=1, frame_burst=40)
    house.pipeline.make(group, "alice")
    alice = await meet(house, "alice")
    send = {"op": "send", "ref": 9, "mailbox": group, "id": new_id(), "body": "x" * 10_000}
    chunks = [alice.written(chunk) for chunk in alice.cut(send, size=100)]
    for chunk in chunks:
        await alice.put_raw(chunk)
    refused = await alice.expect("error", ref=9)
    assert (refused["code"], refused["retriable"]) == ("rate_limited", True)
    await until(lambda: house.gateway.room.used == 0)
    assert {event["code"] for event in alice.events if event["op"] == "error"} == {"rate_limited"}


async def test_many_half_sent_frames_take_no_more_than_their_room_and_give_it_back(
    house_of: Open, group: str, meet: Any
):
    house = await house_of(assemblies_bytes=400_000)
    house.pipeline.make(group, "alice")
    clients = [await meet(house, f"user{number}") for number in range(10)]
    refused = 0
    for client in clients:
        send = {"op": "send", "ref": 5, "mailbox": group, "id": new_id(), "body": "x" * 200_000}
        for chunk in client.cut(send)[:2]:
            await client.put(chunk)
        await client.request("ping")
        assert house.gateway.room.used <= 400_000
        errors = [event for event in client.events if event["op"] == "error"]
        assert {error["code"] for error in errors} <= {"unavailable"}
        refused += len(errors)
    assert refused == 6
    assert house.gateway.room.used == 400_000
    async with aiohttp.ClientSession() as http, http.get(house.http + "/metrics") as answer:
        assert "readcast_gateway_assembly_bytes 400000.0" in await answer.text()
    clients[0].drop()
    await until(lambda: house.gateway.room.used == 300_000)
    alice = await meet(house, "alice")
    ref = await alice.post_in_chunks("send", mailbox=group, id=new_id(), body="x" * 60_000)
    assert (await alice.answer(ref))["seq"] == 1
    for client in clients:
        client.drop()
    await until(lambda: house.gateway.room.used == 0)


async def test_a_slow_reader_of_large_messages_holds_little_and_gets_all(
    house_of: Open, group: str, wire_form: str
):
    house = await house_of()
    house.pipeline.make(group, "alice", "bob")
    alice = await house.dial("alice", subprotocol=wire_form)
    await alice.hello(house.token("alice"))
    bob = await house.dial("bob", subprotocol=wire_form, small_buffers=True)
    await bob.hello(house.token("bob"), chunks=True)
    await bob.sync()
    bob.pause()
    bob._connection.transport.pause_reading()
    (session,) = house.gateway._users.get("bob").sessions
    for _ in range(3):
        ref = await alice.post_in_chunks("send", mailbox=group, id=new_id(), body=body(MEGABYTE))
        await alice.answer(ref)
    await until(lambda: bool(session.outlet.unwritten))
    unsent = session.outlet.transport.get_write_buffer_size()
    assert unsent <= 2 * house.gateway.settings.write_bytes
    bob._connection.transport.resume_reading()
    bob.resume()
    for seq in (1, 2, 3):
        assert (await bob.message(group, seq))["body"] == body(MEGABYTE)


async def test_a_large_message_is_cut_once_for_all(house: House, group: str, meet: Any):
    names = [f"user{number}" for number in range(5)]
    house.pipeline.make(group, "alice", *names)
    clients = [await meet(house, name, chunks=True) for name in names]
    for client in clients:
        await client.sync()
    alice = await meet(house, "alice")
    await alice.post_in_chunks("send", mailbox=group, id=new_id(), body=body(MEGABYTE))
    for client in clients:
        await client.message(group, 1)
    streams = [{chunk["id"] for chunk in client.chunks} for client in clients]
    assert streams == [streams[0]] * 5
    assert len(streams[0]) == 1


async def test_the_last_message_of_a_mailbox_is_listed_without_a_large_body(
    house: House, group: str, meet: Any
):
    house.pipeline.make(group, "alice")
    alice = await meet(house, "alice")
    await alice.sync()
    for size, has_body in ((2_048, True), (2_049, False)):
        await alice.send(group, body(size))
        await alice.message(group, 1 if has_body else 2)
        last = (await alice.sync())[group]["last"]
        assert ("body" in last) == has_body
    fresh = (await (await meet(house, "alice")).sync())[group]["last"]
    assert (fresh["seq"], "body" in fresh) == (2, False)


TEXTS = st.builds(operator.mul, st.text(max_size=7), st.integers(0, 800))


@given(texts=st.lists(TEXTS, max_size=6), size=st.integers(1_024, 4_096))
@example(texts=['"' * 3_000], size=1_024)
@example(texts=["é€😀" * 1_000], size=1_024)
def test_whatever_is_cut_fits_and_can_be_put_together(wire_form: str, texts: list[str], size: int):
    form = chunked(FORMS[wire_form, 0], size)
    events = [wire.event("error", message=text) for text in texts] or [wire.event("pong")]
    found: list[dict[str, Any]] = []
    pieces: list[Any] = []
    for frame in form.frames(events):
        _, payload = opened((frame,), 0)
        assert len(payload) <= size
        (first, *_) = come = read(wire_form, payload)
        if first["op"] != "chunk":
            found += come
            continue
        pieces.append(first["data"])
        if first["part"] == first["of"]:
            found += read(wire_form, pieces[0][:0].join(pieces))
            pieces.clear()
    assert [one.get("message") for one in found] == (texts or [None])


def read(wire_form: str, payload: Any) -> list[Any]:
    if wire_form == "readcast.proto":
        return [*server_events(payload)]
    return list(orjson.loads(payload))


def test_a_chunk_has_less_besides_its_data_than_is_left_for_it(wire_form: str):
    codec = {codec.subprotocol: codec for codec in CODECS}[wire_form]
    chunk = wire.event("chunk", id=2**53, part=1_000, of=1_000, data="")
    assert len(codec.payload([chunk])) <= CHUNK_OVERHEAD
