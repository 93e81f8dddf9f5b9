"""How a session begins, who it is, and how it ends."""

import json
import socket
import struct
import urllib.request
from collections.abc import Callable

import pytest
from websockets.exceptions import InvalidHandshake

from bench.raw_socket import HANDSHAKE
from tests.e2e.client import Client
from tests.e2e.conftest import Connect, Party
from tests.processes import HOST, Gateway, System
from tests.records import Refused, unique
from tests.waiting import soon

pytestmark = pytest.mark.both_wires


async def test_hello_is_answered_with_who_you_are_and_the_limits(stack: System, dial: Connect):
    alice = unique("alice")
    client = await dial()
    welcome = await client.hello(stack.token(alice))
    assert welcome["op"] == "welcome"
    assert welcome["user"] == alice
    assert welcome["session"]
    assert welcome["limits"]
    assert welcome["heartbeat_ms"] > 0


async def test_two_sessions_of_a_user_have_different_names(stack: System, dial: Connect):
    alice = unique("alice")
    names = {(await (await dial()).hello(stack.token(alice)))["session"] for _ in range(2)}
    assert len(names) == 2


async def test_a_token_in_the_handshake_needs_none_in_hello(stack: System, dial: Connect):
    alice = unique("alice")
    client = await dial(headers={"Authorization": f"Bearer {stack.token(alice)}"})
    assert (await client.hello())["user"] == alice


@pytest.mark.parametrize("subprotocol", ["readcast.json", None])
async def test_the_subprotocol_may_be_left_out(
    stack: System, dial: Connect, subprotocol: str | None
):
    client = await dial(subprotocol=subprotocol)
    assert client.subprotocol == subprotocol
    assert (await client.hello(stack.token("alice")))["user"] == "alice"


async def test_a_request_before_hello_is_unauthorized(stack: System, dial: Connect):
    client = await dial()
    with pytest.raises(Refused) as refused:
        await client.request("sync")
    assert refused.value.code == "unauthorized"
    assert refused.value.error["retriable"] is False
    assert (await client.hello(stack.token("alice")))["op"] == "welcome"


async def test_no_hello_in_time_closes_the_socket(impatient: Gateway, dial: Connect):
    client = await dial(url=impatient.ws)
    assert await client.closed() == 4003


@pytest.mark.parametrize("ref", [7, "a name", 0, ""])
async def test_an_answer_carries_the_ref_of_its_request(connect: Connect, ref: int | str):
    client = await connect(unique("alice"))
    await client.put({"op": "ping", "ref": ref})
    pong = await client.expect("pong")
    assert pong["ref"] == ref


async def test_a_request_needs_no_ref(connect: Connect):
    client = await connect(unique("alice"))
    await client.put({"op": "ping"})
    assert "ref" not in await client.expect("pong")


async def test_answers_come_to_all_of_many_requests_at_once(party: Party):
    group, alice = await party("alice")
    refs = [await alice.post("history", mailbox=group, after=0) for _ in range(30)]
    answers = [await alice.answer(ref) for ref in refs]
    assert {answer["op"] for answer in answers} == {"history"}


async def test_a_user_without_mailboxes_gets_an_empty_sync(connect: Connect):
    client = await connect(unique("alice"))
    assert await client.sync() == {}


async def test_draining_loses_nothing(
    stack: System, dial: Connect, connect: Connect, own_gateway: Callable[[], Gateway]
):
    gateway = own_gateway()
    group, owner = unique("group:g"), unique("alice")
    alice = await connect(owner, url=gateway.ws)
    epoch = (await alice.request("create", mailbox=group, policy={}))["epoch"]
    await alice.sync()
    await alice.send(group, "before")
    await alice.message(group, 1)

    gateway.terminate()
    reconnect = await alice.expect("reconnect")
    assert reconnect["after_ms"] >= 0
    assert await alice.closed() == 4002
    assert gateway.stop() == 0

    elsewhere = await connect(owner)
    await elsewhere.send(group, "meanwhile")
    returned = await dial(owner)
    await returned.hello(stack.token(owner), since={group: [epoch, 1]})
    resumed = await returned.expect("resumed", mailbox=group)
    assert resumed["recovered"] is True
    assert returned.seqs(group) == [2]


async def test_a_draining_gateway_takes_nobody_new(
    own_gateway: Callable[[], Gateway], dial: Connect
):
    gateway = own_gateway()
    gateway.terminate()

    async def refused() -> bool:
        try:
            client = await dial(url=gateway.ws)
        except (OSError, InvalidHandshake):
            return True
        await client.closed()
        return not client.events

    assert await soon(refused, "no new sessions")


async def test_a_vanished_client_leaves_the_others_alone(party: Party):
    group, alice, bob, carol = await party("alice", "bob", "carol")
    bob.drop()
    await alice.send(group, "still there?")
    assert (await carol.message(group, 1))["body"] == "still there?"


async def test_clients_that_gave_up_before_their_handshake_leave_no_error_behind(
    own_gateway: Callable[[], Gateway], dial: Connect
):
    gateway = own_gateway()
    gateway.freeze()
    gone = [socket.create_connection((HOST, gateway.port)) for _ in range(20)]
    for one in gone:
        one.sendall(HANDSHAKE)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()
    gateway.thaw()
    client = await dial(url=gateway.ws)
    await client.close()
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.log.read_text()


async def test_the_demo_hands_out_tokens(stack: System, dial: Connect):
    users = fetch(f"{stack.http}/demo/users")
    assert users
    token = fetch(f"{stack.http}/demo/token", {"user": "alice"})["token"]
    assert (await (await dial()).hello(token))["user"] == "alice"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/"])
def test_http(stack: System, path: str):
    with urllib.request.urlopen(stack.http + path, timeout=10) as answer:
        assert answer.status == 200
        assert answer.read()


def fetch(url: str, content: object = None):
    body = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


async def test_a_session_that_left_can_come_back(connect: Connect, party: Party):
    group, alice, bob = await party("alice", "bob")
    await bob.close()
    await alice.send(group, "1")
    again: Client = await connect(bob.user)
    assert (await again.sync())[group]["unread"] == 1
