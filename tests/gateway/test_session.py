"""One connection: how it begins, what it may do, how it ends."""

import asyncio
import inspect
import json
import time

import aiohttp
import pytest
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode

from tests.gateway.conftest import House, Open
from tests.gateway.fakes import until
from tests.records import new_id

GROUP = "group:anything"


def send_text(body: str) -> str:
    frame = {"op": "send", "mailbox": GROUP, "id": new_id(), "ref": 1, "body": "?"}
    return json.dumps(frame).replace('"?"', body)


async def test_hello_tells_the_limits(house: House):
    client = await house.dial()
    welcome = await client.hello(house.tokens.issue("alice", 60))
    assert welcome["user"] == "alice"
    assert welcome["limits"]["body_bytes"] == 1 << 20
    assert welcome["limits"]["frame_bytes"] == 128 * 1024
    assert welcome["heartbeat_ms"] == 25_000


async def test_a_request_before_hello_is_unauthorized(house: House):
    client = await house.dial()
    assert await client.refusal("sync") == "unauthorized"
    await client.hello(house.tokens.issue("alice", 60))
    assert await client.sync() == {}


async def test_no_hello_in_time_closes(house_of: Open):
    house = await house_of(hello_seconds=0.1)
    client = await house.dial()
    assert await client.closed() == 4003


async def test_silence_closes(house_of: Open):
    house = await house_of(heartbeat_seconds=0.1, idle_seconds=0.3)
    client = await house.connect("alice")
    client.pause()
    client._connection.transport.pause_reading()
    await until(lambda: house.gateway.connections.total == 0)
    client._connection.transport.resume_reading()
    client.resume()
    assert await client.closed() == 4003


async def test_who_answers_pings_stays(house_of: Open):
    house = await house_of(heartbeat_seconds=0.1, idle_seconds=0.4)
    client = await house.connect("alice")
    await asyncio.sleep(1)
    assert (await client.request("ping"))["op"] == "pong"


async def test_a_session_ends_with_its_token_unless_renewed(house: House):
    kept, lost = await house.connect("alice", 1), await house.connect("alice", 1)
    await kept.hello(house.tokens.issue("alice", 60))
    assert await lost.closed() == 4502
    assert (await kept.request("ping"))["op"] == "pong"


async def test_a_session_stays_its_users(house: House):
    client = await house.connect("alice")
    assert await client.refusal("hello", token=house.tokens.issue("bob", 60)) == "forbidden"
    assert (await client.request("ping"))["op"] == "pong"


async def test_a_token_in_the_handshake(house: House):
    header = f"Bearer {house.tokens.issue('alice', 60)}"
    client = await house.dial(headers={"Authorization": header})
    assert (await client.hello())["user"] == "alice"
    with pytest.raises(InvalidStatus) as refused:
        await house.dial(headers={"Authorization": "Bearer nonsense"})
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize("token", [None, "", "nonsense"])
async def test_a_bad_token_closes(house: House, token: str | None):
    client = await house.dial()
    await client.put({"op": "hello", **({} if token is None else {"token": token})})
    assert await client.closed() == 4501


@pytest.mark.parametrize(
    ("code", "frame"),
    [
        (4503, b"\x00\x01"),
        (4503, "hello?"),
        (4503, ""),
        (4503, '{"op":"ping","ref":NaN}'),
        (4504, json.dumps({"op": "ping", "x": "x" * (200 * 1024)})),
        (4504, json.dumps({"op": "ping", "x": "x" * (4 << 20)})),
    ],
)
async def test_what_is_no_frame_closes(house: House, code: int, frame: str | bytes):
    client = await house.connect("alice")
    await client.put_raw(frame)
    assert await client.closed() == code


@pytest.mark.parametrize(
    "text",
    [
        '{"op":"ping","x":' + "[" * 20_000 + "]" * 20_000 + "}",
        send_text("[" * 20_000 + "]" * 20_000),
        send_text('"\\ud800"'),
        '{"op":"ping","ref":{"a":1}}',
    ],
)
async def test_an_odd_frame_is_answered_or_closes(house: House, text: str):
    client = await house.connect("alice")
    await client.put_raw(text)
    await client.put({"op": "ping", "ref": "after"})
    await client.wait_or_close(lambda event: event.get("ref") == "after")
    assert client.close_code in (None, 4503)
    assert not [command for command in house.pipeline.commands if hasattr(command, "body")]


