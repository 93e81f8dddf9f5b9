"""Bodies of a megabyte through the whole system, in both forms of the wire."""

from typing import Any

import aiohttp
import pytest

from tests.e2e.client import Client
from tests.e2e.conftest import Connect, Party
from tests.processes import Gateway, System
from tests.records import new_id, unique
from tests.waiting import soon

pytestmark = pytest.mark.both_wires

MEGABYTE = 1 << 20
BODY = "\"€😀'\\n" * 70_000
LARGEST = "." * (MEGABYTE - 2)


async def send(client: Client, group: str, body: object) -> int:
    """Send in chunks; returns the seq."""
    ref = await client.post_in_chunks("send", mailbox=group, id=new_id(), body=body)
    seq: int = (await client.answer(ref))["seq"]
    return seq


async def test_a_megabyte_arrives_in_chunks_and_whole_live_and_as_history(
    party: Party, connect: Connect
):
    group, alice, bob, carol = await party("alice", "bob", "carol")
    in_chunks = await connect(bob.user, chunks=True)
    await in_chunks.sync()
    for seq, body in enumerate((LARGEST, BODY, "small"), 1):
        assert await send(alice, group, body) == seq
        for client in (in_chunks, bob, carol, alice):
            assert (await client.message(group, seq))["body"] == body
    for client in (in_chunks, carol):
        page = await client.request("history", mailbox=group, after=0)
        assert [message["body"] for message in page["messages"]] == [LARGEST]
        assert page["more"]
        page = await client.request("history", limit=2)
        assert page["messages"][-1]["body"] == "small"
    assert max(in_chunks.frames) <= 64 * 1024
    assert in_chunks.seqs(group) == carol.seqs(group) == [1, 2, 3]


async def test_a_resume_brings_what_was_missed_however_large(party: Party, connect: Connect):
    group, alice, bob = await party("alice", "bob")
    epoch = (await bob.sync())[group]["epoch"]
    await bob.close()
    bodies = [LARGEST, 1, BODY, 2, LARGEST]
    for body in bodies:
        await send(alice, group, body)
    back = await connect(bob.user, since={group: [epoch, 0]}, chunks=True)
    assert (await back.expect("resumed", mailbox=group))["recovered"]
    assert [event["body"] for event in back.delivered("message", group)] == bodies


async def test_a_user_whose_mailboxes_all_end_with_a_large_message_is_listed_them(
    party: Party, connect: Connect
):
    group, alice, bob = await party("alice", "bob")
    groups = [group, *(unique("group:g") for _ in range(7))]
    for other in groups[1:]:
        await alice.request("create", mailbox=other)
        await alice.request("join", mailbox=other, members=[bob.user])
    for mailbox in groups:
        await send(alice, mailbox, LARGEST)
    fresh = await connect(bob.user, chunks=True)
    listed = await fresh.sync()
    assert {mailbox: listed[mailbox]["unread"] for mailbox in groups} == dict.fromkeys(groups, 1)
    assert all("body" not in listed[mailbox]["last"] for mailbox in groups)


async def test_a_post_of_a_megabyte_is_read_and_edited(connect: Connect):
    ann = await connect(unique("ann"), chunks=True)
    bob = await connect(unique("bob"))
    await bob.request("follow", author=ann.user)
    post = await ann.answer(await ann.post_in_chunks("post", id=new_id(), body=LARGEST))
    for client, fields in ((bob, {}), (ann, {"author": ann.user})):
        page = await client.request("feed", **fields)
        assert [(one["post"], one["body"]) for one in page["posts"]] == [(post["post"], LARGEST)]
    await ann.answer(await ann.post_in_chunks("edit", post=post["post"], body=BODY))
    assert (await bob.expect("post_changed", post=post["post"]))["body"] == BODY
    assert max(ann.frames) <= 64 * 1024


async def test_what_is_a_byte_too_large_is_refused(party: Party):
    group, alice, bob = await party("alice", "bob")
    ref = await alice.post_in_chunks("send", mailbox=group, id=new_id(), body=LARGEST + ".")
    assert (await alice.expect("error", ref=ref))["code"] == "too_large"
    ref = await alice.post_in_chunks("send", mailbox=group, id=new_id(), body=LARGEST * 2)
    assert (await alice.expect("error", ref=ref))["code"] == "too_large"
    assert await send(alice, group, "small") == 1
    assert (await bob.message(group, 1))["body"] == "small"


async def test_half_sent_bodies_of_many_sessions_leave_nothing_behind(
    party: Party, dial: Connect, stack: System, second: Gateway
):
    group, alice, bob = await party("alice", "bob")
    halves: list[Any] = []
    for _ in range(20):
        client = await dial(alice.user, url=second.ws)
        await client.hello(stack.token(unique("mallory")))
        frame = {"op": "send", "ref": 1, "mailbox": group, "id": new_id(), "body": LARGEST}
        for chunk in client.cut(frame)[:-1]:
            await client.put(chunk)
        await client.request("ping")
        halves.append(client)
    assert await assembly_bytes(second) > 19 * 1_000_000
    for number, client in enumerate(halves):
        if number % 2:
            client.drop()
        else:
            await client.close()

    async def empty() -> bool:
        return await assembly_bytes(second) == 0

    await soon(empty, "the bytes of half-sent frames given back")
    await send(alice, group, LARGEST)
    assert (await bob.message(group, 1))["body"] == LARGEST


async def assembly_bytes(gateway: Gateway) -> float:
    async with aiohttp.ClientSession() as http, http.get(f"{gateway.http}/metrics") as answer:
        text = await answer.text()
    (line,) = (one for one in text.splitlines() if one.startswith("readcast_gateway_assembly"))
    return float(line.split()[1])