@pytest.mark.parametrize("claim", [{"by": "bob"}, {"from": "bob"}, {"user": "bob"}])
async def test_a_frame_in_the_name_of_another_is_forbidden(house: House, claim):
    client = await house.connect("alice")
    assert await client.refusal("ping", **claim) == "forbidden"


@pytest.mark.parametrize("mailbox", ["direct:bob~carol", "user:bob"])
@pytest.mark.parametrize("op", ["watch", "read"])
async def test_private_mailboxes_are_closed_to_others(house: House, op: str, mailbox: str):
    client = await house.connect("alice")
    fields = {"seq": 1} if op == "read" else {}
    assert await client.refusal(op, mailbox=mailbox, **fields) == "not_member"


async def test_direct_mailboxes_name_their_users_in_order(house: House):
    client = await house.connect("bob")
    assert await client.refusal("watch", mailbox="direct:bob~alice") == "bad_request"


async def test_a_body_too_large_is_refused(house_of: Open):
    house = await house_of(body_bytes=64 * 1024)
    client = await house.connect("alice")
    send = {"mailbox": GROUP, "id": new_id(), "body": "x" * (65 * 1024)}
    assert await client.refusal("send", **send) == "too_large"


async def test_a_flood_is_refused_frame_by_frame_and_then_closed(house_of: Open):
    house = await house_of(frame_burst=20)
    client = await house.connect("alice")
    while client.close_code is None:
        await client.flood({"op": "ping", "ref": 1}, 200)
    assert client.close_code == 4503
    refused = [event for event in client.events if event["op"] == "error"]
    assert {(event["code"], event["ref"]) for event in refused} == {("rate_limited", 1)}
    assert len(refused) == 100


async def test_a_user_has_one_rate_over_all_connections(house_of: Open):
    house = await house_of(frame_burst=100, frame_rate_per_user=1e-3, frame_burst_per_user=60)
    one, two, other = [await house.connect(user) for user in ("alice", "alice", "bob")]
    for client in (one, two):
        refs = [await client.post("ping") for _ in range(40)]
        await client.wait(lambda event, last=refs[-1]: event.get("ref") == last, "the last answer")
    answers = [event["op"] for client in (one, two) for event in client.events[1:]]
    assert answers == ["pong"] * 60 + ["error"] * 20
    assert {event["code"] for event in two.events if event["op"] == "error"} == {"rate_limited"}
    while two.close_code is None:
        await two.flood({"op": "ping"}, 50)
    assert two.close_code == 4503
    assert await other.request("ping")


async def test_one_connection_has_its_own_rate_alone(house_of: Open):
    house = await house_of(frame_burst=100, frame_rate_per_user=1e-3, frame_burst_per_user=1)
    client = await house.connect("alice")
    for _ in range(10):
        assert await client.request("ping")


async def test_too_many_pending_requests_are_refused_and_given_back(house_of: Open):
    house = await house_of(requests_per_session=2)
    client = await house.connect("alice")
    house.pipeline.silent = True
    before = len(house.pipeline.commands)
    refs = [await client.post("history", mailbox=GROUP) for _ in range(3)]
    assert (await client.expect("error", ref=refs[2]))["code"] == "rate_limited"
    house.pipeline.silent = False
    for command in house.pipeline.commands[before:]:
        house.pipeline.decide(command)
    assert await client.refusal("history", mailbox=GROUP) == "not_member"


async def test_too_many_sessions_of_a_user_are_turned_away(house_of: Open):
    house = await house_of(connections_per_user=2)
    first = [await house.connect("alice") for _ in range(2)]
    third = await house.dial()
    await third.put({"op": "hello", "token": house.tokens.issue("alice", 60)})
    assert await third.closed() == 4004
    assert third.events[0]["code"] == "rate_limited"
    await first[0].close()
    await until(lambda: house.gateway.connections.total == 1)
    assert (await house.connect("alice")).close_code is None


async def test_a_full_gateway_says_come_back_later(house_of: Open):
    house = await house_of(connections=1)
    await house.connect("alice")
    with pytest.raises(InvalidStatus) as refused:
        await house.dial()
    assert refused.value.response.status_code == 503


async def test_requests_to_a_mailbox_keep_their_order(house: House, group: str):
    house.pipeline.make(group, "alice")
    alice = await house.connect("alice")
    await alice.post("watch", mailbox=group)
    refs = [await alice.post("send", mailbox=group, id=new_id(), body=n) for n in range(20)]
    seqs = [(await alice.answer(ref))["seq"] for ref in refs]
    assert seqs == list(range(1, 21))
    await alice.message(group, 20)
    assert alice.seqs(group) == seqs


async def test_a_slow_answer_holds_up_nothing(house: House, group: str):
    alice = await house.connect("alice")
    house.pipeline.silent = True
    await alice.post("sync")
    await alice.post("watch", mailbox=group)
    assert (await alice.request("ping"))["op"] == "pong"


async def test_a_request_that_has_not_begun_is_given_up_with_its_session(house: House):
    await house.connect("alice")
    (session,) = house.gateway._pulse.sessions
    work = asyncio.sleep(1)
    session.spawn(work, None)
    for task in session._tasks:
        task.cancel()  # as the end of the session does, be it in the same step
    await until(lambda: not session._tasks)
    assert inspect.getcoroutinestate(work) == inspect.CORO_CLOSED


async def test_unacknowledged_messages_come_once_more_then_it_closes(house_of: Open, group: str):
    house = await house_of(ack_seconds=0.3)
    house.pipeline.make(group, "alice", "bob")
    good, bad = await house.connect("bob", ack=True), await house.connect("bob", ack=True)
    for client in (good, bad):
        await client.sync()
    house.pipeline.post(group, count=3)
    await good.message(group, 3)
    await good.put({"op": "ack", "mailbox": group, "seq": 3})
    await bad.message(group, 3)
    await bad.put({"op": "ack", "mailbox": group, "seq": 1})
    assert await bad.closed() == 4001
    assert bad.seqs(group) == [1, 2, 3, 2, 3]
    assert good.seqs(group) == [1, 2, 3]
    assert good.close_code is None


async def test_a_resumed_message_must_be_acknowledged_too(house_of: Open, group: str):
    house = await house_of(ack_seconds=0.2)
    epoch = house.pipeline.make(group, "alice", "bob")
    house.pipeline.post(group, count=2)
    bob = await house.connect("bob", ack=True, since={group: [epoch, 0]})
    assert await bob.closed() == 4001
    assert bob.seqs(group) == [1, 2]
    gap = bob.delivered("gap", group)[0]
    assert (gap["from"], gap["to"]) == (1, 2)


async def test_draining_answers_says_where_to_and_closes(house: House, group: str):
    house.pipeline.make(group, "alice", "bob")
    alice, bob = await house.synced("alice"), await house.synced("bob")
    ref = await alice.post("send", mailbox=group, id=new_id(), body="last words")
    await alice.answer(ref)
    started = time.monotonic()
    await house.gateway.drain()
    assert time.monotonic() - started < 3
    for client in (alice, bob):
        assert 0 <= (await client.expect("reconnect"))["after_ms"] <= 10_000
        assert await client.closed() == 4002
    assert bob.seqs(group) == [1]
    with pytest.raises(InvalidStatus) as refused:
        await house.dial()
    assert refused.value.response.status_code == 503


async def test_a_client_that_never_reads_does_not_hold_up_draining(house_of: Open, group: str):
    house = await house_of(drain_seconds=1)
    house.pipeline.make(group, "alice", "bob")
    bob = await house.dial("bob", small_buffers=True)
    await bob.hello(house.tokens.issue("bob", 60))
    await bob.sync()
    bob.pause()
    bob._connection.transport.pause_reading()
    for _ in range(100):
        house.pipeline.post(group, count=100)
        await asyncio.sleep(0)
    started = time.monotonic()
    await house.gateway.drain()
    assert time.monotonic() - started < 2
    bob._connection.transport.resume_reading()


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_a_foreign_page_may_not_connect(house: House, origin: str):
    with pytest.raises(InvalidStatus) as refused:
        await house.dial(origin=origin)
    assert refused.value.response.status_code == 403


async def test_our_own_page_may_connect(house: House):
    assert await house.dial(origin=house.http)


async def test_pages_and_health(house: House):
    async with aiohttp.ClientSession() as http:
        for path in ("/healthz", "/readyz", "/metrics"):
            async with http.get(house.http + path) as answer:
                assert answer.status == 200
        house.gateway.draining = True
        async with http.get(house.http + "/readyz") as answer:
            assert answer.status == 503
        async with http.get(house.http + "/../settings.py") as answer:
            assert answer.status == 404


async def test_metrics_count_what_happens(house: House, group: str):
    house.pipeline.make(group, "alice")
    alice = await house.synced("alice")
    await alice.send(group, "x")
    await alice.message(group, 1)
    await alice.refusal("watch", mailbox="user:bob")
    async with aiohttp.ClientSession() as http, http.get(house.http + "/metrics") as answer:
        text = await answer.text()
    assert "readcast_gateway_connections 1.0" in text
    assert 'readcast_gateway_errors_total{code="not_member"} 1.0' in text
    assert "readcast_gateway_frames_in_total 4.0" in text


async def test_the_demo_makes_tokens_for_its_users_only(house: House):
    async with aiohttp.ClientSession() as http:
        async with http.get(house.http + "/demo/users") as answer:
            known = await answer.json()
            assert "alice" in known["users"]
            assert "olga" in known["operators"]
        async with http.post(house.http + "/demo/token", json={"user": "alice"}) as answer:
            token = (await answer.json())["token"]
        alice = await house.dial()
        assert (await alice.hello(token))["user"] == "alice"
        assert await alice.refusal("board") == "forbidden"
        async with http.post(house.http + "/demo/token", json={"user": "olga"}) as answer:
            token = (await answer.json())["token"]
        olga = await house.dial()
        await olga.hello(token)
        assert (await olga.request("board"))["mailboxes"] == []
        for content in ({"user": "mallory"}, {}, [1]):
            async with http.post(house.http + "/demo/token", json=content) as answer:
                assert answer.status in (400, 404)


async def test_without_the_demo_nobody_hands_out_tokens(house_of: Open):
    house = await house_of(demo=False)
    async with aiohttp.ClientSession() as http:
        for user in ("alice", "olga"):
            async with http.post(house.http + "/demo/token", json={"user": user}) as answer:
                assert answer.status in (404, 405)
        async with http.get(house.http + "/demo/users") as answer:
            assert answer.status == 404


async def test_who_reads_nothing_is_closed_though_no_answer_waits(house_of: Open, group: str):
    house = await house_of(slow_seconds=0.5, idle_seconds=1.0, heartbeat_seconds=0.2)
    house.pipeline.make(group, "alice", "bob")
    house.pipeline.post(group, body={"text": "x" * 200_000})
    bob = await house.dial("bob", small_buffers=True)
    await bob.hello(house.token("bob"))
    (session,) = house.gateway._pulse.sessions
    transport, limit = session.outlet.transport, house.gateway.settings.write_bytes
    bob.pause()
    while transport.get_write_buffer_size() <= limit:
        await bob.post("history", mailbox=group, limit=1)
        await asyncio.sleep(0.05)
    await bob.post("ack", mailbox=group, seq=1)  # which has no answer
    await asyncio.sleep(3)
    assert session.state.name == "CLOSED"


async def test_answers_to_pings_are_bounded(house_of: Open):
    house = await house_of(frame_rate=1e6, frame_burst=1_000_000)  # only to be quick
    bob = await house.dial("bob", small_buffers=True)
    await bob.hello(house.token("bob"))
    (session,) = house.gateway._pulse.sessions
    ping = Frame(Opcode.PING, b"x" * 125).serialize(mask=True)
    socket, most = bob._connection.transport, 0
    socket.pause_reading()
    for _ in range(400):
        socket.write(ping * 250)
        await asyncio.sleep(0.01)
        most = max(most, session.outlet.transport.get_write_buffer_size())
    assert most <= 2 * house.gateway.settings.write_bytes
